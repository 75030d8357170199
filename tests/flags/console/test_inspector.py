"""The Inspector: why somebody has a feature or not, what if, and how two companies differ. It only looks."""

import re

import pytest

from flags import changes, usage
from flags.models import Change, Override
from flags.releasemodels import Usage
from tests.factories import GrantFactory
from tests.flags.console.browsing import text_of

pytestmark = pytest.mark.django_db
PAGE = "/super-admin/inspector/"


@pytest.fixture
def alices(sign_in, alice):
    return sign_in(alice)


def cells(response) -> dict[str, list[str]]:
    """The answers of the grid by flag: "On override", one for each company."""
    found = {}
    for row in re.findall(r"<tr[ >].*?</tr>", response.content.decode().partition("<tbody>")[2], re.DOTALL):
        key = re.search(r"<code>(\w+)</code>", row)[1]
        texts = [re.sub(r"<[^>]+>", " ", cell) for cell in re.findall(r"<td>(.*?)</td>", row, re.DOTALL)]
        found[key] = [" ".join(text.split()) for text in texts]
    return found


def test_without_a_question_it_asks_for_one(alices):
    page = text_of(alices.get(PAGE))
    assert "Whom are you asking about?" in page
    assert "Tenant isolation" in page


def test_the_grid_has_a_row_for_each_flag_and_a_column_for_each_company(alices, alice, acme, globex):
    changes.set_override(acme, "api_access", True, actor=alice)
    found = cells(alices.get(PAGE, {"company": ["acme", "globex"]}))
    assert len(found) > 12
    assert found["api_access"][0].startswith("On override")
    assert found["api_access"][1].startswith("Off")


def test_a_cell_opens_its_ladder_and_says_what_to_tell_the_customer(alices, alice, acme):
    changes.set_override(acme, "api_access", False, actor=alice)
    page = alices.get(PAGE, {"company": "acme", "flag": "api_access", "open": "acme:api_access"})
    content = page.content.decode()
    assert 'id="ladder"' in content
    assert "Override for the company" in text_of(page)
    assert "To tell the customer:" in text_of(page)
    assert 'id="ladder"' not in alices.get(PAGE, {"company": "acme", "open": "acme:nonsense"}).content.decode()


@pytest.mark.parametrize(
    ("what_if", "answer"),
    [
        ({"override": "on"}, "On override, not off (default)"),
        ({"default": "on"}, "On default, not off (default)"),
        ({"override": "off"}, "Off override, not off (default)"),
        ({"override": "none"}, "Off default"),
        ({}, "Off default"),
    ],
)
def test_what_if_is_shown_beside_what_is(alices, acme, what_if, answer):
    found = cells(alices.get(PAGE, {"company": "acme", "flag": "trip_management", **what_if}))
    assert found == {"trip_management": [answer]}


def test_another_channel_or_plan_can_be_supposed(alices, alice, acme):
    changes.set_channel("trip_management", "pilot", True, actor=alice)
    asked = {"company": "acme", "flag": "trip_management"}
    assert cells(alices.get(PAGE, {**asked, "channel": "pilot"}))["trip_management"][0].startswith(
        "On channel, not off"
    )
    changes.edit_flag("trip_management", actor=alice, minimum_plan="enterprise")
    assert cells(alices.get(PAGE, {**asked, "channel": "pilot"}))["trip_management"][0].startswith("Off plan")
    supposed = {**asked, "channel": "pilot", "plan": "enterprise"}
    assert cells(alices.get(PAGE, supposed))["trip_management"][0].startswith("On channel")


def test_a_person_is_asked_for_with_their_grants(alices, alice, acme, dan):
    changes.set_default("trip_management", True, actor=alice)
    changes.edit_flag("trip_management", actor=alice, needs_grant=True)
    asked = {"company": "acme", "flag": "trip_management", "person": dan.email}
    assert cells(alices.get(PAGE, asked)) == {"trip_management": ["Off grant_missing"]}
    GrantFactory(company=acme, user=dan, flag_id="trip_management", flag=None)
    assert cells(alices.get(PAGE, asked)) == {"trip_management": ["On default"]}


def test_only_what_differs_is_left_when_comparing(alices, alice, acme, globex):
    asked = {"company": ["acme", "globex"], "compare": "1"}
    before = cells(alices.get(PAGE, asked))
    assert "broker_management" not in before
    changes.set_override(acme, "broker_management", True, actor=alice)
    after = cells(alices.get(PAGE, asked))
    assert after.keys() - before.keys() == {"broker_management"}


def test_whatever_makes_no_sense_is_named_and_left_out(alices, acme):
    page = text_of(
        alices.get(
            PAGE,
            {
                "company": ["acme", "acne"],
                "flag": "parrot",
                "person": "nobody@example.com",
                "at": "tomorrow",
                "channel": "beta",
                "plan": "free",
                "percentage": "120",
            },
        )
    )
    for problem in (
        "There is no company “acne”",
        "There is no flag “parrot”",
        "There is nobody with the address “nobody@example.com”",
        "“tomorrow” is no moment",
        "There is no channel “beta”",
        "There is no plan “free”",
        "“120” is no percentage",
    ):
        assert problem in page


@pytest.mark.parametrize("at", ["2026-13-45T99:99", "0001-01-01T00:00", "9999-12-31T23:59"])
def test_odd_moments_are_answered(alices, acme, at):
    assert alices.get(PAGE, {"company": "acme", "at": at}).status_code == 200


def test_looking_writes_nothing_and_is_no_use(alices, alice, acme, globex, settings):
    settings.FLAGS_USAGE_SECONDS = 5
    changes.set_override(acme, "api_access", True, actor=alice)
    usage.forget()
    before = (Change.objects.count(), list(Override.objects.values()))
    alices.get(PAGE, {"company": ["acme", "globex"], "override": "on", "open": "acme:api_access"})
    usage.flush()
    assert (Change.objects.count(), list(Override.objects.values())) == before
    assert not Usage.objects.filter(company__in=[acme, globex]).exists()


@pytest.mark.parametrize("flags", [[], ["api_access"]])
def test_queries_do_not_grow_with_flags(alices, acme, globex, flags, django_assert_max_num_queries):
    with django_assert_max_num_queries(18):
        alices.get(PAGE, {"company": ["acme", "globex"], "flag": flags})


def test_others_are_refused_and_it_falls_with_its_own_flag(sign_in, bob, client, alices, alice):
    assert sign_in(bob).get(PAGE).status_code == 403
    assert client.get(PAGE).status_code == 302
    assert alices.post(PAGE).status_code == 405
    changes.kill("inspector", actor=alice, reason="closed for repairs")
    assert alices.get(PAGE).status_code == 403
