"""Who sits at the console."""

import pytest
from django.test import Client


@pytest.fixture
def alices(sign_in, alice) -> Client:
    """A browser in which a super admin is signed in."""
    return sign_in(alice)
