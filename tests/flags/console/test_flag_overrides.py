"""Overrides from a flag: who differs, in place; giving a company its own answer; taking it back."""

import pytest
from django.urls import reverse
from django.utils import timezone

from flags import changes
from flags.features import features_for
from flags.models import Change, Override
from tests.factories import CompanyFactory, OverrideFactory
from tests.flags.console.browsing import HTMX, text_of

pytestmark = pytest.mark.django_db
FLAG = "/super-admin/feature-flags/api_access/"
ACME = FLAG + "overrides/acme/"


@pytest.fixture
def override(alice, acme):
    return changes.set_override(acme, "api_access", True, actor=alice, reason="contract 881")


# In the row


def test_the_row_opens_who_differs_in_place(alices, override):
    listed = text_of(alices.get(FLAG + "overrides/", {"place": "row"}, headers=HTMX))
    for words in ("Companies that differ 1", "Acme general On contract 881", "Alice", "No end", "Reset"):
        assert words in listed


def test_a_long_list_names_the_first_and_leads_to_all(alices):
    first = OverrideFactory(flag_id="api_access", flag=None)
    for _ in range(14):
        OverrideFactory(flag=first.flag)
    listed = alices.get(FLAG + "overrides/", {"place": "row"}, headers=HTMX)
    assert listed.content.decode().count("<tbody") == 10
    assert "All 15 overrides" in text_of(listed)


def test_without_scripts_the_link_leads_to_the_page(alices, override):
    row = alices.get("/super-admin/feature-flags/?q=api_access").content.decode()
    assert f'href="{FLAG}#overrides"' in row


def test_expired_and_paused_ones_say_so(alices, alice, acme, globex):
    changes.set_override(acme, "api_access", True, actor=alice, paused=True)
    changes.set_override(globex, "api_access", True, actor=alice)
    Override.objects.filter(company=globex).update(expires_at=timezone.now())
    listed = text_of(alices.get(FLAG + "overrides/", {"place": "row"}, headers=HTMX))
    assert "On Paused" in listed
    assert "On Expired" in listed


@pytest.mark.parametrize("number", [1, 9])
def test_opening_costs_the_same_for_one_and_for_many(alices, django_assert_max_num_queries, number):
    first = OverrideFactory(flag_id="api_access", flag=None)
    for _ in range(number):
        OverrideFactory(flag=first.flag)
    with django_assert_max_num_queries(6):
        alices.get(FLAG + "overrides/", {"place": "row"}, headers=HTMX)


# Which company


@pytest.mark.parametrize("typed", ["acme", "Acme", "ACME"])
def test_a_company_is_found_by_slug_or_name(alices, acme, typed):
    response = alices.get(FLAG + "override/", {"q": typed})
    assert (response.status_code, response["Location"]) == (302, ACME)
    drawer = alices.get(FLAG + "override/", {"q": typed}, headers=HTMX)
    assert "API Access for Acme" in text_of(drawer)


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_an_unknown_company_is_told_with_a_guess(alices, acme, headers):
    response = alices.get(FLAG + "override/", {"q": "acm"}, headers=headers)
    assert response.status_code == 422
    assert "No single company is called “acm”. Did you mean Acme ?" in text_of(response)
    assert 'value="acm"' in response.content.decode()


def test_a_name_that_two_have_is_no_name(alices, acme):
    CompanyFactory(slug="acme-two", name="Acme")
    twins = alices.get(FLAG + "override/", {"q": "Acme"}).context["near"]
    assert {address for _, address in twins} == {
        reverse("console:flag_override", args=["api_access", slug]) for slug in ("acme", "acme-two")
    }


def test_candidates_are_named_while_one_types(alices, acme, globex):
    options = alices.get(FLAG + "override/", {"q": "glo", "suggest": "1"}, headers=HTMX).content.decode().strip()
    assert options == '<option value="globex">Globex · pilot</option>'
    assert alices.get(FLAG + "override/", {"q": "", "suggest": "1"}, headers=HTMX).content.decode().strip() == ""


# Setting


@pytest.mark.parametrize(("default", "preset"), [(False, "true"), (True, "false")])
def test_a_new_override_starts_as_the_opposite_of_what_is_inherited(alices, alice, acme, default, preset):
    changes.set_default("api_access", default, actor=alice)
    response = alices.get(ACME)
    markup = " ".join(response.content.decode().split())
    assert f'value="{preset}" id="drawer-override-api_access-acme-{preset}" checked' in markup
    assert f"Without an override Acme has it {'on' if default else 'off'}" in text_of(response)


def test_both_answers_say_what_they_would_do(alices, acme):
    page = text_of(alices.get(ACME))
    assert "On — turns it on for Acme" in page
    assert "Off — stays off" in page


def test_an_existing_override_is_shown_as_it_is(alices, override):
    markup = " ".join(alices.get(ACME).content.decode().split())
    assert 'value="true" id="drawer-override-api_access-acme-true" checked' in markup
    assert 'value="contract 881"' in markup
    assert 'name="version" value="1"' in markup


def test_it_is_set_with_reason_and_end(alices, acme):
    said = {"enabled": "true", "reason": "contract 881", "expires_at": "2100-03-03T09:30", "version": "0"}
    response = alices.post(ACME, said)
    assert (response.status_code, response["Location"]) == (302, FLAG + "?show=all#overrides")
    override = Override.objects.get()
    assert (override.enabled, override.reason, override.created_by.name) == (True, "contract 881", "Alice")
    assert override.expires_at.isoformat() == "2100-03-03T09:30:00+00:00"
    assert features_for(None, acme)["api_access"]
    assert Change.objects.get().via == "console"


