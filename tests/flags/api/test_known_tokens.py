"""Who asks with a token that a process knows costs one query, and is known as of now; strangers cost none."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.views import APIView

from tenants import known, rls, tokens
from tenants.models import ApiToken, Company
from tests.factories import ApiTokenFactory, CompanyFactory, FlagFactory, OverrideFactory

pytestmark = pytest.mark.django_db(transaction=True)
ADDRESSES = ("/api/features", "/ofrep/v1/evaluate/flags")


@contextmanager
def as_in_production() -> Iterator[None]:
    """Let requests begin with no transaction and none of the test's rights."""

    def take_role(role: str) -> None:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"set session role {role}")

    take_role("none")
    binding = rls._current.set(rls.NOBODY)
    try:
        yield
    finally:
        rls._current.reset(binding)
        take_role(rls.CONSOLE_ROLE)


@pytest.fixture
def ask(client):
    """Return a function that asks an address with a credential, and says what it was answered and what was queried."""

    def call(address: str, credential: str, body: dict | None = None, **headers: str):
        headers["Authorization"] = f"Bearer {credential}"
        with as_in_production(), CaptureQueriesContext(connection) as queries:
            if address.startswith("/api/"):
                response = client.get(address, headers=headers)
            else:
                response = client.post(address, body or {}, content_type="application/json", headers=headers)
        return response, [query["sql"] for query in queries]

    return call


@pytest.fixture
def chat(acme):
    return OverrideFactory(flag=FlagFactory(key="fleet_chat"), company=acme, enabled=True)


def value(response) -> bool:
    answer = response.json()
    if "flags" in answer:
        return next(flag["value"] for flag in answer["flags"] if flag["key"] == "fleet_chat")
    return answer["fleet_chat"]


def unknown() -> str:
    return f"hg_s_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_versions_are_all_that_is_read_for_a_known_token(ask, acme, chat, address):
    token = ApiTokenFactory(company=acme)
    for _ in range(2):
        ask(address, token.plain)
    response, queries = ask(address, token.plain)
    assert (response.status_code, value(response)) == (200, True)
    assert len(queries) == 1
    assert "flags_version" in queries[0]
    unchanged, queries = ask(address, token.plain, **{"If-None-Match": response["ETag"]})
    assert (unchanged.status_code, unchanged.content, len(queries)) == (304, b"", 1)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_plain_question_takes_the_short_way_and_gets_what_the_long_way_says(ask, acme, chat, address, monkeypatch):
    token = ApiTokenFactory(company=acme)
    long, _ = ask(address, token.plain, Accept="application/*")

    def unexpected(*args, **kwargs):
        raise AssertionError("this question goes the long way")

    monkeypatch.setattr(APIView, "dispatch", unexpected)
    short, _ = ask(address, token.plain)
    assert (short.status_code, short.content, short["ETag"]) == (200, long.content, long["ETag"])
    unchanged, _ = ask(address, token.plain, **{"If-None-Match": short["ETag"]})
    assert (unchanged.status_code, unchanged["ETag"]) == (304, long["ETag"])


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_change_is_seen_by_the_next_request(ask, acme, chat, address):
    token = ApiTokenFactory(company=acme)
    for enabled in (True, False, True, False):
        type(chat).objects.filter(pk=chat.pk).update(enabled=enabled)
        assert value(ask(address, token.plain)[0]) == enabled


ENDS = {
    "revoked": lambda token: ApiToken.objects.filter(pk=token.pk).update(revoked_at=timezone.now()),
    "deleted": lambda token: ApiToken.objects.filter(pk=token.pk).delete(),
    "ended by SQL": lambda token: connection.cursor().execute("delete from tenants_apitoken"),
    "over": lambda token: ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now() - timedelta(hours=1)),
}


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("end", ENDS)
def test_a_token_that_ends_is_refused_by_the_next_request_and_costs_the_versions_from_then_on(ask, acme, end, address):
    token = ApiTokenFactory(company=acme)
    for _ in range(3):
        assert ask(address, token.plain)[0].status_code == 200
    ENDS[end](token)
    for _ in range(2):
        response, queries = ask(address, token.plain)
        assert (response.status_code, response.json()["code"]) == (401, "TOKEN_INVALID")
    assert len(queries) == 1


def test_a_token_ends_in_its_own_time(ask, acme):
    token = ApiTokenFactory(company=acme, expires_at=timezone.now() + timedelta(hours=1))
    for _ in range(2):
        assert ask(ADDRESSES[0], token.plain)[0].status_code == 200
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        assert ask(ADDRESSES[0], token.plain)[0].status_code == 401


def test_scopes_that_are_taken_away_are_gone(ask, acme):
    token = ApiTokenFactory(company=acme)
    for _ in range(2):
        assert ask(ADDRESSES[0], token.plain)[0].status_code == 200
    ApiToken.objects.filter(pk=token.pk).update(scopes=["audit:read"])
    response, _ = ask(ADDRESSES[0], token.plain)
    assert (response.status_code, response.json()["code"]) == (403, "SCOPE_MISSING")


def test_a_company_that_is_deactivated_has_nothing_and_gets_it_back(ask, acme, chat):
    token = ApiTokenFactory(company=acme)
    for active in (True, False, True):
        Company.objects.filter(pk=acme.pk).update(is_active=active)
        for _ in range(2):
            assert value(ask(ADDRESSES[0], token.plain)[0]) == active


