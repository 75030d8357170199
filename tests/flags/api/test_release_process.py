"""A feature's way from "create disabled, internal only" to everybody, and the three ways back, by API (seed 001).

What everybody has is asked as they ask: a person of each company calls /api/features after every step.
"""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from flags import gates, releases
from flags.models import Change, Override
from flags.releasemodels import Gate, GateTemplate, Promotion, Release
from tenants.models import Role
from tests.factories import MembershipFactory
from tests.flags.api.releasing import (
    FLAGS,
    KEY,
    audit_runs,
    create_disabled,
    evidence_comes_in,
    people_give_their_word,
    post,
    release_of,
    somebody_uses_it,
)

pytestmark = pytest.mark.django_db

NOBODY, INTERNAL, PILOT, ALL = [False] * 3, [True, False, False], [True, True, False], [True] * 3


@pytest.fixture
def everybody(as_person, default_tenant, globex, acme, carol, dan) -> Callable[[], list[bool]]:
    """Return a function that asks as a person of the internal, the pilot and a general company, with fresh tokens."""
    eve = MembershipFactory(company=default_tenant, user__email="eve@default-tenant.example", role=Role.MEMBER).user

    def ask() -> list[bool]:
        found = []
        for person in (eve, carol, dan):
            client = as_person(person)
            one = client.get(f"/api/features/{KEY}")
            assert one.status_code == 200, one.content
            assert client.get("/api/features").json()[KEY] is one.json()["enabled"]
            found.append(one.json()["enabled"])
        return found

    return ask


def open_titles(response) -> list[str]:
    assert (response.status_code, response.json()["code"]) == (409, "GATES_OPEN"), response.content
    return [gate["gate"] for gate in response.json()["gates"]]


def test_the_whole_process_of_the_seed(deploy, release_clock, everybody):
    create_disabled(deploy)
    assert everybody() == NOBODY

    started = post(deploy, "release", {"reason": "built"})
    assert started.status_code == 201
    release = started.json()["release"]
    assert (release["channel"], release["next"], release["since"]) == ("internal", "pilot", "2026-03-02T09:00:00Z")
    assert [gate["holds"] for gate in release["gates"]] == [False] * 4
    assert everybody() == INTERNAL

    # Internal → pilot: four gates, opened one after the other, each named while it is shut.
    release_clock.shift(timedelta(hours=1))
    *_, server, audit = titles = [gate["title"] for gate in release["gates"]]
    refused = post(deploy, "promote")
    assert open_titles(refused) == titles
    assert "“Works in the internal company” waits for somebody to sign it off" in refused.json()["detail"]
    people_give_their_word(deploy)
    assert open_titles(post(deploy, "promote")) == [server, audit]
    somebody_uses_it()
    assert open_titles(post(deploy, "promote")) == [audit]
    audit_runs(passed=False)
    assert "found problems" in post(deploy, "promote").json()["gates"][0]["words"]
    release_clock.shift(timedelta(seconds=1))
    audit_runs()
    assert everybody() == INTERNAL
    assert release_of(deploy)["when"] == "can go to Pilot now"
    release_clock.shift(timedelta(minutes=1) - timedelta(seconds=1))
    promoted = post(deploy, "promote", {"reason": "all green"})
    assert (promoted.status_code, promoted.json()["release"]["channel"]) == (200, "pilot")
    assert everybody() == PILOT

    # Pilot → general: what was said and seen before entry is no evidence; a week of soak, to the second.
    assert len(open_titles(post(deploy, "promote"))) == 4
    release_clock.shift(timedelta(days=5))
    evidence_comes_in(deploy)
    release = release_of(deploy)
    assert release["ready_at"] == "2026-03-09T10:01:00Z"
    assert release["when"] == "can go to General from Mon 9 Mar 10:01 UTC, in 2 d 0 h"
    refused = post(deploy, "promote")
    assert open_titles(refused) == ["Soak time has passed"]
    assert refused.json()["gates"][0]["words"] == "waits until Mon 9 Mar 10:01 UTC (2 d 0 h of soak left)"
    release_clock.shift(timedelta(days=2) - timedelta(seconds=1))
    assert open_titles(post(deploy, "promote")) == ["Soak time has passed"]
    assert everybody() == PILOT
    release_clock.shift(timedelta(seconds=1))
    assert post(deploy, "promote").status_code == 200
    assert everybody() == ALL

    finished = post(deploy, "release/finish", {"reason": "done"})
    assert (finished.status_code, finished.json()["release"]) == (200, None)
    assert everybody() == ALL
    verbs = Counter(Change.objects.filter(flag=KEY).values_list("verb", flat=True))
    assert verbs == {"create_flag": 1, "start_release": 1, "promote": 2, "finish_release": 1, "sign_off_gate": 4}
    steps = Promotion.objects.filter(kind="promote")
    assert all(gate["holds"] for step in steps for gate in step.evidence)
    assert not any(step.forced for step in steps)


