"""The list of flags: grouped, searched, filtered, paged; and as quick with a thousand flags as with ten."""

import re
from datetime import timedelta
from math import ceil

import pytest
from django.utils import timezone

from flags import changes
from flags.console.flags import FLAGS_PER_PAGE
from flags.models import Flag
from tests.factories import CompanyFactory, OverrideFactory
from tests.flags.console.browsing import HTMX, text_of

pytestmark = pytest.mark.django_db
LIST = "/super-admin/feature-flags/"


def test_flags_stand_by_category_in_the_catalogues_order(alices):
    page = alices.get(LIST).content.decode()
    found = re.findall(r'<h2 id="category-(\w+)">\w+</h2>\s*<span class="count">(\d+)', page)
    assert [category for category, _ in found] == [
        "billing",
        "core",
        "operations",
        "finance",
        "analytics",
        "integrations",
        "enterprise",
    ]
    assert dict(found)["billing"] == "3"


def test_a_row_says_what_where_who_differs_and_who_cares(alices, alice, acme, globex):
    changes.edit_flag("api_access", actor=alice, owner="Platform team")
    changes.set_channel("api_access", "pilot", True, percentage=25, actor=alice)
    changes.set_override(acme, "api_access", True, actor=alice)
    changes.set_override(globex, "api_access", False, actor=alice)
    row = text_of(alices.get(LIST, {"q": "api_access"}))
    for words in ("API Access", "api_access", "Pilot : on for 25 %", "1 on · 1 off", "Platform team"):
        assert words in row


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        ({"q": "TRIP"}, "Trip Management", "API Access"),
        ({"q": "broker assignments"}, "Broker Management", "Trip Management"),  # in the description
        ({"category": "finance"}, "Driver Payments", "API Access"),
        ({"state": "on"}, "Driver Management", "Trip Management"),
        ({"state": "off"}, "Trip Management", "Driver Management"),
        ({"state": "internal"}, "Inspector", "API Access"),
        ({"state": "nonsense"}, "Inspector", "No flag matches"),  # what is not understood filters nothing
        ({"q": "is:internal"}, "Inspector", "API Access"),
        ({"q": "-category:finance", "state": "off"}, "Trip Management", "Driver Payments"),
        ({"page": "99"}, "API Access", "No flag matches"),  # past the end is the end
    ],
)
def test_the_address_filters(alices, query, shown, hidden):
    page = alices.get(LIST, query).content.decode()
    listed = page[page.index('id="flags"') :]
    assert shown in listed
    assert hidden not in listed


def test_killed_and_overridden_flags_are_found_by_state(alices, alice, acme):
    changes.kill("api_access", actor=alice, reason="leak")
    changes.set_override(acme, "white_label", True, actor=alice)
    assert "api_access" in text_of(alices.get(LIST, {"state": "killed"}))
    assert "white_label" not in text_of(alices.get(LIST, {"state": "killed"}))
    assert "white_label" in text_of(alices.get(LIST, {"state": "overridden"}))


def test_nothing_found_is_said_with_a_way_out(alices):
    page = alices.get(LIST, {"q": "parrot"}).content.decode()
    assert "No flag matches" in page
    assert f'href="{LIST}">Clear filters' in page


def test_what_older_addresses_said_stands_in_the_field(alices):
    page = alices.get(LIST, {"q": "trip", "state": "grant", "category": "core"}).content.decode()
    assert 'value="trip needs:grant category:core"' in page


def test_chips_and_choices_write_the_same_text(alices):
    page = alices.get(LIST, {"q": 'trip -is:killed "by hand"'}).content.decode()
    assert f'class="chip" href="{LIST}?q=trip+%22by+hand%22"' in page
    assert "not is</span> killed" in page
    assert f'href="{LIST}?q=trip+-is%3Akilled+%22by+hand%22+is%3Astale"' in page
    chosen = alices.get(LIST, {"q": "is:on"}).content.decode()
    assert f'class="menu-item" href="{LIST}" hx-get="{LIST}" aria-current="true"' in chosen


