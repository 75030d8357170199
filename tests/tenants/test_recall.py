"""Programs go on while the database is away; nothing else does."""

from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from tenants import jwt, principal, recall, rls
from tenants.principal import Principal
from tests.factories import ApiTokenFactory, ChannelDefaultFactory, FlagFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_binding_to_leave(monkeypatch):
    """Let requests begin with no binding, as in production: leaving the test's own would take the database."""
    request = Client.request

    def unbound(self, **kwargs):
        token = rls._current.set(rls.NOBODY)
        try:
            return request(self, **kwargs)
        finally:
            rls._current.reset(token)

    monkeypatch.setattr(Client, "request", unbound)


@pytest.fixture
def client():
    """A browser that shows errors as a person would see them."""
    return Client(raise_request_exception=False)


@contextmanager
def database_away():
    def refuse(execute, sql, params, many, context):
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(refuse):
        yield


@pytest.fixture
def evaluate(client):
    """Return a function that asks for a feature over HTTP, with a credential."""

    def ask(credential: str, key: str = "fleet_chat"):
        return client.get(f"/api/features/{key}", HTTP_AUTHORIZATION=f"Bearer {credential}")

    return ask


@pytest.fixture
def fleet_chat():
    return ChannelDefaultFactory(flag=FlagFactory(key="fleet_chat"), channel="general").flag


@pytest.mark.django_db(transaction=True)
def test_a_known_key_keeps_its_answers(evaluate, acme, fleet_chat):
    token = ApiTokenFactory(company=acme)
    assert evaluate(token.plain).json()["enabled"] is True
    with database_away():
        response = evaluate(token.plain)
    assert (response.status_code, response.json()["enabled"]) == (200, True)
    assert response["X-Flags-Stale"] == "true"


@pytest.mark.django_db(transaction=True)
def test_a_known_person_keeps_their_answers(evaluate, bob, acme, fleet_chat):
    access = jwt.issue(bob, acme)["access"]
    assert evaluate(access).json()["enabled"] is True
    with database_away():
        assert evaluate(access).json()["enabled"] is True


@pytest.mark.django_db(transaction=True)
def test_a_key_that_was_never_seen_is_not_believed(evaluate, acme):
    token = ApiTokenFactory(company=acme)
    with database_away():
        assert evaluate(token.plain).status_code == 503


@pytest.mark.django_db(transaction=True)
def test_a_key_that_was_seen_to_be_bad_is_forgotten(evaluate, acme):
    token = ApiTokenFactory(company=acme)
    evaluate(token.plain)
    token.revoked_at = timezone.now()
    token.save()
    assert evaluate(token.plain).status_code == 401
    with database_away():
        assert evaluate(token.plain).status_code == 503


@pytest.mark.django_db(transaction=True)
def test_what_needs_the_database_still_fails(client, acme):
    token = ApiTokenFactory(scopes=["flags:read"])
    headers = {"HTTP_AUTHORIZATION": f"Bearer {token.plain}"}
    assert client.get("/api/admin/feature-flags", **headers).status_code == 200
    with database_away():
        assert client.get("/api/admin/feature-flags", **headers).status_code == 503


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_back_half_way_shows_nothing_to_a_request_that_is_not_bound(client, monkeypatch):
    """Its answer would be an empty list on PostgreSQL, and every company's on SQLite."""
    token = ApiTokenFactory(scopes=["flags:read"])
    headers = {"HTTP_AUTHORIZATION": f"Bearer {token.plain}"}
    assert client.get("/api/admin/feature-flags", **headers).status_code == 200

    def away(plain):
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(principal, "of_credential", away)
    assert client.get("/api/admin/feature-flags", **headers).status_code == 503


@pytest.mark.django_db(transaction=True)
def test_the_database_decides_again_as_soon_as_it_is_back(evaluate, acme, fleet_chat):
    token = ApiTokenFactory(company=acme)
    evaluate(token.plain)
    with database_away():
        evaluate(token.plain)
    token.revoked_at = timezone.now()
    token.save()
    assert evaluate(token.plain).status_code == 401


def test_a_memory_lasts_an_hour(monkeypatch, acme):
    token = ApiTokenFactory(company=acme)
    moment = 1000.0
    monkeypatch.setattr(recall, "monotonic", lambda: moment)
    recall.remember(token.plain, Principal(company=acme, token=token))
    moment += 3600
    assert recall.recall(token.plain).token == token
    moment += 1
    assert recall.recall(token.plain) is None


def test_a_key_expires_also_in_memory(acme, time_machine_at):
    token = ApiTokenFactory(company=acme, expires_at=timezone.now() + timedelta(minutes=10))
    recall.remember(token.plain, Principal(company=acme, token=token))
    assert recall.recall(token.plain) is not None
    with time_machine_at(timezone.now() + timedelta(minutes=11)):
        assert recall.recall(token.plain) is None


def test_an_access_token_expires_also_in_memory(bob, acme, time_machine_at):
    access = jwt.issue(bob, acme)["access"]
    recall.remember(access, Principal(bob, acme))
    assert recall.recall(access).user == bob
    with time_machine_at(timezone.now() + timedelta(minutes=16)):
        assert recall.recall(access) is None


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(recall, "REMEMBERED", 3)
    for number in range(5):
        recall.remember(f"hg_s_{number}", Principal(token=ApiTokenFactory.build()))
    assert [recall.recall(f"hg_s_{number}") is not None for number in range(5)] == [False, False, True, True, True]
    assert len(recall._known) == 3


def test_no_credential_is_kept_in_memory(acme):
    token = ApiTokenFactory(company=acme)
    recall.remember(token.plain, Principal(company=acme, token=token))
    assert token.plain not in repr(list(recall._known))


@pytest.mark.django_db(transaction=True)
def test_somebody_in_a_browser_keeps_their_answers_too(sign_in, bob, acme, fleet_chat):
    browser = sign_in(bob, raise_request_exception=False)
    assert browser.get("/api/features").json()["fleet_chat"] is True
    with database_away():
        response = browser.get("/api/features")
        assert (response.status_code, response.json()["fleet_chat"]) == (200, True)
        assert response["X-Flags-Stale"] == "true"
        # What they want changed needs the database, and so does somebody it has never seen.
        assert browser.post("/integrations/").status_code == 503
        recall.clear()
        assert browser.get("/api/features").status_code == 503


@pytest.mark.django_db(transaction=True)
def test_a_session_that_has_ended_is_not_remembered(sign_in, bob, acme, fleet_chat):
    browser = sign_in(bob, raise_request_exception=False)
    assert browser.get("/api/features").status_code == 200
    bob.is_active = False
    bob.save()
    assert browser.get("/api/features").status_code == 401
    with database_away():
        assert browser.get("/api/features").status_code == 503
