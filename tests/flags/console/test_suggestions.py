"""Fields that find one of many name candidates as one types, and take whatever those are called by."""

import re

import pytest

from flags.console.forms import FlagField
from flags.console.suggesting import SUGGESTED
from flags.models import Flag
from tests.factories import CompanyFactory, FlagFactory
from tests.flags.console.browsing import text_of

pytestmark = pytest.mark.django_db
PAGE = "/super-admin/suggestions/"
REQUIREMENTS = "/super-admin/suggestions/requirements/"


def options(response) -> list[str]:
    return [line.split('"')[1] for line in response.content.decode().split("<option ")[1:]]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ({"flag": "api"}, ["api_access"]),
        ({"flag": "API acc"}, ["api_access"]),
        ({"flag": "optimizer", "needs_grant": "only"}, ["route_optimizer"]),
        ({"flag": "api", "needs_grant": "only"}, []),
        ({"flag": "legacy"}, []),
        ({"company": "acm"}, ["acme"]),
        ({"company": "nobody"}, []),
    ],
)
def test_what_is_typed_finds_by_name_or_key(alices, acme, globex, typed, found):
    FlagFactory(key="route_optimizer", name="Route Optimizer", needs_grant=True)
    FlagFactory(key="legacy_map", name="Legacy Map", archived_at="2026-01-01T00:00Z")
    assert options(alices.get(PAGE, typed)) == found


@pytest.mark.parametrize("field", ["flag", "company"])
def test_nothing_typed_names_the_first_and_never_all(alices, django_assert_num_queries, field):
    CompanyFactory.create_batch(SUGGESTED + 3)
    FlagFactory.create_batch(SUGGESTED + 3)
    alices.get(PAGE, {field: ""})
    with django_assert_num_queries(3):  # The session, its person, and those that are named.
        assert len(options(alices.get(PAGE, {field: ""}))) == SUGGESTED


def test_flags_that_need_a_grant_come_first_where_they_are_granted(alices):
    FlagFactory(key="route_optimizer", name="Route Optimizer", needs_grant=True)
    first = alices.get(PAGE, {"flag": "", "needs_grant": "first"})
    assert options(first)[0] == "route_optimizer"
    assert len(options(first)) == SUGGESTED
    assert "Route Optimizer · needs a grant" in text_of(first)


@pytest.mark.parametrize("typed", ["api_access", "API Access", " api access ", "API_ACCESS"])
def test_a_flag_is_meant_by_its_key_or_its_name(typed):
    assert FlagField().clean(typed) == Flag.objects.get(key="api_access")


def test_a_name_that_two_have_and_one_that_none_has_are_asked_about_at_the_field(alices, acme):
    FlagFactory.create_batch(2, name="Twins")
    for typed in ("Twins", "driver_chatt"):
        page = alices.get("/super-admin/bulk/companies/", {"flag": typed, "deed": "turn_on"})
        assert page.status_code == 422
        assert f"There is no flag “{typed}”. Type its key or its name." in text_of(page)
        assert f'value="{typed}"' in page.content.decode()


def test_what_everybody_has_with_the_company_is_not_granted(alices, acme):
    asked = {"what": "grant", "flag": "api_access", "deed": "grant"}
    page = alices.get("/super-admin/bulk/companies/", asked)
    assert page.status_code == 422
    assert "API Access needs no grant: people have it with their company." in text_of(page)


@pytest.mark.parametrize(
    ("typed", "caret", "filled"),
    [
        ("api", None, "api_access "),
        ("API", None, "api_access "),
        ("driver_chat, api", None, "driver_chat, api_access "),
        ("api driver_chat", 3, "api_access driver_chat"),
        ("apixx driver_chat", 5, None),
        ("driver_chat a_acc white_label", 14, None),
        ("driver_chat api_acc white_label", 14, "driver_chat api_access white_label"),
        ("api_access api", None, None),
        ("legacy", None, None),
    ],
)
def test_the_key_at_the_caret_is_completed_and_the_others_stay(alices, typed, caret, filled):
    FlagFactory(key="legacy_map", name="Legacy Map", archived_at="2026-01-01T00:00Z")
    asked = {"requires": typed} | ({} if caret is None else {"caret": caret})
    found = re.findall(r'data-fill="([^"]*)"', alices.get(REQUIREMENTS, asked).content.decode())
    assert found == ([] if filled is None else [filled])


def test_no_flag_is_offered_to_itself_and_never_all_are(alices):
    FlagFactory.create_batch(SUGGESTED + 3)
    assert "api_access" not in text_of(alices.get(REQUIREMENTS, {"requires": "api", "of": "api_access"}))
    assert alices.get(REQUIREMENTS).content.decode().count("data-fill") == SUGGESTED


def test_no_page_lists_all_flags(alices, acme, bob):
    FlagFactory.create_batch(30)
    for page in ("/super-admin/bulk/companies/", f"/super-admin/companies/acme/members/{bob.pk}/grants/"):
        assert alices.get(page).content.decode().count("<option") < 10
