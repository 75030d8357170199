"""`release`: a feature's way there and back from a shell, what it prints, and how it refuses."""

from datetime import timedelta

import pytest
from django.utils import timezone

from flags import changes, gates, releases
from flags.api.releases import BatchOutput
from flags.api.releaseshapes import GateOutput, PromotionOutput, ReleaseOutput
from flags.features import features_for
from flags.models import Change, Flag, Override
from flags.releasemodels import DailyUsage, Gate, IsolationAudit, Mail, Promotion, Release

pytestmark = pytest.mark.django_db

KEY = "trip_management"


def answers(*companies) -> list[bool]:
    return [features_for(None, company)[KEY] for company in companies]


def all_gates_hold() -> None:
    """Give everything that gates ask for."""
    release = gates.release_under_way(KEY)
    Release.objects.filter(pk=release.pk).update(entered_at=timezone.now() - timedelta(days=30))
    now = timezone.now()
    seen = {"on": 40, "last_at": now, "last_on_at": now}
    DailyUsage.objects.update_or_create(flag_id=KEY, day=now.date(), defaults=seen)
    IsolationAudit.objects.create(at=now, mode="both", by_name="Alice", passed=True, complete=True)
    following = gates.next_channel(release)
    for gate in Gate.objects.filter(release=release, check_kind="sign_off", channel=following):
        releases.sign_off(KEY, gate.pk, actor=None)


@pytest.fixture
def in_internal(alice):
    return releases.start(KEY, actor=alice)


@pytest.fixture
def in_pilot(in_internal, alice):
    return releases.promote(KEY, actor=alice, force=True, reason="deadline")


def test_the_whole_way(run, alice, default_tenant, globex, acme):
    out = run("release", "start", KEY, "--reason", "built", "--as", alice.email).out
    assert out.splitlines()[0] == "The release of trip_management has begun."
    assert "trip_management is in Internal; it can go to Pilot, once: Works in the internal company" in out
    assert Change.objects.get(verb="start_release").actor == alice.email
    all_gates_hold()
    out = run("release", "promote", KEY).out
    assert out.startswith("Turns trip_management on for 1 of 3 companies (Globex).")
    all_gates_hold()
    assert run("release", "promote", KEY).code == 0
    assert answers(default_tenant, globex, acme) == [True, True, True]
    assert run("release", "finish", KEY).out == "The release of trip_management has ended.\n"
    assert run("release", "status").out == "No release is under way.\n"


def test_a_promotion_with_open_gates_is_refused_in_words(run, in_internal, globex):
    ran = run("release", "promote", KEY)
    assert ran.code == 1
    assert "“No console errors” waits for somebody to sign it off" in ran.refusal
    assert answers(globex) == [False]


def test_forcing_takes_somebody_and_a_reason(run, in_internal, alice, bob, globex):
    assert run("release", "promote", KEY, "--force").code == 1
    assert "Only a person may force" in run("release", "promote", KEY, "--force", "--reason", "now").refusal
    assert run("release", "promote", KEY, "--force", "--reason", "now", "--as", bob.email).code == 1
    assert answers(globex) == [False]
    assert run("release", "promote", KEY, "--force", "--reason", "now", "--as", alice.email).code == 0
    assert "promoted, forced" in run("release", "status", KEY).out


def test_a_dry_run_says_for_whom_and_does_nothing(run, in_internal, globex, default_tenant):
    changes.set_override(default_tenant, KEY, True, actor=None)
    out = run("release", "promote", KEY, "--dry-run").out
    assert out.startswith("Would turn trip_management on for 1 of 2 companies (Globex); 1 stays on by override.\n")
    assert "Works in the internal company" in out
    out = run("release", "rollback", KEY, "--to", "nowhere", "--dry-run").out
    assert out == "trip_management: would change nothing for any company; 1 stays on by override.\n"
    foretold = run("release", "promote", KEY, "--dry-run", "--json").json
    assert (foretold["dry_run"], foretold["impact"][0]["names_on"]) == (True, ["Globex"])
    assert (answers(globex), Promotion.objects.count()) == ([False], 1)


def test_a_dry_run_shows_the_message_and_to_how_many_it_would_go(run, in_internal, globex, carol):
    out = run("release", "promote", KEY, "--dry-run", "--tell").out
    assert "Would write to 1 person in 1 company.\n\nSubject: Trip Management is now on for Globex\n\nHello,\n" in out
    foretold = run("release", "promote", KEY, "--dry-run", "--tell", "--json").json
    assert (foretold["recipients"], foretold["message"]["subject"]) == (1, "Trip Management is now on for Globex")
    assert "Globex can use Trip Management from now on." in foretold["message"]["body"]
    assert "recipients" not in run("release", "promote", KEY, "--dry-run", "--json").json
    assert "Would write to 0 people" in run("release", "promote", KEY, "--dry-run", "--tell", "--percentage", "0").out
    Flag.objects.filter(key=KEY).update(is_internal=True)
    assert "Nobody would be told: the flag is internal" in run("release", "promote", KEY, "--dry-run", "--tell").out
    assert run("release", "promote", KEY, "--dry-run", "--tell", "--json").json["message"] is None
    assert not Mail.objects.exists()


