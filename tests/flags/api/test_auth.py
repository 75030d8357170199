"""Signing in and out by API."""

import jwt as pyjwt
import pytest
from django.test import Client

from flags.models import Flag
from tests.factories import PASSWORD, MembershipFactory, OverrideFactory

pytestmark = pytest.mark.django_db
SIGN_IN, REFRESH, SIGN_OUT = "/api/auth/token", "/api/auth/token/refresh", "/api/auth/logout"


@pytest.fixture
def post(anonymous):
    return lambda path, body, **kwargs: anonymous.post(path, body, content_type="application/json", **kwargs)


def claims(access: str) -> dict:
    return pyjwt.decode(access, options={"verify_signature": False})


def bearer(access: str) -> dict:
    return {"authorization": f"Bearer {access}"}


def test_email_and_password_give_a_pair(post, bob, acme, anonymous):
    response = post(SIGN_IN, {"email": bob.email.upper(), "password": PASSWORD})

    assert response.status_code == 200
    assert response.json().keys() == {"access", "refresh"}
    assert response["Cache-Control"] == "no-store"
    assert claims(response.json()["access"])["tenantId"] == str(acme.pk)
    assert anonymous.get("/api/features", headers=bearer(response.json()["access"])).status_code == 200


def test_the_active_workspace_is_claimed_only_where_the_feature_is_on(post, bob, acme):
    before = claims(post(SIGN_IN, {"email": bob.email, "password": PASSWORD}).json()["access"])
    OverrideFactory(company=acme, flag=Flag.objects.get(key="multi_workspace_enabled"))
    after = claims(post(SIGN_IN, {"email": bob.email, "password": PASSWORD}).json()["access"])

    assert "activeWorkspaceId" not in before
    assert after["activeWorkspaceId"] == after["tenantId"] == str(acme.pk)


def test_switching_the_feature_off_takes_the_claim_away_at_the_next_refresh(post, bob, acme):
    override = OverrideFactory(company=acme, flag=Flag.objects.get(key="multi_workspace_enabled"))
    pair = post(SIGN_IN, {"email": bob.email, "password": PASSWORD}).json()
    kept = post(REFRESH, {"refresh": pair["refresh"]}).json()
    override.delete()
    gone = post(REFRESH, {"refresh": kept["refresh"]}).json()

    assert "activeWorkspaceId" in claims(kept["access"])
    assert "activeWorkspaceId" not in claims(gone["access"])


def test_wrong_password_and_unknown_person_are_refused_alike(post, bob):
    answers = [
        post(SIGN_IN, {"email": email, "password": "wrong"}, headers={"x-request-id": "same-id-1"})
        for email in (bob.email, "nobody@example.com")
    ]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].content == answers[1].content
    assert answers[0].json()["code"] == "SIGN_IN_FAILED"
    assert answers[0]["WWW-Authenticate"].startswith("Bearer")


def test_guessing_gets_slower(post, bob):
    for _ in range(6):
        response = post(SIGN_IN, {"email": bob.email, "password": "wrong"})

    assert (response.status_code, response.json()["code"]) == (429, "RATE_LIMITED")
    assert int(response["Retry-After"]) >= 1


@pytest.mark.django_db(transaction=True)
def test_the_form_and_the_api_share_the_delay(post, bob, anonymous):
    """Whoever is slowed down at one door does not get on at the other."""
    for _ in range(6):
        anonymous.post("/login/", {"username": bob.email, "email": bob.email, "password": "wrong"})
    response = post(SIGN_IN, {"email": bob.email, "password": PASSWORD})
    assert (response.status_code, response.json()["code"]) == (429, "RATE_LIMITED")
    assert response["Retry-After"].isdecimal()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "x@y.example"},
        {"email": "x@y.example", "password": 7},
        {"email": ["x"], "password": "x"},
        {"email": "x@y.example", "password": "x" * 2000},
        {"email": "x@y.example", "password": "x", "remember": True},
    ],
)
def test_a_bad_body_is_refused_by_name(body, post):
    assert post(SIGN_IN, body).json()["code"] == "INVALID"


def test_a_password_is_taken_as_it_is_with_its_spaces(post, db):
    person = MembershipFactory().user
    person.set_password("  spaced out  ")
    person.save()

    assert post(SIGN_IN, {"email": person.email, "password": "  spaced out  "}).status_code == 200
    assert post(SIGN_IN, {"email": person.email, "password": "spaced out"}).status_code == 401


def test_a_refresh_token_serves_once_and_twice_ends_the_sign_in(post, bob, anonymous):
    pair = post(SIGN_IN, {"email": bob.email, "password": PASSWORD}).json()
    following = post(REFRESH, {"refresh": pair["refresh"]})
    again = post(REFRESH, {"refresh": pair["refresh"]})

    assert following.status_code == 200
    assert (again.status_code, again.json()["code"]) == (401, "REFRESH_TOKEN_INVALID")
    assert post(REFRESH, {"refresh": following.json()["refresh"]}).status_code == 401
    assert anonymous.get("/api/features", headers=bearer(following.json()["access"])).status_code == 401


@pytest.mark.parametrize("by", ["refresh", "access"])
def test_signing_out_ends_both_tokens_at_once(by, post, bob, anonymous):
    pair = post(SIGN_IN, {"email": bob.email, "password": PASSWORD}).json()

    if by == "refresh":
        response = post(SIGN_OUT, {"refresh": pair["refresh"]})
    else:
        response = post(SIGN_OUT, {}, headers=bearer(pair["access"]))

    assert response.status_code == 204
    assert anonymous.get("/api/features", headers=bearer(pair["access"])).json()["code"] == "TOKEN_INVALID"
    assert post(REFRESH, {"refresh": pair["refresh"]}).status_code == 401


def test_signing_out_as_nobody_is_401(post):
    assert post(SIGN_OUT, {}).json()["code"] == "NOT_AUTHENTICATED"


def test_an_inactive_person_cannot_sign_in_nor_go_on(post, bob, anonymous):
    pair = post(SIGN_IN, {"email": bob.email, "password": PASSWORD}).json()
    bob.is_active = False
    bob.save()

    assert post(SIGN_IN, {"email": bob.email, "password": PASSWORD}).json()["code"] == "SIGN_IN_FAILED"
    assert post(REFRESH, {"refresh": pair["refresh"]}).status_code == 401
    assert anonymous.get("/api/features", headers=bearer(pair["access"])).status_code == 401


def test_no_cookie_is_set_and_none_is_needed(bob, alice):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)

    response = client.post(SIGN_IN, {"email": bob.email, "password": PASSWORD}, content_type="application/json")

    assert response.status_code == 200
    assert not response.cookies


def test_only_post_will_do(anonymous):
    for path in (SIGN_IN, REFRESH, SIGN_OUT):
        assert anonymous.get(path).status_code == 405