def test_a_word_that_is_not_understood_is_told_and_mended_by_a_link(alices):
    response = alices.get(LIST, {"q": "trip is:kiled"})
    assert "“kiled” in “is:kiled” is not known." in text_of(response)
    assert f'<a href="{LIST}?q=trip+is%3Akilled">trip is:killed</a>' in response.content.decode()
    assert "Trip Management" in text_of(response)


def test_a_stale_flag_says_why(alices):
    Flag.objects.filter(key="api_access").update(created_at=timezone.now() - timedelta(days=60))
    assert "Stale: off for everybody, never evaluated" in text_of(alices.get(LIST, {"q": "stale"}))
    form = {"enabled": "true", "reason": "Try", "version": Flag.objects.get(key="api_access").version, "place": "row"}
    switched = alices.post("/super-admin/feature-flags/api_access/default/", form, headers=HTMX)
    assert "Stale: on for everybody, never evaluated" in text_of(switched)


def test_words_are_completed(alices):
    response = alices.get("/super-admin/completion/", {"q": "is:kil", "caret": "6", "of": "flags"}, headers=HTMX)
    assert 'role="option" id="q-option-1" aria-selected="false" data-fill="is:killed " data-complete' in (
        response.content.decode()
    )
    assert "general" in text_of(alices.get("/super-admin/completion/", {"q": "channel:", "of": "companies"}))


@pytest.mark.parametrize("query", [{}, {"caret": "-1"}, {"caret": "x"}, {"of": "people"}, {"q": "x" * 600}])
def test_completion_takes_whatever_an_address_says(alices, query):
    assert alices.get("/super-admin/completion/", query).status_code == 200


def test_density_is_remembered(alices):
    assert 'data-density="comfortable"' in alices.get(LIST).content.decode()
    answer = alices.post("/super-admin/density/", {"density": "compact", "next": LIST})
    assert answer["Location"] == LIST
    assert 'data-density="compact"' in alices.get(LIST).content.decode()
    assert alices.post("/super-admin/density/", {"density": "tiny"}).status_code == 400


def test_a_filter_returns_the_list_alone_and_reads_the_count_out(alices):
    response = alices.get(LIST, {"q": "trip"}, headers=HTMX)
    assert response.content.decode().lstrip().startswith('<div id="flags"')
    assert '"announce": {"text": "2 flags"}' in response["HX-Trigger"]
    assert "HX-Request" in response["Vary"]


def test_nothing_of_it_is_stored(alices):
    assert alices.get(LIST)["Cache-Control"] == "no-store"


@pytest.mark.parametrize("number", [5, 120])
def test_queries_do_not_grow_with_flags_or_overrides(alices, django_assert_max_num_queries, number):
    flags = Flag.objects.bulk_create(
        Flag(key=f"flag_{n}", name=f"Flag {n}", category=("core", "extra")[n % 2]) for n in range(number)
    )
    for company in CompanyFactory.create_batch(3):
        for flag in flags[:number:4]:
            OverrideFactory(company=company, flag=flag)
    with django_assert_max_num_queries(10):
        alices.get(LIST, {"category": "extra"})


def test_a_thousand_flags_come_in_pages(alices):
    Flag.objects.bulk_create(Flag(key=f"flag_{n}", name=f"Flag {n:04}", category="extra") for n in range(1000))
    first = alices.get(LIST, {"category": "extra"}).content.decode()
    assert first.count('<li class="flag-row') == FLAGS_PER_PAGE
    assert f"1\u2013{FLAGS_PER_PAGE} of 1000" in first
    assert 'rel="next" href="/super-admin/feature-flags/?category=extra&amp;page=2"' in first
    last = alices.get(LIST, {"category": "extra", "page": ceil(1000 / FLAGS_PER_PAGE)}).content.decode()
    assert "Flag 0999" in last
    assert 'rel="next"' not in last