def test_gates_are_listed_and_signed_off_by_title(run, in_internal, alice):
    out = run("release", "gates", KEY).out
    assert "STATE  GATE BEFORE PILOT" in out
    assert "open   No server errors since entry        no data: nobody has used it" in out
    signed = run("release", "sign-off", KEY, "no console", "--reason", "looked", "--link", "https://ci.example/1")
    assert signed.out.startswith("The gate is signed off.")
    listed = {gate["title"]: gate for gate in run("release", "gates", KEY, "--json").json}
    assert set(listed["No console errors"]) == set(GateOutput().fields)
    assert (listed["No console errors"]["holds"], listed["No console errors"]["note"]) == (True, "looked")


@pytest.mark.parametrize("name", ["no", "Legal has agreed", "00000000-0000-0000-0000-000000000000"])
def test_a_gate_that_is_none_or_several_is_refused_with_those_there_are(run, in_internal, name):
    ran = run("release", "sign-off", KEY, name)
    assert ran.code == 1
    assert "To be signed off: “Works in the internal company”; “No console errors”." in ran.refusal


def test_status_lists_releases_and_shows_one_with_its_history(run, in_pilot, globex):
    headings, line = run("release", "status").out.splitlines()
    assert headings.split() == ["KEY", "CHANNEL", "SINCE", "GATES", "NEXT"]
    assert line.startswith("trip_management  pilot")
    assert "1/5" in line
    out = run("release", "status", KEY).out
    assert "by Alice, past open gates" in out
    assert "promoted, forced  internal  pilot" in out
    shown = run("release", "status", KEY, "--json").json
    assert set(shown) - {"key", "history"} == set(ReleaseOutput().fields)
    assert all(set(step) == set(PromotionOutput().fields) for step in shown["history"])


def test_what_was_forced_is_said_after_the_release_has_ended_and_in_the_next_one(run, in_pilot, alice):
    releases.roll_back(KEY, None, actor=alice, reason="not wanted")
    ended = run("release", "status", KEY).out
    assert "No release of trip_management is under way." in ended
    assert "promoted, forced  internal  pilot" in ended
    assert [step["forced"] for step in run("release", "status", KEY, "--json").json["history"]] == [False, True, False]
    releases.start(KEY, actor=alice)
    assert "promoted, forced  internal  pilot" in run("release", "status", KEY).out


def test_a_flag_without_a_release_says_how_to_start_one(run):
    ran = run("release", "status", KEY)
    assert (ran.code, ran.refusal) == (
        1,
        "No release of 'trip_management' is under way. `release start trip_management` starts one.",
    )


def test_a_channel_is_taken_back(run, in_pilot, alice, default_tenant, globex):
    assert run("release", "rollback", KEY, "--to", "internal").code == 1
    assert answers(globex) == [True]
    ran = run("release", "rollback", KEY, "--to", "internal", "--reason", "tickets")
    assert ran.out.splitlines()[0] == "Turns trip_management off for 1 of 2 companies (Globex)."
    assert answers(default_tenant, globex) == [True, False]
    run("release", "rollback", KEY, "--to", "nowhere", "--reason", "not wanted")
    assert answers(default_tenant, globex) == [False, False]
    assert (
        "There is no release channel 'beta'" in run("release", "rollback", KEY, "--to", "beta", "--reason", "x").refusal
    )


def test_companies_lose_it_and_get_it_back(run, in_pilot, default_tenant, globex):
    taken = run("release", "rollback", KEY, "--company", "globex", "--reason", "tickets", "--json").json
    assert answers(default_tenant, globex) == [True, False]
    undone = run("release", "undo", taken["batch"], "--json").json
    assert set(undone) == set(BatchOutput().fields)
    assert answers(globex) == [True]
    everybody = run("release", "rollback", KEY, "--everybody", "--reason", "tickets")
    assert "`release undo " in everybody.out
    assert answers(default_tenant, globex) == [False, False]
    Override.objects.filter(company=globex).update(reason="somebody else's")
    batch = everybody.out.split("`release undo ")[1].split("`")[0]
    assert run("release", "undo", batch).out == (
        "Overrides brought back: 1.\nLeft alone, because somebody changed them since: 1.\n"
    )


def test_a_promotion_may_let_in_a_share_and_tell_people(run, in_internal, globex, carol):
    all_gates_hold()
    assert run("release", "promote", KEY, "--percentage", "100", "--tell").code == 0
    assert Mail.objects.get().to == carol.email


def test_pausing_and_resuming(run, in_internal):
    assert run("release", "pause", KEY).out.splitlines()[-1] == (
        "trip_management is in Internal; it stands still while it is paused."
    )
    assert run("release", "pause", KEY).out.startswith("Nothing changed.")
    assert run("release", "resume", KEY, "--json").json["release"]["paused"] is False


@pytest.mark.parametrize(
    "words",
    [
        ["rollback", KEY, "--reason", "neither"],
        ["rollback", KEY, "--to", "internal", "--everybody", "--reason", "both"],
        ["promote", KEY, "--percentage", "101"],
        ["promote", KEY, "--percentage", "half"],
        ["undo", "not-an-id"],
    ],
)
def test_a_command_line_that_makes_no_sense_is_told_apart(run, words):
    assert "rror" in run("release", *words).refusal
    assert not Change.objects.exists()


def test_flags_are_archived_and_restored(run, acme):
    assert run("flag", "archive", KEY).out == (
        "trip_management is archived: it answers off for everybody.\n"
        "trip_management: changes nothing for any company.\n"
    )
    assert Flag.objects.get(key=KEY).archived_at is not None
    assert run("flag", "restore", KEY).out.startswith("trip_management is not archived: its settings decide.\n")
    assert run("flag", "restore", KEY).out.startswith("Nothing changed.")
