"""History, looked for: filters, days, pages; and each line says which row it was about."""

from datetime import UTC, date, datetime

import pytest
import time_machine

from flags import changes, companies, history
from flags.models import Change
from tenants import provenance
from tests.factories import ChangeFactory

pytestmark = pytest.mark.django_db


def found(**filters) -> list[str]:
    return [change.verb for change in history.find_changes(**filters).order_by("at", "id")]


@pytest.fixture
def told(alice, bob, acme, globex):
    """A few lines on two days, by two people and two doors."""
    with time_machine.travel(datetime(2026, 3, 1, 23, 59, tzinfo=UTC), tick=False):
        changes.set_default("api_access", True, actor=alice, reason="contract 881")
    with time_machine.travel(datetime(2026, 3, 2, 0, 1, tzinfo=UTC), tick=False):
        changes.set_override(acme, "white_label", True, actor=alice)
    door = provenance.via.set("company")
    with time_machine.travel(datetime(2026, 3, 2, 12, tzinfo=UTC), tick=False):
        changes.set_opt_in(acme, "ai_enabled", True, actor=bob)
    provenance.via.reset(door)
    with time_machine.travel(datetime(2026, 3, 3, tzinfo=UTC), tick=False):
        changes.kill("api_access", actor=alice, reason="leak")


ALL = ["set_default", "set_override", "set_opt_in", "kill"]


@pytest.mark.parametrize(
    ("filters", "verbs"),
    [
        ({}, ALL),
        ({"flag": "api_access"}, ["set_default", "kill"]),
        ({"company": "acme"}, ["set_override", "set_opt_in"]),
        ({"company": "nowhere"}, []),
        ({"actor": "ALICE"}, ["set_default", "set_override", "kill"]),
        ({"actor": "bob@acme"}, ["set_opt_in"]),
        ({"verb": "kill"}, ["kill"]),
        ({"via": "company"}, ["set_opt_in"]),
        ({"q": "881"}, ["set_default"]),
        ({"q": "white label"}, ["set_override"]),  # a flag's name, not only its key
        ({"since": date(2026, 3, 2)}, ["set_override", "set_opt_in", "kill"]),
        ({"until": date(2026, 3, 2)}, ["set_default", "set_override", "set_opt_in"]),  # the whole day counts
        ({"since": date(2026, 3, 2), "until": date(2026, 3, 2)}, ["set_override", "set_opt_in"]),
        ({"flag": "api_access", "verb": "kill", "actor": "bob"}, []),
    ],
)
def test_filters_narrow_it(told, filters, verbs):
    assert found(**filters) == verbs


def test_a_company_is_found_by_the_name_it_had_when_it_is_gone(told):
    Change(actor="x", via="shell", verb="polish", company_slug="gone").save(force_insert=True)
    assert found(company="gone") == ["polish"]


def test_newest_comes_first_in_pages(told):
    first = history.newest_first(Change.objects.all(), 3)
    assert [change.verb for change in first.rows] == ["kill", "set_opt_in", "set_override"]
    second = history.newest_first(Change.objects.all(), 3, after=first.next)
    assert [change.verb for change in second.rows] == ["set_default"]
    back = history.newest_first(Change.objects.all(), 3, before=second.previous)
    assert back.rows == first.rows


def test_what_a_request_wrote_last_is_found(alice, acme):
    request = provenance.request_id.set("request-1")
    changes.set_override(acme, "api_access", True, actor=alice)
    changes.remove_override(acme, "api_access", actor=alice)
    provenance.request_id.reset(request)
    changes.kill("api_access", actor=alice, reason="leak")
    assert history.made_by_request("request-1").verb == "remove_override"
    assert history.made_by_request("request-2") is None
    assert history.made_by_request("") is None


def test_a_line_says_which_row_it_was_although_that_did_not_change(alice, acme, dan):
    changes.set_channel("api_access", "pilot", True, percentage=10, actor=alice)
    changes.set_channel("api_access", "pilot", True, percentage=20, actor=alice)
    assert Change.objects.first().after == {"channel": "pilot", "enabled": True, "percentage": 20}
    changes.set_override(acme, "api_access", True, actor=alice)
    changes.set_override(acme, "api_access", True, actor=alice, reason="why")
    assert Change.objects.first().before == {"enabled": True, "reason": ""}
    changes.grant(acme, dan, "api_access", actor=alice)
    changes.grant(acme, dan, "api_access", actor=alice, reason="why")
    assert Change.objects.first().after == {"user": dan.email, "enabled": True, "reason": "why"}
    companies.add_member(acme, dan.email, "admin", actor=alice)
    assert Change.objects.first().after == {"user": dan.email, "role": "admin"}


@pytest.fixture
def twelve(monkeypatch):
    """Twelve lines, of which every fifth speaks of rain; four are looked through at a time."""
    monkeypatch.setattr(history, "LOOKED_THROUGH", 4)
    monkeypatch.setattr(history, "LOOKED_AT_FIRST", 3)
    for minute in range(12):
        with time_machine.travel(datetime(2026, 3, 1, 12, minute, tzinfo=UTC), tick=False):
            ChangeFactory(reason="rain" if minute % 5 == 0 else "sun", flag="red" if minute % 2 else "green")


def minutes(page: history.Page) -> list[int]:
    return [change.at.minute for change in page.rows]


def test_text_is_looked_for_among_so_many_lines_at_a_time(twelve):
    pages = [history.page_of_changes(3, q="rain")]
    while pages[-1].next:
        pages.append(history.page_of_changes(3, q="rain", after=pages[-1].next))
    assert [(minutes(page), page.unfinished) for page in pages] == [([10], True), ([5], True), ([0], False)]
    back = [history.page_of_changes(3, q="rain", before=pages[-1].previous)]
    while back[-1].previous:
        back.append(history.page_of_changes(3, q="rain", before=back[-1].previous))
    assert [minutes(page) for page in back] == [[], [5], [10]]
    assert [page.unfinished for page in back] == [True, True, False]


def test_a_full_page_goes_on_behind_its_last_line(twelve):
    page = history.page_of_changes(2, q="SUN")
    assert (minutes(page), page.unfinished) == ([11, 9], False)
    assert minutes(history.page_of_changes(2, q="SUN", after=page.next)) == [8, 7]


def test_only_lines_of_what_is_named_exactly_are_looked_through(twelve):
    page = history.page_of_changes(3, q="rain", flag="red")
    assert (minutes(page), page.unfinished) == ([5], True)
    page = history.page_of_changes(3, q="rain", flag="red", after=page.next)
    assert (minutes(page), page.unfinished, page.next) == ([], False, "")


def test_without_text_every_line_counts(twelve):
    page = history.page_of_changes(5, flag="green")
    assert (minutes(page), page.unfinished) == ([10, 8, 6, 4, 2], False)
    assert not history.page_of_changes(5, flag="green", after=page.next).next


@pytest.mark.parametrize("cursor", ["", "nonsense", "W10", "WyIxIiwgIjIiXQ"])
def test_what_is_no_cursor_looks_from_the_newest(twelve, cursor):
    assert minutes(history.page_of_changes(3, q="rain", after=cursor)) == [10]
