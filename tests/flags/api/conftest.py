"""Callers of the API, one for each kind of credential."""

from collections.abc import Callable

import pytest
from django.test import Client

from tenants import jwt
from tenants.models import Company, Membership, User
from tests.factories import ApiTokenFactory


@pytest.fixture
def as_person() -> Callable[..., Client]:
    """Return a function that gives a client with a person's access token."""

    def signed_in(user: User, **kwargs) -> Client:
        home = Membership.objects.home_of(user)
        access = jwt.issue(user, None if home is None else home.company)["access"]
        return Client(headers={"authorization": f"Bearer {access}"}, **kwargs)

    return signed_in


@pytest.fixture
def as_token() -> Callable[..., Client]:
    """Return a function that gives a client with a new API token of these scopes."""

    def keyed(*scopes: str, company: Company | None = None, kind: str = "server") -> Client:
        token = ApiTokenFactory(kind=kind, scopes=list(scopes), company=company)
        client = Client(headers={"authorization": f"Bearer {token.plain}"})
        client.token = token
        return client

    return keyed


@pytest.fixture
def admin(alice: User, as_person) -> Client:
    """A super admin's client."""
    return as_person(alice)


@pytest.fixture
def anonymous() -> Client:
    """Nobody's client."""
    return Client()