def test_a_company_goes_by_its_new_name_at_once(ask, acme):
    token = ApiTokenFactory(company=acme)
    for slug in ("acme", "acme-and-sons"):
        Company.objects.filter(pk=acme.pk).update(slug=slug)
        for name, status in ((slug, 200), ("globex", 403)):
            assert ask(ADDRESSES[0], token.plain, **{"X-Workspace-Id": name})[0].status_code == status


@pytest.mark.parametrize("name", ["slug", "pk"])
def test_a_server_key_may_name_any_company_and_each_is_answered_for_itself(ask, acme, chat, name):
    other, token = CompanyFactory(), ApiTokenFactory()
    for _ in range(3):
        for company, enabled in ((acme, True), (other, False)):
            response, _ = ask(ADDRESSES[1], token.plain, {"context": {"companyId": str(getattr(company, name))}})
            assert (response.status_code, value(response)) == (200, enabled)
    assert ask(ADDRESSES[1], token.plain, {"context": {"companyId": "nobody"}})[0].status_code == 400


@pytest.mark.parametrize("address", [*ADDRESSES, "/api/admin/feature-flags", "/api/features/fleet_chat"])
def test_strangers_cost_nothing_but_the_versions_and_a_second_time_nothing(ask, acme, address):
    ask(ADDRESSES[0], ApiTokenFactory(company=acme).plain)
    made_up = unknown()
    for statements in (1, 0):
        response, queries = ask(address, made_up)
        assert (response.status_code, response.json()["code"]) == (401, "TOKEN_INVALID")
        assert len(queries) == statements
    assert ask(address, "hg_s_nonsense")[1] == []


def test_a_token_that_was_made_just_now_is_no_stranger(ask, acme):
    ask(ADDRESSES[0], ApiTokenFactory(company=acme).plain)
    for _ in range(20):
        assert ask(ADDRESSES[0], unknown())[0].status_code == 401
        assert ask(ADDRESSES[0], ApiTokenFactory(company=acme).plain)[0].status_code == 200


def test_the_wrong_secret_of_a_known_token_opens_nothing(ask, acme):
    token = ApiTokenFactory(company=acme)
    ask(ADDRESSES[0], token.plain)
    for _ in range(2):
        assert ask(ADDRESSES[0], token.plain[:-4] + "AAAA")[0].status_code == 401
    assert ask(ADDRESSES[0], token.plain)[0].status_code == 200


def test_what_strangers_send_is_kept_within_bounds(monkeypatch, ask, acme):
    monkeypatch.setattr(known, "BAD_KEPT", 5)
    ask(ADDRESSES[0], ApiTokenFactory(company=acme).plain)
    for _ in range(20):
        ask(ADDRESSES[0], unknown())
    assert len(known._bad) == 5


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""
    now = [1000.0]
    monkeypatch.setattr(known, "monotonic", lambda: now[0])
    return now


def test_a_flood_of_strangers_asks_the_database_so_often_a_second_and_no_more(ask, acme, monkeypatch, clock):
    monkeypatch.setattr(known, "STRANGERS_EACH_SECOND", 3)
    ask(ADDRESSES[0], ApiTokenFactory(company=acme).plain)  # It was a stranger, too, until now.
    clock[0] += 1
    for statements in (1, 1, 1, 0, 0, 0, 0):
        response, queries = ask(ADDRESSES[0], unknown())
        assert (response.status_code, response.json()["code"]) == (401, "TOKEN_INVALID")
        assert len(queries) == statements
    assert len(known._bad) == 3, "Whoever is not judged exactly is not judged for ever."
    clock[0] += 1
    assert len(ask(ADDRESSES[0], unknown())[1]) == 1


def test_a_token_that_is_made_in_a_flood_is_known_a_second_later(ask, acme, monkeypatch, clock):
    monkeypatch.setattr(known, "STRANGERS_EACH_SECOND", 1)
    ask(ADDRESSES[0], ApiTokenFactory(company=acme).plain)
    clock[0] += 1
    ask(ADDRESSES[0], unknown())
    token = ApiTokenFactory(company=acme)
    clock[0] += 1
    ask(ADDRESSES[0], unknown())
    assert ask(ADDRESSES[0], token.plain)[0].status_code == 200


def test_where_there_are_too_many_tokens_that_is_not_found_out_again_and_again(ask, acme, monkeypatch, clock):
    monkeypatch.setattr(known, "IDS_KEPT", 1)

    def counted() -> int:
        credential = ApiTokenFactory(company=acme).plain  # With a new version of all tokens.
        response, queries = ask(ADDRESSES[0], credential)
        assert response.status_code == 200
        response, more = ask(ADDRESSES[0], unknown())
        assert response.status_code == 401
        return sum("LIMIT 2" in query for query in queries + more)

    ApiTokenFactory.create_batch(3)
    assert [counted(), counted()] == [1, 0]
    clock[0] += known.SECONDS_OF_TOO_MANY
    assert counted() == 1


def test_that_it_was_used_is_noted_once_a_minute(ask, acme):
    token = ApiTokenFactory(company=acme)
    for _ in range(3):
        ask(ADDRESSES[0], token.plain)
    first = ApiToken.objects.get(pk=token.pk).last_used_at
    assert first is not None
    with time_machine.travel(first + tokens.NOTE_USE_EVERY + timedelta(seconds=1)):
        noting = [len(ask(ADDRESSES[0], token.plain)[1]) for _ in range(3)]
    assert noting[0] > 1
    assert noting[1:] == [1, 1]
    assert ApiToken.objects.get(pk=token.pk).last_used_at > first