class TestTheDatabasesClock:
    """Without a stopped clock: what decides is the database's, and rows are aged instead of time being moved."""

    @pytest.fixture
    def soaking(self, deploy, default_tenant, globex, alice):
        create_disabled(deploy)
        releases.start(KEY, actor=alice)
        releases.promote(KEY, actor=alice, force=True, reason="to soak")
        Gate.objects.exclude(check_kind=GateTemplate.Check.SOAK).delete()

    def entered(self, ago: timedelta) -> None:
        Release.objects.filter(flag=KEY).update(entered_at=gates.database_now() - ago)

    def test_a_minute_too_early_is_too_early_and_a_week_is_enough(self, soaking, deploy):
        week = timedelta(days=7)
        self.entered(week - timedelta(minutes=1))
        assert open_titles(post(deploy, "promote")) == ["Soak time has passed"]
        self.entered(week)
        assert post(deploy, "promote").status_code == 200

    @pytest.mark.postgres
    def test_a_process_whose_clock_is_wrong_opens_nothing(self, soaking, deploy, clock):
        clock.shift(timedelta(days=30))
        assert open_titles(post(deploy, "promote")) == ["Soak time has passed"]
        clock.shift(timedelta(days=-90))
        self.entered(timedelta(days=7))
        assert post(deploy, "promote").status_code == 200


class TestTheThreeRollbacks:
    def test_kill_takes_it_from_everybody_and_revive_gives_back_what_was(
        self, in_pilot, deploy, release_clock, everybody, as_person, alice
    ):
        assert everybody() == PILOT
        assert as_person(alice).get(f"/api/features/{KEY}").json()["enabled"] is True
        assert post(deploy, "kill", {"reason": "on fire"}).status_code == 200
        assert everybody() == NOBODY
        assert as_person(alice).get(f"/api/features/{KEY}").json()["enabled"] is False
        release = release_of(deploy)
        assert (release["paused"], release["when"]) == (True, "stands still while the flag is killed")
        assert post(deploy, "promote").json()["code"] == "FLAG_IS_KILLED"
        release_clock.shift(timedelta(days=2))
        assert post(deploy, "revive", {"reason": "out"}).status_code == 200
        assert everybody() == PILOT
        # The two days do not count as soak.
        assert release_of(deploy)["ready_at"] == "2026-03-11T10:01:00Z"

    def test_a_channel_is_taken_back_and_its_gates_stand_there_again(
        self, in_pilot, deploy, release_clock, everybody, acme
    ):
        assert post(deploy, "rollback", {"to": "internal"}).json()["code"] == "REASON_REQUIRED"
        assert everybody() == PILOT
        rolled = post(deploy, "rollback", {"to": "internal", "reason": "tickets"})
        assert (rolled.status_code, rolled.json()["release"]["channel"]) == (200, "internal")
        assert everybody() == INTERNAL
        release_clock.shift(timedelta(minutes=1))
        assert len(open_titles(post(deploy, "promote"))) == 4
        evidence_comes_in(deploy)
        assert post(deploy, "promote").status_code == 200
        assert everybody() == PILOT
        assert release_of(deploy)["ready_at"] == "2026-03-10T10:02:00Z"

    def test_all_channels_are_taken_back(self, in_pilot, deploy, everybody):
        rolled = post(deploy, "rollback", {"to": None, "reason": "not wanted"})
        assert (rolled.status_code, rolled.json()["release"]) == (200, None)
        assert everybody() == NOBODY

    def test_from_general_it_goes_back_to_pilot_after_the_release_has_ended_too(
        self, in_pilot, deploy, release_clock, everybody
    ):
        release_clock.shift(timedelta(days=7))
        evidence_comes_in(deploy)
        assert post(deploy, "promote").status_code == 200
        assert post(deploy, "release/finish").status_code == 200
        assert everybody() == ALL
        rolled = post(deploy, "rollback", {"to": "pilot", "reason": "tickets"})
        assert (rolled.status_code, rolled.json()["release"]["channel"]) == (200, "pilot")
        assert everybody() == PILOT
        assert "Soak time has passed" in open_titles(post(deploy, "promote"))

    def test_one_company_loses_it_and_gets_it_back_as_one_batch(self, in_pilot, deploy, everybody):
        rolled = post(deploy, "rollback", {"companies": ["globex"], "reason": "tickets"})
        assert rolled.status_code == 200
        assert {**rolled.json()["rolled_back"], "batch": ""} == {"batch": "", "changed": 1, "unchanged": 0}
        assert everybody() == INTERNAL
        undone = deploy.post(
            f"/api/admin/batches/{rolled.json()['rolled_back']['batch']}/undo", content_type="application/json"
        )
        assert (undone.status_code, undone.json()["changed"]) == (200, 1)
        assert everybody() == PILOT

    def test_all_that_have_it_lose_it_and_get_it_back(self, in_pilot, deploy, everybody, acme):
        rolled = post(deploy, "rollback", {"companies": "all", "reason": "tickets"})
        assert rolled.json()["rolled_back"]["changed"] == 2
        assert everybody() == NOBODY
        assert not Override.objects.filter(company=acme).exists()
        batch = rolled.json()["rolled_back"]["batch"]
        assert deploy.post(f"/api/admin/batches/{batch}/undo", content_type="application/json").json()["changed"] == 2
        assert everybody() == PILOT
        assert not Override.objects.exists()

    @pytest.mark.parametrize("reason", ["", "  "])
    @pytest.mark.parametrize("body", [{"to": None}, {"companies": "all"}])
    def test_each_takes_a_reason(self, in_pilot, deploy, everybody, body, reason):
        assert post(deploy, "rollback", {**body, "reason": reason}).json()["code"] == "REASON_REQUIRED"
        assert post(deploy, "kill", {"reason": reason}).json()["code"] == "REASON_REQUIRED"
        assert everybody() == PILOT

    def test_each_can_be_rehearsed(self, in_pilot, deploy, everybody):
        for body in ({"to": None}, {"to": "internal"}, {"companies": ["globex"]}):
            tried = post(deploy, "rollback?dry_run=1", {**body, "reason": "drill"}).json()
            [effect] = [effect for effect in tried["impact"] if effect["key"] == KEY]
            assert "Globex" in effect["names_off"]
        assert everybody() == PILOT


