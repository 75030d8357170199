"""The global switch: shows first whom it reaches, acts once, and loses nothing when somebody was faster."""

import re

import pytest

from flags import changes
from flags.features import features_for
from flags.models import Change, Flag
from tests.factories import CompanyFactory, OverrideFactory
from tests.flags.console.browsing import HTMX, text_of

pytestmark = pytest.mark.django_db
SWITCH = "/super-admin/feature-flags/trip_management/default/"


def version() -> int:
    return Flag.objects.get(key="trip_management").version


def is_on() -> bool:
    return Flag.objects.get(key="trip_management").default_enabled


def test_the_switch_asks_in_the_row_before_it_acts(alices, alice, acme, globex, default_tenant):
    changes.set_override(globex, "trip_management", False, actor=alice)
    asked = {"enabled": "true", "ask": "on", "place": "row", "version": version()}
    response = alices.post(SWITCH, asked, headers=HTMX)
    drawer = text_of(response)
    assert response.status_code == 200
    assert "Turns Trip Management on for 2 of 3 companies; 1 override stays off" in drawer
    assert "Acme, Default Tenant" in drawer
    assert "Turn on for 2 companies" in drawer
    assert not is_on()


def test_looking_changes_nothing(alices, acme):
    page = alices.get(SWITCH, {"enabled": "true"})
    assert "Turn on for 1 company" in text_of(page)
    assert not is_on()
    assert not Change.objects.exists()


def test_confirmed_it_acts_and_returns_the_row(alices, acme):
    answer = {"enabled": "true", "place": "row", "version": version(), "reason": "launch"}
    response = alices.post(SWITCH, answer, headers=HTMX)
    markup = response.content.decode()
    assert is_on()
    assert features_for(None, acme)["trip_management"]
    assert response["HX-Retarget"] == "#flag-trip_management"
    assert 'id="flag-trip_management"' in markup
    assert 'aria-checked="true"' in markup
    assert "Turned Trip Management on by default" in response["HX-Trigger"]
    assert Change.objects.values_list("via", "reason", "actor_name").get() == ("console", "launch", "Alice")


def test_the_row_returned_is_the_row_of_the_page(alices, acme):
    answer = {"enabled": "true", "place": "row", "version": version()}
    row = alices.post(SWITCH, answer, headers=HTMX).content.decode()
    page = alices.get("/super-admin/feature-flags/").content.decode()
    start = page.index('<li class="flag-row" id="flag-trip_management"')
    ours = page[start : page.index("</li>", page.index('class="flag-drawer"', start))]
    plain = [" ".join(part.split()) for part in (ours, row)]
    without_tokens = [_without_tokens(part) for part in plain]
    assert without_tokens[0] in without_tokens[1]


def _without_tokens(markup: str) -> str:
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", markup)


def test_what_alters_nothing_acts_at_once(alices, acme, alice):
    changes.set_override(acme, "trip_management", True, actor=alice)
    alices.post(SWITCH, {"enabled": "true", "ask": "on", "version": version()}, headers=HTMX)
    assert is_on()


def test_without_scripts_it_asks_on_a_page_and_then_goes_back(alices, acme):
    asked = {"enabled": "true", "ask": "on", "next": "/super-admin/feature-flags/?q=trip"}
    page = alices.post(SWITCH, asked)
    assert "<h1>Trip Management</h1>" in page.content.decode()
    assert 'name="next" value="/super-admin/feature-flags/?q=trip"' in page.content.decode()
    assert not is_on()
    done = alices.post(SWITCH, {"enabled": "true", "next": "/super-admin/feature-flags/?q=trip"})
    assert (done.status_code, done["Location"]) == (302, "/super-admin/feature-flags/?q=trip")
    assert is_on()
    assert "Turned Trip Management on by default." in text_of(alices.get(done["Location"]))


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_it_never_goes_back_to_another_site(alices, elsewhere):
    done = alices.post(SWITCH, {"enabled": "true", "next": elsewhere})
    assert done["Location"] == "/super-admin/feature-flags/#flag-trip_management"


def test_a_lost_race_is_told_and_what_was_typed_stays(alices, alice, acme):
    seen = version()
    changes.set_channel("trip_management", "pilot", True, actor=alice)
    answer = {"enabled": "true", "place": "row", "version": seen, "reason": "my <reason>"}
    response = alices.post(SWITCH, answer, headers=HTMX)
    markup = response.content.decode()
    assert response.status_code == 409
    assert "Somebody changed the flag" in text_of(response)
    assert "Field Now Yours default off on" in text_of(response)
    assert 'value="my &lt;reason&gt;"' in markup
    assert f'name="version" value="{version()}"' in markup
    assert not is_on()


def test_a_missing_reason_is_asked_for_where_it_is_missing(alices, settings):
    settings.FLAGS_REQUIRE_REASON = True
    asked = alices.post(SWITCH, {"enabled": "true", "ask": "on"}, headers=HTMX)
    assert " required" in asked.content.decode()
    refused = alices.post(SWITCH, {"enabled": "true"}, headers=HTMX)
    assert refused.status_code == 422
    assert "A reason is required. Say why." in text_of(refused)
    assert not is_on()


@pytest.mark.parametrize("said", [{}, {"enabled": "maybe"}])
def test_nonsense_is_refused_in_a_sentence(alices, said):
    response = alices.post(SWITCH, said)
    assert response.status_code == 400
    assert "Enabled :" in text_of(response)
    assert not is_on()


def test_an_unknown_flag_is_not_found(alices):
    assert alices.post("/super-admin/feature-flags/parrot/default/", {"enabled": "true"}).status_code == 404


def test_others_may_not(sign_in, bob, client):
    assert sign_in(bob).post(SWITCH, {"enabled": "true"}).status_code == 403
    assert client.post(SWITCH, {"enabled": "true"}).status_code == 302
    assert client.post(SWITCH, {"enabled": "true"}, headers=HTMX).status_code == 401
    assert not is_on()


def test_a_forged_form_is_refused(sign_in, alice):
    browser = sign_in(alice, enforce_csrf_checks=True)
    assert browser.post(SWITCH, {"enabled": "true"}).status_code == 403
    assert not is_on()


@pytest.mark.parametrize("number", [1, 40])
def test_asking_costs_the_same_for_many_companies(alices, django_assert_max_num_queries, number):
    flag = Flag.objects.get(key="trip_management")
    for company in CompanyFactory.create_batch(number):
        OverrideFactory(company=company, flag=flag)
    CompanyFactory.create_batch(number)
    with django_assert_max_num_queries(13):
        asked = alices.post(SWITCH, {"enabled": "true", "ask": "on"}, headers=HTMX)
    assert f"{number} override" in text_of(asked)