def test_on_its_page_the_page_comes_back_and_in_the_row_the_row_with_the_list_open(alices, acme):
    page = alices.post(ACME, {"enabled": "true", "place": "page"}, headers=HTMX)
    assert page["HX-Retarget"] == "#flag-page"
    row = alices.post(ACME, {"enabled": "false", "place": "row"}, headers=HTMX)
    assert row["HX-Retarget"] == "#flag-api_access"
    assert "0 on · 1 off" in text_of(row)
    assert "Companies that differ 1" in text_of(row)
    assert "Turned API Access off for Acme." in row["HX-Trigger"]


def test_what_is_picked_on_the_page_swaps_the_page_alone(alices, acme):
    page = " ".join(alices.get(FLAG).content.decode().split())
    assert f'hx-get="{FLAG}override/" hx-target="#place-override-api_access"' in page
    drawer = alices.get(FLAG + "override/", {"q": "acme", "place": "page"}, headers=HTMX).content.decode()
    assert f'hx-post="{ACME}" hx-target="#drawer-override-api_access-acme"' in drawer
    assert '<input type="hidden" name="place" value="page">' in drawer


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"enabled": "true", "expires_at": "2001-01-01T00:00"}, "lies in the past"),
        ({"enabled": "true", "expires_at": "soon"}, "Enter a valid date/time."),
        ({"enabled": "maybe"}, "Select a valid choice"),
        ({}, "This field is required."),
        ({"enabled": "true", "reason": "x" * 501}, "at most 500 characters"),
    ],
)
def test_what_is_wrong_stands_in_the_drawer_and_nothing_is_lost(alices, acme, said, words):
    response = alices.post(ACME, {"reason": "contract 881"} | said, headers=HTMX)
    assert response.status_code == 422
    assert words in text_of(response)
    assert said.get("reason", "contract 881")[:12] in response.content.decode()
    assert not Override.objects.exists()


def test_a_lost_race_is_told_with_both_values(alices, alice, override, acme):
    changes.set_override(acme, "api_access", False, actor=alice, reason="theirs")
    response = alices.post(ACME, {"enabled": "true", "reason": "mine", "version": "1"}, headers=HTMX)
    page = text_of(response)
    assert response.status_code == 409
    assert "Somebody changed the override for Acme meanwhile" in page
    assert "Field Now Yours answer off on reason theirs mine" in page
    assert 'value="mine"' in response.content.decode()
    assert 'name="version" value="2"' in response.content.decode()
    assert Override.objects.get().reason == "theirs"


# Taking back


def test_resetting_says_what_it_does_first(alices, override, acme):
    asked = alices.post(ACME + "reset/", {"ask": "on", "version": "1"}, headers=HTMX)
    assert "Turns API Access off for Acme" in text_of(asked)
    assert "Reset and turn off for Acme" in text_of(asked)
    assert Override.objects.exists()


def test_a_reset_that_alters_nothing_acts_at_once(alices, alice, acme):
    changes.set_override(acme, "api_access", False, actor=alice)
    alices.post(ACME + "reset/", {"ask": "on", "version": "1"}, headers=HTMX)
    assert not Override.objects.exists()


def test_confirmed_it_resets_and_closes_the_row(alices, override, acme):
    response = alices.post(ACME + "reset/", {"version": "1", "place": "row", "reason": "over"}, headers=HTMX)
    assert not Override.objects.exists()
    assert not features_for(None, acme)["api_access"]
    assert "No overrides" in text_of(response)
    assert Change.objects.first().reason == "over"


def test_without_scripts_it_asks_on_a_page(alices, override):
    page = alices.get(ACME + "reset/")
    assert "Reset API Access for Acme?" in text_of(page)
    assert Override.objects.exists()
    assert alices.post(ACME + "reset/", {"version": "1"}).status_code == 302
    assert not Override.objects.exists()


def test_resetting_what_changed_meanwhile_is_refused(alices, alice, override, acme):
    changes.set_override(acme, "api_access", True, actor=alice, reason="renewed")
    response = alices.post(ACME + "reset/", {"version": "1"}, headers=HTMX)
    assert response.status_code == 409
    assert Override.objects.get().reason == "renewed"


def test_a_company_at_rest_has_no_answers_to_lose(alices, override, acme):
    acme.is_active = False
    acme.save()
    assert "no effect while Acme is inactive" in text_of(alices.get(ACME))
    alices.post(ACME + "reset/", {"ask": "on", "version": "1"})
    assert not Override.objects.exists()


@pytest.mark.parametrize("path", ["overrides/", "override/", "overrides/acme/", "overrides/acme/reset/"])
def test_others_may_not(sign_in, bob, client, override, path):
    for method in ("get", "post"):
        assert getattr(sign_in(bob), method)(FLAG + path, {"enabled": "false"}).status_code == 403
        assert getattr(client, method)(FLAG + path, {"enabled": "false"}).status_code == 302
    assert Override.objects.get().enabled


@pytest.mark.parametrize("path", ["overrides/", "override/"])
def test_looking_things_up_takes_no_post(alices, path):
    assert alices.post(FLAG + path).status_code == 405


@pytest.mark.parametrize("path", ["overrides/nowhere/", "overrides/nowhere/reset/"])
def test_an_unknown_company_is_not_found(alices, path):
    assert alices.post(FLAG + path, {"enabled": "true"}).status_code == 404


def test_the_drawer_takes_few_queries_whatever_there_is(alices, override, django_assert_max_num_queries):
    alices.get(ACME)
    with django_assert_max_num_queries(10):
        alices.get(ACME, headers=HTMX)
