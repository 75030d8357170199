from datetime import timedelta
from uuid import uuid4

import jwt as pyjwt
import pytest
from django.test import Client
from django.utils import timezone

from tenants import jwt
from tenants.credentials import BadCredential
from tenants.models import RefreshToken
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db


def answers(access: str) -> bool:
    """Whether an access token still stands for its person."""
    try:
        jwt.person(jwt.read(access))
    except BadCredential:
        return False
    return True


def test_claims_name_the_person_and_the_home_company(bob, acme):
    claims = jwt.read(jwt.issue(bob, acme)["access"])
    assert (claims["iss"], claims["aud"], claims["sub"]) == ("headgate", "headgate-api", str(bob.id))
    assert claims["tenantId"] == str(acme.id)
    assert claims["exp"] - claims["iat"] == 15 * 60
    assert len(claims["jti"]) == 36


def test_a_person_without_a_company_has_no_tenant(alice):
    assert jwt.read(jwt.issue(alice, None)["access"])["tenantId"] is None


def test_the_active_workspace_is_claimed_only_where_one_is_active(bob, acme, globex):
    assert "activeWorkspaceId" not in jwt.read(jwt.issue(bob, acme)["access"])
    claims = jwt.read(jwt.issue(bob, acme, globex.id)["access"])
    assert (claims["activeWorkspaceId"], claims["tenantId"]) == (str(globex.id), str(acme.id))


def test_an_access_token_ends_after_fifteen_minutes_and_says_so(bob, acme, time_machine_at):
    now = timezone.now()
    with time_machine_at(now):
        access = jwt.issue(bob, acme)["access"]
    with time_machine_at(now + timedelta(minutes=14)):
        assert answers(access)
    with time_machine_at(now + timedelta(minutes=16)), pytest.raises(jwt.ExpiredToken) as refusal:
        jwt.read(access)
    assert refusal.value.code == "TOKEN_EXPIRED"


def forged(claims: dict, **changes) -> str:
    key = changes.pop("key", None)
    algorithm = changes.pop("algorithm", "HS256")
    return pyjwt.encode({**claims, **changes}, key, algorithm=algorithm)


@pytest.mark.parametrize("forgery", ["none", "secret key itself", "other key", "aud", "iss", "no sid", "no exp"])
def test_forged_tokens_are_refused(bob, acme, settings, forgery):
    claims = jwt.read(jwt.issue(bob, acme)["access"])
    key = jwt._key(settings.SECRET_KEY)
    access = {
        "none": lambda: forged(claims, key=None, algorithm="none"),
        "secret key itself": lambda: forged(claims, key=settings.SECRET_KEY),
        "other key": lambda: forged(claims, key="x" * 64),
        "aud": lambda: forged(claims, key=key, aud="somebody-else"),
        "iss": lambda: forged(claims, key=key, iss="somebody-else"),
        "no sid": lambda: forged({k: v for k, v in claims.items() if k != "sid"}, key=key),
        "no exp": lambda: forged({k: v for k, v in claims.items() if k != "exp"}, key=key),
    }[forgery]()
    assert not answers(access)


def test_tokens_outlive_a_rotation_of_the_secret_key(bob, acme, settings):
    pair = jwt.issue(bob, acme)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "the next one" * 5
    assert answers(pair["access"])
    assert answers(jwt.refresh(pair["refresh"])["access"])
    settings.SECRET_KEY_FALLBACKS = []
    assert not answers(pair["access"])


@pytest.mark.parametrize("what", ["deactivated", "deleted", "new password"])
def test_an_access_token_ends_at_once_with_what_it_rests_on(bob, acme, what):
    pair = jwt.issue(bob, acme)
    assert answers(pair["access"])
    if what == "deactivated":
        bob.is_active = False
        bob.save()
    elif what == "deleted":
        bob.delete()
    else:
        bob.set_password("another one entirely")
        bob.save()
    assert not answers(pair["access"])
    with pytest.raises(jwt.BadRefreshToken):
        jwt.refresh(pair["refresh"])


def test_refreshing_gives_a_new_pair_of_the_same_sign_in(bob, acme):
    pair = jwt.issue(bob, acme)
    fresh = jwt.refresh(pair["refresh"])
    assert fresh["refresh"] != pair["refresh"]
    assert jwt.read(fresh["access"])["sid"] == jwt.read(pair["access"])["sid"]
    assert jwt.read(fresh["access"])["jti"] != jwt.read(pair["access"])["jti"]
    assert answers(jwt.refresh(fresh["refresh"])["access"])


def test_refreshing_follows_a_person_who_moved_home(bob, acme, globex):
    pair = jwt.issue(bob, acme)
    bob.memberships.all().delete()
    MembershipFactory(user=bob, company=globex)
    assert jwt.read(jwt.refresh(pair["refresh"])["access"])["tenantId"] == str(globex.id)


