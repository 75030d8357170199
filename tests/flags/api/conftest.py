"""Callers of the API, one for each kind of credential."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from flags import gatekeeping, gates, releases, standing
from tenants import jwt
from tenants.models import Company, Membership, User
from tests.factories import ApiTokenFactory, FlagFactory, OverrideFactory
from tests.flags.api.releasing import create_disabled, evidence_comes_in, post


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


@pytest.fixture
def release_clock(clock, monkeypatch):
    """The stopped clock, which is the database's as well, as far as releases ask it."""
    clock.move_to(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))
    for module in (gates, releases, gatekeeping, standing):
        monkeypatch.setattr(module, "database_now", timezone.now)
    return clock


@pytest.fixture
def deploy(as_token) -> Client:
    """A program that releases."""
    return as_token("flags:read", "flags:write", "releases:write")


@pytest.fixture
def in_pilot(deploy, release_clock, default_tenant, globex, acme) -> None:
    """Route planning is in pilot, on for Default Tenant and Globex, and nobody else."""
    create_disabled(deploy)
    post(deploy, "release")
    release_clock.shift(timedelta(hours=1))
    evidence_comes_in(deploy)
    release_clock.shift(timedelta(minutes=1))
    assert post(deploy, "promote").status_code == 200
    release_clock.shift(timedelta(days=1))


@pytest.fixture
def chat(acme):
    """On for Acme alone."""
    flag = FlagFactory(key="fleet_chat", category="operations")
    OverrideFactory(company=acme, flag=flag)
    return flag


@pytest.fixture
def key(as_token):
    """A server key for any company."""
    return as_token("evaluate")