class TestForcingIsVisibleForEver:
    @pytest.fixture
    def forced(self, in_pilot, release_clock, as_person, alice):
        admin = as_person(alice)
        assert post(admin, "promote", {"force": True, "reason": "customer demo"}).status_code == 200
        release_clock.shift(timedelta(minutes=5))

    def steps(self, deploy) -> list[tuple]:
        found = deploy.get(f"{FLAGS}/{KEY}/release").json()["history"]
        return [(step["kind"], step["to_channel"], step["forced"], step["reason"]) for step in found]

    def test_in_the_release_with_the_gates_as_they_were(self, forced, deploy, release_clock):
        assert release_of(deploy)["forced"] is True
        step = deploy.get(f"{FLAGS}/{KEY}/release").json()["history"][0]
        assert (step["forced"], step["by"], step["reason"]) == (True, "Alice", "customer demo")
        # What opens afterwards does not make it look better.
        shut = [gate["gate"] for gate in step["evidence"] if not gate["holds"]]
        assert "Soak time has passed" in shut
        audit_runs()
        release_clock.shift(timedelta(days=30))
        after = deploy.get(f"{FLAGS}/{KEY}/release").json()["history"][0]
        assert after["evidence"] == step["evidence"]

    def test_after_a_rollback_and_a_proper_promotion_it_is_still_said(self, forced, deploy, release_clock, alice):
        assert post(deploy, "rollback", {"to": "pilot", "reason": "tickets"}).status_code == 200
        assert release_of(deploy)["forced"] is False
        release_clock.shift(timedelta(days=7))
        evidence_comes_in(deploy)
        assert post(deploy, "promote", {"reason": "properly"}).status_code == 200
        assert self.steps(deploy)[:3] == [
            ("promote", "general", False, "properly"),
            ("roll_back", "pilot", False, "tickets"),
            ("promote", "general", True, "customer demo"),
        ]

    def test_in_history_in_words_and_after_the_release_has_ended(self, forced, deploy, admin, sign_in, alice):
        assert post(deploy, "release/finish").status_code == 200
        [line] = admin.get(f"/api/admin/changes?flag={KEY}&verb=force_promote").json()["results"]
        assert (line["actor"], line["reason"]) == (alice.email, "customer demo")
        page = sign_in(alice).get(f"/super-admin/changes/?flag={KEY}").content.decode()
        assert "past open gates" in page
        assert Promotion.objects.get(kind="promote", to_channel="general").forced

    def test_a_flag_that_forced_past_nothing_is_not_called_forced(
        self, in_pilot, deploy, release_clock, as_person, alice
    ):
        release_clock.shift(timedelta(days=7))
        evidence_comes_in(deploy)
        assert post(as_person(alice), "promote", {"force": True, "reason": "sure"}).status_code == 200
        assert release_of(deploy)["forced"] is False
        assert not Change.objects.filter(verb="force_promote").exists()