def test_using_a_spent_refresh_token_ends_the_whole_chain(bob, acme):
    stolen = jwt.issue(bob, acme)
    fresh = jwt.refresh(stolen["refresh"])
    with pytest.raises(jwt.BadRefreshToken):
        jwt.refresh(stolen["refresh"])
    with pytest.raises(jwt.BadRefreshToken):
        jwt.refresh(fresh["refresh"])
    assert not answers(fresh["access"])


def test_other_sign_ins_of_the_person_go_on(bob, acme):
    phone, laptop = jwt.issue(bob, acme), jwt.issue(bob, acme)
    jwt.end(phone["refresh"])
    assert not answers(phone["access"])
    assert answers(jwt.refresh(laptop["refresh"])["access"])


def test_signing_out_ends_the_chain_also_with_a_spent_token(bob, acme):
    pair = jwt.issue(bob, acme)
    fresh = jwt.refresh(pair["refresh"])
    jwt.end(pair["refresh"])
    assert not answers(fresh["access"])


def test_signing_out_with_nonsense_is_silent(bob, acme):
    pair = jwt.issue(bob, acme)
    jwt.end("nonsense")
    assert answers(pair["access"])


def test_a_refresh_token_lives_fourteen_days(bob, acme, time_machine_at):
    now = timezone.now()
    with time_machine_at(now):
        early, late = jwt.issue(bob, acme), jwt.issue(bob, acme)
    with time_machine_at(now + timedelta(days=13, hours=23)):
        assert answers(jwt.refresh(early["refresh"])["access"])
    with time_machine_at(now + timedelta(days=14, seconds=1)), pytest.raises(jwt.BadRefreshToken):
        jwt.refresh(late["refresh"])


def test_refresh_tokens_are_stored_as_digests(bob, acme):
    pair = jwt.issue(bob, acme)
    row = RefreshToken.objects.get()
    assert row.digest not in pair["refresh"]
    assert pair["refresh"] not in repr(row.__dict__)


def test_what_has_expired_is_cleared_away_at_the_next_sign_in(bob, carol, acme, globex, time_machine_at):
    now = timezone.now()
    with time_machine_at(now - timedelta(days=15)):
        jwt.issue(bob, acme)
        jwt.issue(carol, globex)
    jwt.issue(bob, acme)
    assert RefreshToken.objects.filter(user=bob).count() == 1
    assert RefreshToken.objects.filter(user=carol).count() == 1


@pytest.mark.parametrize(
    ("is_member", "is_on", "stays"), [(True, True, True), (False, True, False), (True, False, False)]
)
def test_the_active_workspace_stays_while_it_may(bob, acme, globex, is_member, is_on, stays):
    membership = MembershipFactory(user=bob, company=globex)
    pair = jwt.issue(bob, acme, globex.id)
    if not is_member:
        membership.delete()
    fresh = jwt.refresh(pair["refresh"], workspaces_on=lambda user, company: is_on and (user, company) == (bob, acme))
    assert jwt.read(fresh["access"]).get("activeWorkspaceId") == (str(globex.id) if stays else None)


def test_a_chosen_workspace_survives_refreshing(bob, acme, globex):
    MembershipFactory(user=bob, company=globex)
    pair = jwt.issue(bob, acme)
    claims = jwt.read(jwt.activate(bob, acme, jwt.read(pair["access"])["sid"], globex.id))
    assert (claims["activeWorkspaceId"], claims["tenantId"]) == (str(globex.id), str(acme.id))
    fresh = jwt.refresh(pair["refresh"], workspaces_on=lambda user, company: True)
    assert jwt.read(fresh["access"])["activeWorkspaceId"] == str(globex.id)


def test_nobody_chooses_a_workspace_for_somebody_elses_sign_in(bob, carol, acme, globex):
    pair = jwt.issue(bob, acme)
    jwt.activate(carol, globex, jwt.read(pair["access"])["sid"], globex.id)
    assert not RefreshToken.objects.exclude(active_company=None).exists()


def test_reading_an_access_token_costs_no_query(bob, acme, django_assert_num_queries):
    pair = jwt.issue(bob, acme)
    with django_assert_num_queries(0):
        claims = jwt.read(pair["access"])
    with django_assert_num_queries(1):
        jwt.person(claims)


def test_an_unknown_person_or_family_is_refused(bob, acme, settings):
    claims = jwt.read(jwt.issue(bob, acme)["access"])
    assert not answers(forged(claims, key=jwt._key(settings.SECRET_KEY), sub=str(uuid4())))


@pytest.mark.django_db(transaction=True)
def test_theft_is_remembered_although_the_request_is_refused(bob, acme):
    """The chain ends in a transaction of its own, not in one that the refusal undoes."""
    pair = jwt.issue(bob, acme)
    jwt.refresh(pair["refresh"])
    with pytest.raises(jwt.BadRefreshToken):
        jwt.refresh(pair["refresh"])
    assert not RefreshToken.objects.filter(ended_at=None).exists()
    assert Client().get("/login/", HTTP_AUTHORIZATION=f"Bearer {pair['access']}").status_code == 200
