"""One company: its page, making it, editing it with the impact first, switching it off and on, and its history."""

import re

import pytest

from flags import changes, companies
from flags.models import Change
from tenants.models import Company
from tests.factories import OverrideFactory
from tests.flags.console.browsing import HTMX, said_by, text_of

pytestmark = pytest.mark.django_db
ACME = "/super-admin/companies/acme/"
NEW = "/super-admin/companies/new/"


@pytest.fixture
def alices(sign_in, alice):
    return sign_in(alice)


def fresh(company: Company) -> Company:
    return Company.objects.get(pk=company.pk)


def edited(company: Company, **changed) -> dict:
    """What the form of a company sends."""
    company = fresh(company)
    form = {"name": company.name, "channel": company.channel_id, "plan": company.plan_id, "version": company.version}
    return form | changed


# The page


def test_a_company_is_seen_at_a_glance(alices, alice, acme, bob, dan):
    changes.set_override(acme, "api_access", True, actor=alice, reason="contract 881")
    page = text_of(alices.get(ACME))
    for words in ("Acme General Pro", "Overridden 1", "People 2", "Features on 5", "turned API Access on for Acme"):
        assert words in page


def test_what_needs_attention_is_said(alices, alice, acme):
    changes.set_override(acme, "driver_management", True, actor=alice)
    assert "1 override says what Acme would get anyway" in text_of(alices.get(ACME))


def test_an_inactive_company_offers_to_be_activated(alices, acme):
    Company.objects.filter(pk=acme.pk).update(is_active=False)
    page = alices.get(ACME)
    assert "Acme is not active" in text_of(page)
    assert f'href="{ACME}activate/"' in page.content.decode()
    assert "View as" not in text_of(page)


@pytest.mark.parametrize("tab", ["", "features/", "members/", "changes/"])
def test_tabs_have_addresses_and_know_which_they_are(alices, acme, tab):
    page = alices.get(ACME + tab).content.decode()
    assert re.findall(r'<a class="tab" href="([^"]+)"', page) == [
        ACME,
        f"{ACME}features/",
        f"{ACME}members/",
        f"{ACME}changes/",
    ]
    assert f'<a class="tab" href="{ACME}{tab}" aria-current="page">' in page


# History


def test_history_holds_what_concerns_this_company_and_nothing_else(alices, alice, acme, globex):
    changes.set_override(acme, "api_access", True, actor=alice, reason="for Acme")
    changes.set_override(globex, "api_access", True, actor=alice, reason="for Globex")
    page = text_of(alices.get(f"{ACME}changes/"))
    assert "for Acme" in page
    assert "for Globex" not in page
    fragment = alices.get(f"{ACME}changes/", headers=HTMX).content.decode()
    assert fragment.lstrip().startswith('<div id="changes"')


# Making one


