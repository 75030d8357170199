from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from tenants import tokens
from tenants.credentials import BadCredential
from tenants.models import ApiToken
from tests.factories import ApiTokenFactory

pytestmark = pytest.mark.django_db


def mint(**changes):
    return tokens.mint(**{"name": "Import", "kind": "server", "scopes": ["evaluate"], **changes})


def test_a_token_says_what_kind_it_is_and_carries_256_random_bits(acme):
    _, server = mint()
    token, client = mint(kind="client", company=acme)
    assert server.startswith("hg_s_")
    assert client.startswith(f"hg_c_{token.public_id}_")
    assert len(client.split("_", 3)[3]) == 43
    assert tokens.verify(client).company == acme


def test_nothing_stored_contains_the_secret():
    token, plain = mint()
    with connection.cursor() as cursor:
        cursor.execute("select * from tenants_apitoken")
        stored = repr(cursor.fetchall())
    assert token.digest in stored
    assert plain not in stored
    assert plain[-43:] not in stored


def test_a_token_is_recognised():
    token, plain = mint()
    assert tokens.verify(plain) == token


def test_two_tokens_never_share_anything():
    first, plain_first = mint()
    second, plain_second = mint()
    assert first.public_id != second.public_id
    assert plain_first[-43:] != plain_second[-43:]


@pytest.mark.parametrize("wrong", ["unknown", "revoked", "expired", "secret", "kind", "truncated", "longer", "spaces"])
def test_every_bad_token_is_refused_in_the_same_words(wrong):
    now = timezone.now()
    token = ApiTokenFactory(
        expires_at=now - timedelta(seconds=1) if wrong == "expired" else None,
        revoked_at=now if wrong == "revoked" else None,
    )
    plain = {
        "unknown": "hg_s_000000000000_" + "x" * 43,
        "secret": token.plain[:-1] + ("A" if token.plain[-1] != "A" else "B"),
        "kind": token.plain.replace("hg_s_", "hg_c_"),
        "truncated": token.plain[:-1],
        "longer": token.plain + "x",
        "spaces": token.plain + "\n",
    }.get(wrong, token.plain)
    with pytest.raises(BadCredential) as refusal:
        tokens.verify(plain)
    assert str(refusal.value) == "This token is unknown, expired or revoked. Ask for a new one."
    assert refusal.value.code == "TOKEN_INVALID"


def test_a_token_works_until_the_moment_it_expires(time_machine_at):
    moment = timezone.now()
    token = ApiTokenFactory(expires_at=moment + timedelta(hours=1))
    with time_machine_at(moment + timedelta(minutes=59)):
        assert tokens.verify(token.plain) == token
    with time_machine_at(moment + timedelta(hours=1)), pytest.raises(BadCredential):
        tokens.verify(token.plain)


def test_a_malformed_token_costs_no_query(django_assert_num_queries):
    with django_assert_num_queries(0), pytest.raises(BadCredential):
        tokens.verify("hg_s_what_ever")


def test_an_unknown_token_costs_what_a_known_one_costs(django_assert_num_queries):
    token = ApiTokenFactory()
    for plain in (token.plain, "hg_s_000000000000_" + "x" * 43):
        with django_assert_num_queries(1):
            try:
                tokens.verify(plain)
            except BadCredential:
                continue


@pytest.mark.parametrize(
    "changes",
    [
        {"scopes": ["fly"]},
        {"kind": "client"},  # Bound to no company.
        {"kind": "client", "scopes": ["evaluate", "flags:read"]},
    ],
)
def test_impossible_tokens_are_not_made(acme, changes):
    if "flags:read" in changes.get("scopes", ()):
        changes = {**changes, "company": acme}
    with pytest.raises(ValueError, match=r"Unknown scopes|client key"):
        mint(**changes)
    assert not ApiToken.objects.exists()


def test_use_is_noted_at_most_once_a_minute(time_machine_at):
    token = ApiTokenFactory()
    start = timezone.now()
    for seconds, noted in ((0, 0), (30, 0), (59, 0), (61, 61), (90, 61)):
        with time_machine_at(start + timedelta(seconds=seconds)):
            tokens.note_use(token)
        token.refresh_from_db()
        assert token.last_used_at == start + timedelta(seconds=noted), seconds


def test_a_note_that_others_have_made_meanwhile_is_left_alone(time_machine_at):
    token = ApiTokenFactory()
    stale_copy = ApiToken.objects.get(pk=token.pk)
    start = timezone.now()
    with time_machine_at(start):
        tokens.note_use(token)
    with time_machine_at(start + timedelta(seconds=10)):
        tokens.note_use(stale_copy)
    token.refresh_from_db()
    assert token.last_used_at == start


def test_noting_costs_no_query_while_it_is_fresh(django_assert_num_queries):
    token = ApiTokenFactory(last_used_at=timezone.now())
    with django_assert_num_queries(0):
        tokens.note_use(token)
