"""A provider in use, and what it answers about."""

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient

from flags.models import Flag
from flags.openfeature import HeadgateProvider
from tests.factories import FlagFactory, OverrideFactory


@pytest.fixture
def provider():
    """A provider in use, for as long as the test."""
    provider = HeadgateProvider()
    api.set_provider_and_wait(provider)
    yield provider
    api.clear_providers()


@pytest.fixture
def client(provider) -> OpenFeatureClient:
    """The SDK's client, asking that provider."""
    return api.get_client()


@pytest.fixture
def chat(acme) -> Flag:
    """On for Acme alone."""
    return OverrideFactory(company=acme, flag=FlagFactory(key="fleet_chat", category="operations")).flag
