"""The gates that releases begin with, as operators edit them; and what one look at many releases costs."""

from datetime import timedelta

import pytest
from django.utils import timezone

from flags import gates, gatetemplates, releases
from flags.exceptions import ChangeRefused, Invalid, Missing, NotAllowed
from flags.models import Change
from flags.releasemodels import DailyUsage, GateTemplate, IsolationAudit, Release
from tests.factories import FlagFactory

pytestmark = pytest.mark.django_db

KEY = "trip_management"


def titles(release) -> list[str]:
    return [state.gate.title for state in gates.states(release)]


def test_a_gate_that_is_added_stands_before_the_next_release_and_no_other(alice):
    before = releases.start(KEY, actor=alice)
    gatetemplates.add_gate("pilot", "Legal has agreed", actor=alice, rank=5, reason="new law")
    after = releases.start("api_access", actor=alice)
    assert "Legal has agreed" not in titles(before)
    assert titles(after)[0] == "Legal has agreed"
    line = Change.objects.get(verb="add_gate")
    assert (line.after["gate"], line.after["channel"], line.reason) == ("Legal has agreed", "pilot", "new law")


def test_a_gate_that_is_edited_or_removed_stays_as_it_was_in_flight(alice):
    release = releases.start(KEY, actor=alice)
    stood = titles(release)
    first, second = GateTemplate.objects.filter(channel="pilot")[:2]
    gatetemplates.edit_gate(first.pk, actor=alice, title="Works for us")
    gatetemplates.remove_gate(second.pk, actor=alice)
    assert titles(release) == stood
    assert titles(releases.start("api_access", actor=alice)) == ["Works for us", *stood[2:]]
    edited = Change.objects.get(verb="edit_gate")
    assert (edited.before["gate"], edited.after) == (first.title, {"gate": "Works for us", "channel": "pilot"})
    assert Change.objects.get(verb="remove_gate").before["gate"] == second.title


def test_an_edit_that_changes_nothing_is_silent(alice):
    gate = GateTemplate.objects.first()
    gatetemplates.edit_gate(gate.pk, actor=alice, title=gate.title, rank=gate.rank)
    assert not Change.objects.exists()


REFUSALS = {
    "before the first channel": ({"channel": "internal", "title": "Anything"}, Invalid),
    "before no channel": ({"channel": "beta", "title": "Anything"}, Missing),
    "without a title": ({"channel": "pilot", "title": " "}, Invalid),
    "with a check that is none": ({"channel": "pilot", "title": "Anything", "check_kind": "prayer"}, Invalid),
    "nowhere": ({"channel": "pilot", "title": "Anything", "rank": -1}, Invalid),
    "twice": ({"channel": "pilot", "title": "No console errors"}, ChangeRefused),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_gate_is_not_put(alice, case):
    fields, refusal = REFUSALS[case]
    with pytest.raises(refusal):
        gatetemplates.add_gate(**fields, actor=alice)
    assert GateTemplate.objects.count() == 9


def test_only_super_admins_put_gates(bob):
    gate = GateTemplate.objects.first()
    with pytest.raises(NotAllowed):
        gatetemplates.add_gate("pilot", "Mine", actor=bob)
    with pytest.raises(NotAllowed):
        gatetemplates.edit_gate(gate.pk, actor=bob, title="Mine")
    with pytest.raises(NotAllowed):
        gatetemplates.remove_gate(gate.pk, actor=bob)


def test_an_edited_gate_keeps_clear_of_the_others(alice):
    first, second = GateTemplate.objects.filter(channel="pilot")[:2]
    with pytest.raises(ChangeRefused, match="already is a gate"):
        gatetemplates.edit_gate(first.pk, actor=alice, title=second.title)


def test_one_look_at_many_releases_costs_what_one_at_one_does(alice, django_assert_max_num_queries):
    for number in range(12):
        flag = FlagFactory(key=f"flag_{number}", requires=[FlagFactory(key=f"needed_{number}")])
        releases.start(flag.key, actor=alice)
        DailyUsage.objects.create(
            flag=flag, day=timezone.now().date(), on=number, last_at=timezone.now(), last_on_at=timezone.now()
        )
    found = list(Release.objects.select_related("channel", "flag"))
    with django_assert_max_num_queries(5):
        states = gates.states_of(found, timezone.now() + timedelta(seconds=1))
    assert all(len(states[release.pk]) == 4 for release in found)
    assert {state.words for state in states[found[0].pk] if state.gate.check_kind == "no_server_errors"} == {
        "no server errors in 11 evaluations"
    }


# The isolation audit


def audit_of(release, *, minutes: int, complete: bool) -> None:
    IsolationAudit.objects.create(
        at=release.entered_at + timedelta(minutes=minutes),
        mode="both",
        by_name="Alice",
        passed=True,
        complete=complete,
        skipped=[] if complete else ["SQLite has no row-level security, roles or functions."],
    )


@pytest.mark.parametrize(
    ("audits", "holds", "words"),
    [
        ([], False, "no isolation audit has run; run it"),
        ([(-1, True)], False, "older than the entry into this channel; run it"),
        # What left something out opens nothing, and says why instead of asking for itself again.
        ([(1, False)], False, "proves nothing: SQLite has no row-level security, roles or functions"),
        ([(-1, True), (1, False)], False, "proves nothing"),
        ([(-1, False)], False, "no isolation audit has run; run it"),
        # Nor does it take away what a complete one has proven.
        ([(1, True), (2, False)], True, "passed"),
    ],
)
def test_an_audit_counts_when_it_is_complete_and_newer_than_the_entry(alice, audits, holds, words):
    release = releases.start(KEY, actor=alice)
    for minutes, complete in audits:
        audit_of(release, minutes=minutes, complete=complete)
    [state] = [state for state in gates.states(release) if state.gate.check_kind == "isolation_audit"]
    assert state.holds is holds
    assert words in state.words
