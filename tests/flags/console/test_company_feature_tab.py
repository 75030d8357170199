"""The Features tab: every fact of every feature, filters, and a company's own answers, changed in place."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from flags import changes
from flags.features import features_for
from flags.models import Change, Flag, Override
from flags.releasemodels import Usage
from tests.factories import FlagFactory, OverrideFactory
from tests.flags.console.browsing import HTMX, said_by, text_of

pytestmark = pytest.mark.django_db
TAB = "/super-admin/companies/acme/features/"
API = f"{TAB}api_access/"


@pytest.fixture
def alices(sign_in, alice):
    return sign_in(alice)


def row(response, key: str) -> str:
    """What the row of one feature says."""
    [markup] = re.findall(rf'<tbody id="feature-{key}".*?</tbody>', response.content.decode(), flags=re.DOTALL)
    response.content = markup
    return said_by(response)


def shown(response) -> list[str]:
    return re.findall(r'<tbody id="feature-(\w+)"', response.content.decode())


# What is shown


def test_features_stand_by_category_internal_ones_too(alices, acme):
    response = alices.get(TAB)
    markup = response.content.decode()
    headings = re.findall(r'scope="rowgroup".*?<span class="cluster">(\w+) <span class="count">(\d+)', markup)
    assert headings[:2] == [("Billing", "3"), ("Core", "6")]
    assert len(shown(response)) == 20
    assert "Inspector Internal" in row(response, "inspector")


def test_a_row_holds_global_channel_plan_override_and_what_comes_of_them(alices, alice, acme):
    changes.edit_flag("api_access", actor=alice, minimum_plan="pro")
    changes.set_channel("api_access", "general", False, actor=alice)
    changes.set_override(acme, "api_access", True, actor=alice, reason="contract 881")
    said = row(alices.get(TAB), "api_access")
    assert "API Access api_access Off Off Pro On contract 881 · Alice On" in said
    assert "Turned on for Acme by an override." in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda a: changes.kill("api_access", actor=a, reason="leak"),
            "Killed Never evaluated Killed: off for everybody",
        ),
        (lambda a: changes.edit_flag("api_access", actor=a, minimum_plan="enterprise"), "it starts with Enterprise"),
        (lambda a: changes.edit_flag("api_access", actor=a, requires=["billing_enabled"]), "It needs Billing System"),
        (lambda a: changes.set_channel("api_access", "general", True, percentage=0, actor=a), "Not yet among the 0 %"),
        (lambda a: changes.edit_flag("api_access", actor=a, needs_grant=True), "Needs a grant"),
    ],
)
def test_the_reason_is_in_words(alices, alice, acme, change, words):
    change(alice)
    assert words in row(alices.get(TAB), "api_access")


def test_what_is_odd_about_an_override_is_marked(alices, alice, acme):
    changes.set_override(acme, "driver_management", True, actor=alice)
    changes.set_override(acme, "trip_management", True, actor=alice, paused=True)
    OverrideFactory(company=acme, flag_id="api_access", flag=None, expires_at=timezone.now() - timedelta(days=1))
    assert "Redundant" in row(alices.get(TAB), "driver_management")
    assert "Paused" in row(alices.get(TAB), "trip_management")
    assert "Expired" in row(alices.get(TAB), "api_access")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"state": "overridden"}, ["driver_management", "vehicle_management", "trip_management"]),
        ({"state": "differs"}, ["driver_management", "trip_management"]),
        ({"state": "expiring"}, ["trip_management"]),
        ({"state": "redundant"}, ["vehicle_management"]),
        ({"state": "on", "q": "trip"}, ["broker_management", "trip_management"]),
        (
            {"state": "off", "q": "driver"},
            ["billing_enforcement", "driver_management", "driver_chat", "driver_payments"],
        ),
        ({"q": "API_ACC"}, ["api_access"]),
        ({"q": "parrot"}, []),
    ],
)
def test_the_address_filters(alices, alice, acme, query, found):
    soon = timezone.now() + timedelta(days=3)
    changes.set_override(acme, "driver_management", False, actor=alice)
    changes.set_override(acme, "vehicle_management", True, actor=alice)
    changes.set_override(acme, "trip_management", True, actor=alice, expires_at=soon)
    response = alices.get(TAB, query)
    assert shown(response) == found
    if "state" in query:
        assert re.search(rf'href="[^"]*state={query["state"]}[^"]*" aria-current="true"', response.content.decode())


def test_filters_say_how_many_they_would_show(alices, alice, acme):
    changes.set_override(acme, "driver_management", False, actor=alice)
    assert "On 3 Off 17 Overridden 1 Differs 1 Expiring 0 Redundant 0" in text_of(alices.get(TAB))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("overridden", "No overrides"),
        ("expiring", "Nothing is expiring"),
        ("redundant", "Nothing is redundant"),
        ("differs", "Nothing differs"),
    ],
)
def test_nothing_to_show_is_said_in_words(alices, acme, state, words):
    assert words in text_of(alices.get(TAB, {"state": state}))


def test_htmx_gets_the_list_alone(alices, acme):
    response = alices.get(TAB, {"q": "api"}, headers=HTMX)
    assert response.content.decode().lstrip().startswith('<div id="features">')
    assert "1 feature" in response["HX-Trigger"]


def test_another_companys_overrides_are_not_here(alices, alice, acme, globex):
    changes.set_override(globex, "api_access", True, actor=alice, reason="for Globex")
    page = alices.get(TAB)
    assert "for Globex" not in text_of(page)
    assert "Overridden 0" in text_of(page)


# What the company chose itself


def test_a_companys_own_choice_is_shown_and_taken_back(alices, acme, bob):
    Flag.objects.filter(key="accounting_enabled").update(is_self_service=True)
    changes.set_opt_in(acme, "accounting_enabled", True, actor=bob)
    assert "Own choice: on" in row(alices.get(TAB), "accounting_enabled")
    address = f"{TAB}accounting_enabled/choice/remove/"
    asked = alices.post(address, {"ask": "on"}, headers=HTMX)
    assert "Turns Accounting off for Acme." in said_by(asked)
    assert features_for(None, acme)["accounting_enabled"]
    done = alices.post(address, {"reason": "by mistake"}, headers=HTMX)
    assert done["HX-Retarget"] == "#feature-accounting_enabled"
    assert "Own choice" not in row(done, "accounting_enabled")
    assert not features_for(None, acme)["accounting_enabled"]
    change = Change.objects.latest("at")
    assert (change.verb, change.actor, change.reason) == ("remove_opt_in", "alice@example.com", "by mistake")


# Overriding


@pytest.mark.parametrize(("key", "preset"), [("api_access", "true"), ("driver_management", "false")])
def test_the_drawer_is_preset_to_the_opposite_of_what_is_inherited(alices, acme, key, preset):
    drawer = alices.get(f"{TAB}{key}/", headers=HTMX).content.decode()
    assert re.findall(r'name="enabled" value="(\w+)"[^>]* checked', drawer) == [preset]
    assert drawer.lstrip().startswith("<section")


def test_it_says_what_either_answer_would_do(alices, alice, acme):
    changes.edit_flag("advanced_reports", actor=alice, requires=["api_access"])
    changes.set_default("advanced_reports", True, actor=alice)
    said = said_by(alices.get(API))
    assert "Without an override Acme has it off. It is off by default." in said
    assert "On — turns it on for Acme, and Advanced Reports on with it" in said
    assert "Off — stays off" in said


def test_an_answer_that_cannot_help_says_why(alices, alice, acme):
    changes.edit_flag("api_access", actor=alice, requires=["billing_enabled"])
    assert "On — stays off: it needs another feature that is off" in text_of(alices.get(API))
    changes.kill("api_access", actor=alice, reason="leak")
    assert "On — stays off: it is killed" in text_of(alices.get(API))


def test_saved_the_row_alone_comes_back(alices, acme):
    form = {"enabled": "true", "reason": "contract 881", "expires_at": "2999-03-01T10:30", "version": "0"}
    response = alices.post(API, form, headers=HTMX)
    markup = response.content.decode()
    assert response["HX-Retarget"] == "#feature-api_access"
    assert response["HX-Reswap"] == "outerHTML"
    assert markup.lstrip().startswith('<tbody id="feature-api_access"')
    assert "Turned API Access on for Acme" in response["HX-Trigger"]
    override = Override.objects.get()
    assert (override.enabled, override.reason) == (True, "contract 881")
    assert override.expires_at.isoformat() == "2999-03-01T10:30:00+00:00"
    assert features_for(None, acme)["api_access"]
    assert Change.objects.values_list("verb", "via", "company_slug").get() == ("set_override", "console", "acme")


def test_without_scripts_it_leads_back_to_where_one_was(alices, acme):
    here = f"{TAB}?state=off"
    page = alices.get(f"{API}?next={here}").content.decode()
    assert "<html" in page
    assert "hx-post" not in page[page.index('id="drawer-override-api_access"') :].split("</section>")[0]
    assert f'name="next" value="{here}"' in page
    done = alices.post(API, {"enabled": "true", "version": "0", "next": here})
    assert (done.status_code, done["Location"]) == (302, here)
    assert "Turned API Access on for Acme." in text_of(alices.get(here))


def test_it_never_leads_to_another_site(alices, acme):
    done = alices.post(API, {"enabled": "true", "next": "https://evil.example/"})
    assert done["Location"] == f"{TAB}#feature-api_access"


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ({"expires_at": "2020-01-01T00:00"}, "Choose a moment that lies ahead."),
        ({"expires_at": "soon"}, "Enter a valid date/time."),
        ({"enabled": ""}, "This field is required."),
        ({"reason": "x" * 501}, "at most 500 characters"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(alices, acme, typed, complaint):
    form = {"enabled": "true", "reason": "because <1>", "version": "0"} | typed
    response = alices.post(API, form, headers=HTMX)
    markup = response.content.decode()
    assert response.status_code == 422
    assert complaint in said_by(response)
    assert 'id="drawer-override-api_access"' in markup
    if "reason" not in typed:
        assert 'value="because &lt;1&gt;"' in markup
    assert not Override.objects.exists()


def test_who_was_slower_sees_both_values_and_keeps_what_they_typed(alices, alice, acme):
    changes.set_override(acme, "api_access", False, actor=alice, reason="theirs")
    response = alices.post(API, {"enabled": "true", "reason": "mine", "version": "0"}, headers=HTMX)
    said, markup = said_by(response), response.content.decode()
    assert response.status_code == 409
    assert "Somebody changed the override for Acme meanwhile" in said
    assert "answer off on" in said
    assert "reason theirs mine" in said
    assert 'value="mine"' in markup
    assert 'name="version" value="1"' in markup
    assert not Override.objects.get().enabled
    again = alices.post(API, {"enabled": "true", "reason": "mine", "version": "1"}, headers=HTMX)
    assert again.status_code == 200
    assert Override.objects.get().enabled


def test_a_reason_is_required_where_the_house_says_so(alices, acme, settings):
    settings.FLAGS_REQUIRE_REASON = True
    assert " required" in alices.get(API).content.decode()
    refused = alices.post(API, {"enabled": "true"}, headers=HTMX)
    assert refused.status_code == 422
    assert "A reason is required. Say why." in text_of(refused)


# Reset


def test_a_reset_that_alters_something_asks_first(alices, alice, acme):
    changes.set_override(acme, "api_access", True, actor=alice)
    asked = alices.post(f"{API}reset/", {"ask": "on", "version": "1"}, headers=HTMX)
    assert "Turns API Access off for Acme." in said_by(asked)
    assert "Reset and turn off for Acme" in said_by(asked)
    assert Override.objects.exists()
    done = alices.post(f"{API}reset/", {"version": "1", "reason": "over"}, headers=HTMX)
    assert done["HX-Retarget"] == "#feature-api_access"
    assert not Override.objects.exists()
    assert Change.objects.first().reason == "over"


def test_a_reset_that_alters_nothing_acts_at_once(alices, alice, acme):
    changes.set_override(acme, "driver_management", True, actor=alice)
    alices.post(f"{TAB}driver_management/reset/", {"ask": "on", "version": "1"}, headers=HTMX)
    assert not Override.objects.exists()


def test_a_reset_from_an_old_page_is_refused(alices, alice, acme):
    changes.set_override(acme, "api_access", True, actor=alice, reason="first")
    changes.set_override(acme, "api_access", True, actor=alice, reason="second")
    refused = alices.post(f"{API}reset/", {"version": "1"}, headers=HTMX)
    assert refused.status_code == 409
    assert Override.objects.get().reason == "second"


# Pause and resume


def test_pausing_asks_first_and_keeps_the_override(alices, alice, acme):
    changes.set_override(acme, "api_access", True, actor=alice, reason="contract 881")
    asked = alices.post(f"{API}pause/", {"paused": "true", "ask": "on", "version": "1"}, headers=HTMX)
    assert "Pause and turn off for Acme" in said_by(asked)
    assert 'value="contract 881"' in asked.content.decode()
    assert not Override.objects.get().paused
    done = alices.post(f"{API}pause/", {"paused": "true", "version": "1"}, headers=HTMX)
    assert done["HX-Retarget"] == "#feature-api_access"
    override = Override.objects.get()
    assert (override.paused, override.reason, override.enabled) == (True, "contract 881", True)
    assert not features_for(None, acme)["api_access"]
    resumed = alices.post(f"{API}pause/", {"paused": "false", "version": "2"}, headers=HTMX)
    assert "Resumed the override of API Access for Acme" in resumed["HX-Trigger"]
    assert features_for(None, acme)["api_access"]


def test_there_must_be_something_to_pause(alices, acme):
    assert alices.post(f"{API}pause/", {"paused": "true"}).status_code == 404


def test_nonsense_is_refused_in_a_sentence(alices, alice, acme):
    changes.set_override(acme, "api_access", True, actor=alice)
    response = alices.post(f"{API}pause/", {"paused": "maybe"})
    assert response.status_code == 400
    assert "Paused : Select a valid choice. maybe is not one of the available choices." in text_of(response)


def test_each_feature_says_when_the_company_last_asked_for_it(alices, acme, globex):
    at = timezone.now()
    for company, key in ((acme, "api_access"), (globex, "driver_chat")):
        Usage.objects.create(company=company, flag_id=key, day=at.date(), on=1, last_at=at)
    assert "Evaluated" in row(alices.get(TAB), "api_access")
    assert "Never evaluated" in row(alices.get(TAB), "driver_chat")
    changed = alices.post(API, {"enabled": "true", "version": "0"}, headers=HTMX)
    assert "Evaluated" in said_by(changed)


# Speed


@pytest.mark.parametrize("number", [5, 120])
def test_the_queries_do_not_grow(alices, alice, acme, django_assert_max_num_queries, number):
    for flag in FlagFactory.create_batch(number, minimum_plan="enterprise"):
        OverrideFactory(company=acme, flag=flag)
    changes.edit_flag("api_access", actor=alice, requires=["billing_enabled"])
    alices.get(TAB)
    with django_assert_max_num_queries(9):
        page = alices.get(TAB)
    assert len(shown(page)) <= 30
