"""The command palette: what it finds, that it forgives slips, and that every line leads somewhere."""

import re
from html import unescape

import pytest

from flags import changes, releases, savedviews
from flags.models import Flag
from flags.palette import find
from tests.factories import CompanyFactory, OverrideFactory
from tests.flags.console.browsing import HTMX, text_of

pytestmark = pytest.mark.django_db
FIND = "/super-admin/find/"


def titles(text, viewer, group=None):
    return [item.title for each in find(text, viewer) if group in (None, each.title) for item in each.items]


@pytest.fixture
def talbi():
    return CompanyFactory(slug="talbi-logistics", name="Talbi Logistics")


def test_an_empty_one_shows_the_pages_and_ones_own_views(alice):
    savedviews.save_view(alice, "flags", "Fires", "is:killed")
    views, pages = find("", alice)
    assert [(item.title, item.query) for item in views.items] == [("Fires", "is:killed")]
    assert {"Flags", "Companies", "History"} <= {item.title for item in pages.items}


@pytest.mark.parametrize(
    ("text", "group", "first"),
    [
        ("trip", "Flags", "Trip Management"),
        ("TRIP man", "Flags", "Trip Management"),
        ("api_acc", "Flags", "API Access"),
        ("tirp", "Flags", "Trip Management"),  # a slip
        ("billling systm", "Flags", "Billing System"),
        ("talbi", "Companies", "Talbi Logistics"),
        ("tabli", "Companies", "Talbi Logistics"),
        ("hist", "Pages", "History"),
        ("trip", "Actions", "Kill Trip Management…"),
        ("talbi", "Actions", "View as Talbi Logistics…"),
        ("kill trip", "Actions", "Kill Trip Management…"),
        ("ki", "Actions", "Kill AI Assistance…"),
        ("override billing sys for talbi", "Actions", "Override Billing System for Talbi Logistics…"),
        ("override billing for talbi", "Actions", "Override Billing System for Talbi Logistics…"),
        ("override tirp for tabli", "Actions", "Override Trip Management for Talbi Logistics…"),
        ("override trip for", "Actions", "Override Trip Management for a company…"),
        ("override billing sys talbi", "Actions", "Override Billing System for Talbi Logistics…"),
        ("override billing sys", "Actions", "Override Billing System for a company…"),
        ("view as tal", "Actions", "View as Talbi Logistics…"),
    ],
)
def test_what_a_few_letters_find(alice, talbi, text, group, first):
    assert titles(text, alice, group)[0] == first


def test_actions_fit_the_state(alice):
    assert "Revive API Access…" not in titles("api access", alice)
    changes.kill("api_access", actor=alice, reason="leak")
    assert "Revive API Access…" in titles("api access", alice)
    assert titles("kill api access", alice, "Actions") == []
    assert titles("promote api access", alice, "Actions") == []
    assert find("api access", alice)[0].items[0].state == "Killed"


def test_releases_are_promoted_and_rolled_back(alice):
    assert titles("release trip", alice, "Actions") == ["Release Trip Management…"]
    releases.start("trip_management", actor=alice)
    assert titles("promote trip", alice, "Actions") == ["Promote Trip Management…"]
    assert titles("rollback trip", alice, "Actions") == ["Roll back Trip Management…"]
    assert titles("release trip", alice, "Actions") == []


def test_no_more_than_a_few_of_each_and_the_way_to_the_rest(alice):
    for number in range(8):
        changes.create_flag(f"zebra_{number}", actor=alice)
    group = find("zebra", alice)[0]
    assert len(group.items) == 5
    assert (group.more.place, group.more.query) == ("flag_list", "zebra")


def test_inactive_companies_are_not_viewed_as_and_internal_flags_stay_so(alice, bob, talbi):
    talbi.is_active = False
    talbi.save()
    assert titles("view as talbi", alice, "Actions") == []
    assert find("talbi", alice)[0].items[0].state == "Inactive"
    assert titles("inspector", bob, "Flags") == []


@pytest.mark.parametrize(
    "text", ["", "trip", "kill trip", "override api for talbi", "view as talbi", "%", "x" * 300, "\x00"]
)
def test_every_line_leads_somewhere(alices, talbi, text):
    response = alices.get(FIND, {"q": text})
    for url in set(re.findall(r'<a class="palette-item" href="([^"]+)"', response.content.decode())):
        assert alices.get(unescape(url)).status_code == 200, url


def test_the_dialog_gets_options_and_hears_how_many(alices):
    response = alices.get(FIND, {"q": "trip"}, headers=HTMX)
    markup = response.content.decode()
    assert "<html" not in markup
    assert 'role="option" id="palette-1-1" aria-selected="false" tabindex="-1"' in markup
    assert re.search(r'"announce": {"text": "\d+ results"}', response["HX-Trigger"])
    assert "Nothing is called “qqqq”." in text_of(alices.get(FIND, {"q": "qqqq"}, headers=HTMX))


@pytest.mark.parametrize("number", [3, 60])
@pytest.mark.parametrize("text", ["flag", "kill flag", "override flag for company", "nothing like it"])
def test_the_queries_do_not_grow(alices, alice, django_assert_max_num_queries, number, text):
    Flag.objects.bulk_create(Flag(key=f"flag_{n}", name=f"Flag {n}") for n in range(number))
    for company in CompanyFactory.create_batch(number):
        OverrideFactory(company=company, flag_id="flag_1")
    with django_assert_max_num_queries(16):
        alices.get(FIND, {"q": text})