def test_a_company_is_made(alices):
    form = {"name": "Initech", "slug": "initech", "channel": "pilot", "plan": "pro", "reason": "signed"}
    response = alices.post(NEW, form)
    assert (response.status_code, response["Location"]) == (302, "/super-admin/companies/initech/")
    company = Company.objects.get(slug="initech")
    assert (company.name, company.channel_id, company.plan_id) == ("Initech", "pilot", "pro")
    assert Change.objects.values_list("verb", "via", "reason").get() == ("create_company", "console", "signed")
    assert "Created Initech." in text_of(alices.get(response["Location"]))


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ({"slug": "acme"}, "This slug is taken."),
        ({"slug": "new"}, "This word is ours."),
        ({"slug": "Not A Slug"}, "Use lower-case letters, digits and single dashes."),
        ({"slug": "initech\n"}, ""),
        ({"name": ""}, "This field is required."),
        ({"channel": "no-such"}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_is_said_where_it_is_and_nothing_typed_is_lost(alices, acme, typed, complaint):
    form = {"name": "My <Initech>", "slug": "initech", "channel": "pilot", "plan": "pro"} | typed
    response = alices.post(NEW, form)
    if not complaint:  # What surrounds a slug is taken off.
        assert response.status_code == 302
        return
    assert response.status_code in (409, 422)
    page = response.content.decode()
    assert complaint in text_of(response)
    if "name" not in typed:
        assert 'value="My &lt;Initech&gt;"' in page
    assert Company.objects.count() == 1


# Editing it


def test_a_new_name_is_saved_at_once(alices, acme):
    response = alices.post(f"{ACME}edit/", edited(acme, name="Acme Corporation"))
    assert (response.status_code, response["Location"]) == (302, ACME)
    assert fresh(acme).name == "Acme Corporation"


def test_a_move_is_shown_with_what_it_does_before_it_is_made(alices, alice, acme):
    changes.set_channel("trip_management", "pilot", True, actor=alice)
    changes.edit_flag("driver_management", actor=alice, minimum_plan="pro")
    form = edited(acme, channel="pilot", plan="starter", reason="asked for it")
    asked = alices.post(f"{ACME}edit/", form)
    page = said_by(asked)
    assert asked.status_code == 200
    assert "Turns 1 feature on and 1 off for Acme; 3 stay on." in page
    assert "Trip Management" in page
    assert "Driver Management" in page
    assert 'value="asked for it"' in asked.content.decode()
    assert fresh(acme).channel_id == "general"
    confirmed = re.search(r'name="confirmed" value="([^"]*)"', asked.content.decode())[1]
    saved = alices.post(f"{ACME}edit/", form | {"confirmed": confirmed})
    assert saved.status_code == 302
    assert (fresh(acme).channel_id, fresh(acme).plan_id) == ("pilot", "starter")
    assert Change.objects.first().verb == "move_company"


def test_confirming_one_move_does_not_confirm_another(alices, alice, acme):
    changes.set_channel("trip_management", "pilot", True, actor=alice)
    changes.set_channel("trip_management", "internal", True, actor=alice)
    asked = alices.post(f"{ACME}edit/", edited(acme, channel="internal", confirmed="pilot pro"))
    assert "Turns 2 features on" in said_by(asked)
    assert fresh(acme).channel_id == "general"


def test_a_move_that_alters_nothing_is_made_at_once(alices, acme):
    assert alices.post(f"{ACME}edit/", edited(acme, plan="enterprise")).status_code == 302
    assert fresh(acme).plan_id == "enterprise"


def test_who_was_slower_sees_both_values_and_keeps_what_they_typed(alices, alice, acme):
    form = edited(acme, name="Mine")
    companies.edit_company(acme, actor=alice, name="Theirs")
    response = alices.post(f"{ACME}edit/", form)
    page = text_of(response)
    assert response.status_code == 409
    assert "Name Theirs Mine" in page
    assert 'name="name" value="Mine"' in response.content.decode()
    assert fresh(acme).name == "Theirs"
    version = re.search(r'name="version" value="(\d+)"', response.content.decode())[1]
    assert alices.post(f"{ACME}edit/", form | {"version": version}).status_code == 302
    assert fresh(acme).name == "Mine"


def test_a_reason_is_asked_for_where_the_house_says_so(alices, acme, settings):
    settings.FLAGS_REQUIRE_REASON = True
    response = alices.post(f"{ACME}edit/", edited(acme, name="Other"))
    assert response.status_code == 422
    assert "A reason is required. Say why." in text_of(response)
    assert fresh(acme).name == "Acme"


# Off and on


def test_deactivating_says_what_goes_and_asks_for_the_slug(alices, acme, bob):
    page = said_by(alices.get(f"{ACME}deactivate/"))
    assert "Turns 4 features off for Acme." in page
    assert "1 person loses access at once" in page
    for typed in ("", "ACME", "acm"):
        refused = alices.post(f"{ACME}deactivate/", {"slug": typed, "reason": "left <us>"})
        assert refused.status_code == 422
        assert "Type acme to deactivate it." in text_of(refused)
        assert 'value="left &lt;us&gt;"' in refused.content.decode()
    assert fresh(acme).is_active
    done = alices.post(f"{ACME}deactivate/", {"slug": "acme", "reason": "left us"})
    assert (done.status_code, done["Location"]) == (302, ACME)
    assert not fresh(acme).is_active
    assert Change.objects.values_list("verb", "reason").get() == ("edit_company", "left us")


def test_activating_brings_it_back(alices, acme):
    Company.objects.filter(pk=acme.pk).update(is_active=False)
    assert "Turns 4 features on for Acme." in said_by(alices.get(f"{ACME}activate/"))
    assert alices.post(f"{ACME}activate/").status_code == 302
    assert fresh(acme).is_active


def test_what_is_so_already_is_said(alices, acme):
    assert "It is active already" in said_by(alices.get(f"{ACME}activate/"))


def test_a_change_meanwhile_stops_the_deactivation(alices, alice, acme):
    seen = fresh(acme).version
    companies.edit_company(acme, actor=alice, name="Acme Corporation")
    refused = alices.post(f"{ACME}deactivate/", {"slug": "acme", "version": seen})
    assert refused.status_code == 409
    assert "Somebody changed" in text_of(refused)
    assert fresh(acme).is_active


@pytest.mark.parametrize("number", [1, 25])
def test_the_queries_of_its_page_do_not_grow(alices, acme, django_assert_max_num_queries, number):
    for _ in range(number):
        OverrideFactory(company=acme)
    alices.get(ACME)
    with django_assert_max_num_queries(9):
        alices.get(ACME)
