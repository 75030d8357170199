"""Grants on the people's page: from the person, or from the feature; allowed, denied, until when, and revoked."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from flags import changes
from flags.features import features_for
from flags.models import Change, Flag, Grant
from tests.factories import FlagFactory, GrantFactory
from tests.flags.console.browsing import HTMX, said_by, seen_in, text_of

pytestmark = pytest.mark.django_db
PEOPLE = "/super-admin/companies/acme/members/"
ROUTES = "/super-admin/companies/acme/grants/routes/"


@pytest.fixture
def alices(sign_in, alice):
    return sign_in(alice)


@pytest.fixture
def routes(acme) -> Flag:
    """A feature that Acme has, and its people need a grant for."""
    return FlagFactory(key="routes", name="Routes", needs_grant=True, default_enabled=True)


@pytest.fixture
def dans(dan) -> str:
    return f"{PEOPLE}{dan.pk}/grants/"


def test_a_grant_is_given_in_the_row(alices, routes, acme, dan, dans):
    form = {"flag": "routes", "enabled": "true", "reason": "trained", "expires_at": "2999-03-01T10:30"}
    response = alices.post(dans, form, headers=HTMX)
    assert response["HX-Retarget"] == f"#member-{dan.pk}"
    assert "Routes until" in text_of(response)
    assert '<span id="granted-routes" hx-swap-oob="true"><a' in response.content.decode()
    assert "1 person" in text_of(response)
    grant = Grant.objects.get()
    assert (grant.enabled, grant.reason, grant.user, grant.company) == (True, "trained", dan, acme)
    assert features_for(dan, acme)["routes"]
    assert Change.objects.values_list("verb", "via").get() == ("grant", "console")


def test_a_denial_takes_what_the_company_has(alices, acme, dan, dans):
    alices.post(dans, {"flag": "driver_management", "enabled": "false"}, headers=HTMX)
    assert not features_for(dan, acme)["driver_management"]
    assert "Driver Management: denied" in said_by(alices.get(PEOPLE))


def test_the_drawer_shows_what_is_held_and_offers_what_needs_a_grant_first(alices, routes, acme, dan, dans):
    GrantFactory(company=acme, user=dan, flag=routes, reason="trained")
    response = alices.get(f"{dans}?flag=routes", headers=HTMX)
    markup = response.content.decode()
    assert "trained" in text_of(response)
    assert 'hx-get="/super-admin/suggestions/?needs_grant=first"' in markup
    assert 'value="trained"' in markup
    assert 'name="flag" value="routes"' in markup


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ({"flag": ""}, "This field is required."),
        ({"flag": "parrot"}, "There is no flag “parrot”. Type its key or its name."),
        ({"enabled": ""}, "This field is required."),
        ({"expires_at": "2020-01-01T00:00"}, "Choose a moment that lies ahead."),
    ],
)
def test_what_is_wrong_is_said_where_it_is(alices, routes, dans, typed, complaint):
    form = {"flag": "routes", "enabled": "true", "reason": "my <reason>"} | typed
    refused = alices.post(dans, form, headers=HTMX)
    assert refused.status_code == 422
    assert complaint in text_of(refused)
    assert 'value="my &lt;reason&gt;"' in refused.content.decode()
    assert not Grant.objects.exists()


def test_without_scripts_it_is_given_on_a_page(alices, routes, dan, dans):
    page = alices.get(dans).content.decode()
    assert "<html" in page
    assert "hx-post" not in page.split('class="drawer"')[1].split("</section>")[0]
    done = alices.post(dans, {"flag": "routes", "enabled": "true", "next": PEOPLE})
    assert (done.status_code, done["Location"]) == (302, PEOPLE)
    assert Grant.objects.get().user == dan


def test_it_is_revoked_from_the_drawer(alices, routes, acme, dan, dans):
    GrantFactory(company=acme, user=dan, flag=routes)
    drawer = alices.get(dans, headers=HTMX).content.decode()
    [revoke] = re.findall(r'hx-get="([^"]+)/revoke/', drawer)
    asked = alices.get(f"{revoke}/revoke/", headers=HTMX)
    assert "Dan can no longer use it at Acme." in said_by(asked)
    response = alices.post(f"{revoke}/revoke/", {"seen": seen_in(asked), "reason": "left the team"}, headers=HTMX)
    assert response["HX-Retarget"] == f"#member-{dan.pk}"
    assert not Grant.objects.exists()
    assert not features_for(dan, acme)["routes"]
    assert Change.objects.values_list("verb", "reason").first() == ("revoke", "left the team")


def test_revoking_says_nothing_of_the_reason_for_another_grant(alices, routes, acme, dan, dans):
    GrantFactory(company=acme, user=dan, flag=routes, reason="trained")
    drawer = alices.get(f"{dans}?flag=routes", headers=HTMX).content.decode()
    assert 'value="trained"' in drawer
    asked = alices.get(f"{dans}routes/revoke/", headers=HTMX).content.decode()
    assert 'name="reason" value=""' in asked


def test_what_somebody_else_granted_meanwhile_is_told_and_what_was_typed_stays(alices, alice, routes, acme, dan, dans):
    seen = seen_in(alices.get(dans, headers=HTMX))
    changes.grant(acme, dan, "routes", actor=alice, reason="by Tom")
    form = {"flag": "routes", "enabled": "false", "reason": "by me", "seen": seen}
    told = alices.post(dans, form, headers=HTMX)
    assert told.status_code == 409
    assert "reason by Tom by me" in text_of(told)
    assert 'value="by me"' in told.content.decode()
    assert Grant.objects.get().enabled
    alices.post(dans, form | {"seen": seen_in(told)}, headers=HTMX)
    assert not Grant.objects.get().enabled


def test_what_was_granted_of_another_feature_is_no_conflict(alices, alice, routes, acme, dan, dans):
    seen = seen_in(alices.get(dans, headers=HTMX))
    changes.grant(acme, dan, "driver_management", enabled=False, actor=alice)
    response = alices.post(dans, {"flag": "routes", "enabled": "true", "seen": seen}, headers=HTMX)
    assert response.status_code == 200


def test_a_grant_that_changed_meanwhile_is_not_revoked_unseen(alices, alice, routes, acme, dan, dans):
    grant = changes.grant(acme, dan, "routes", actor=alice, reason="trained")
    seen = seen_in(alices.get(f"{dans}routes/revoke/", headers=HTMX))
    changes.grant(acme, dan, "routes", enabled=False, actor=alice, reason="by Tom")
    told = alices.post(f"{dans}routes/revoke/", {"seen": seen, "reason": "by me"}, headers=HTMX)
    assert told.status_code == 409
    assert "by Tom" in text_of(told)
    assert 'value="by me"' in told.content.decode()
    assert Grant.objects.get(pk=grant.pk).reason == "by Tom"


def test_a_reason_that_is_missing_is_asked_for_when_revoking(alices, routes, acme, dan, dans, settings):
    settings.FLAGS_REQUIRE_REASON = True
    GrantFactory(company=acme, user=dan, flag=routes)
    refused = alices.post(f"{dans}routes/revoke/", headers=HTMX)
    assert refused.status_code == 422
    assert "A reason is required" in text_of(refused)
    assert Grant.objects.exists()
    assert alices.post(f"{dans}routes/revoke/", {"reason": "left the team"}, headers=HTMX).status_code == 200
    assert not Grant.objects.exists()


def test_a_grant_that_is_over_says_so(alices, routes, acme, dan):
    GrantFactory(company=acme, user=dan, flag=routes, expires_at=timezone.now() - timedelta(minutes=1))
    assert "Routes: ended" in said_by(alices.get(PEOPLE))


# From the feature


def test_features_that_need_a_grant_are_listed_with_who_holds_them(alices, routes, acme, dan, cora):
    GrantFactory(company=acme, user=dan, flag=routes)
    GrantFactory(company=acme, user=cora, flag=routes, enabled=False)
    page = alices.get(PEOPLE)
    assert "Routes routes 1 person 1 person" in text_of(page)
    assert f'href="{PEOPLE}?flag=routes"' in page.content.decode()


def test_somebody_is_found_by_name_while_typing(alices, routes, acme, dan, bob, carol):
    options = alices.get(ROUTES, {"suggest": "on", "email": "da"}, headers=HTMX).content.decode()
    assert re.findall(r'<option value="([^"]+)">', options) == ["dan@acme.example"]


def test_a_feature_is_granted_to_whoever_was_found(alices, routes, acme, dan):
    form = {"email": " DAN@acme.example", "enabled": "true", "reason": "trained"}
    response = alices.post(ROUTES, form, headers=HTMX)
    assert response["HX-Retarget"] == "#members"
    assert Grant.objects.get().user == dan
    assert alices.post(ROUTES, form | {"enabled": "false"})["Location"] == PEOPLE
    assert not Grant.objects.get().enabled


def test_from_the_feature_too_a_conflict_is_told(alices, alice, routes, acme, dan, cora):
    changes.grant(acme, dan, "routes", actor=alice, reason="trained")
    seen = seen_in(alices.get(ROUTES, {"email": dan.email}, headers=HTMX))
    changes.grant(acme, dan, "routes", enabled=False, actor=alice, reason="by Tom")
    form = {"email": dan.email, "enabled": "true", "reason": "by me", "seen": seen}
    told = alices.post(ROUTES, form, headers=HTMX)
    assert (told.status_code, Grant.objects.get().enabled) == (409, False)
    assert "reason by Tom by me" in text_of(told)
    # Of somebody else, typed in their place, nothing was seen.
    assert alices.post(ROUTES, form | {"email": cora.email}, headers=HTMX).status_code == 200
    assert alices.post(ROUTES, form | {"seen": seen_in(told)}, headers=HTMX).status_code == 200
    assert Grant.objects.get(user=dan).enabled


@pytest.mark.parametrize("email", ["carol@globex.example", "nobody@acme.example", ""])
def test_nobody_else_is_granted_anything(alices, routes, acme, carol, email):
    refused = alices.post(ROUTES, {"email": email, "enabled": "true", "reason": "my <reason>"}, headers=HTMX)
    assert refused.status_code == 422
    assert ("Nobody of Acme has this address" if email else "This field is required") in text_of(refused)
    assert 'value="my &lt;reason&gt;"' in refused.content.decode()
    assert not Grant.objects.exists()


def test_without_scripts_the_feature_has_a_page_of_its_own(alices, routes, acme):
    page = alices.get(ROUTES)
    assert "<h1>Routes</h1>" in page.content.decode()
    assert "Grant Routes to somebody of Acme" in text_of(page)


def test_a_company_without_such_features_is_not_bothered(alices, acme, alice):
    assert "Features that need a grant" not in text_of(alices.get(PEOPLE))
    changes.edit_flag("api_access", actor=alice, needs_grant=True)
    assert "Features that need a grant" in text_of(alices.get(PEOPLE))
