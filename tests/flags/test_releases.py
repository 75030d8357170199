"""A flag's way from internal to general: gates, soak, promotion, rollback, and no door past them."""

from datetime import UTC, datetime, timedelta

import pytest

from flags import changes, gatekeeping, gates, releases
from flags.exceptions import ChangeRefused, Conflict, Invalid, Missing, NotAllowed
from flags.features import features_for
from flags.models import Change, ChannelDefault, Flag
from flags.releasemodels import DailyUsage, Gate, GateTemplate, IsolationAudit, Promotion
from tenants.models import ApiToken

pytestmark = pytest.mark.django_db

KEY = "trip_management"
DAY = timedelta(days=1)


class Clock:
    """The database's clock, as far as releases look at it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def wait(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(gates, "database_now", clock)
    monkeypatch.setattr(releases, "database_now", clock)
    monkeypatch.setattr(gatekeeping, "database_now", clock)
    return clock


def channels() -> dict[str, bool]:
    return dict(ChannelDefault.objects.filter(flag=KEY).values_list("channel_id", "enabled"))


def answers(*companies) -> list[bool]:
    return [features_for(None, company)[KEY] for company in companies]


def audit_passes(clock, *, passed=True, complete=True):
    IsolationAudit.objects.create(at=clock.now, mode="both", by_name="Alice", passed=passed, complete=complete)


def used(clock, *, errors=0):
    DailyUsage.objects.create(
        flag_id=KEY,
        day=clock.now.date(),
        on=5,
        errors=errors,
        last_at=clock.now,
        last_on_at=clock.now,
        last_error_at=clock.now if errors else None,
    )


def sign_off_all(alice):
    release = gates.release_under_way(KEY)
    for gate in Gate.objects.filter(release=release, check_kind="sign_off", channel=gates.next_channel(release)):
        releases.sign_off(KEY, gate.pk, actor=alice, note="looked at it")


@pytest.fixture
def in_internal(alice, clock):
    return releases.start(KEY, actor=alice)


@pytest.fixture
def in_pilot(in_internal, alice, clock, default_tenant):
    clock.wait(hours=1)
    used(clock)
    audit_passes(clock)
    sign_off_all(alice)
    clock.wait(minutes=1)
    return releases.promote(KEY, actor=alice)


def test_a_release_starts_in_internal_and_nowhere_else(in_internal, default_tenant, globex, acme):
    assert channels() == {"internal": True, "pilot": False, "general": False}
    assert answers(default_tenant, globex, acme) == [True, False, False]
    assert Change.objects.latest("at").verb == "start_release"


def test_the_whole_way_from_internal_to_general(in_pilot, alice, clock, default_tenant, globex, acme):
    assert answers(default_tenant, globex, acme) == [True, True, False]
    clock.wait(days=7)
    audit_passes(clock)
    sign_off_all(alice)
    releases.promote(KEY, actor=alice)
    assert answers(default_tenant, globex, acme) == [True, True, True]
    releases.finish(KEY, actor=alice)
    steps = Promotion.objects.order_by("at", "kind").values_list("kind", "from_channel", "to_channel", "forced")
    assert set(steps) == {
        ("start", "", "internal", False),
        ("promote", "internal", "pilot", False),
        ("promote", "pilot", "general", False),
        ("end", "general", "general", False),
    }
    assert all(state["holds"] for step in Promotion.objects.filter(kind="promote") for state in step.evidence)


def test_a_promotion_with_open_gates_names_each_in_words_and_changes_nothing(in_internal, alice, clock):
    with pytest.raises(ChangeRefused) as refusal:
        releases.promote(KEY, actor=alice)
    assert refusal.value.code == "GATES_OPEN"
    assert {gate["gate"] for gate in refusal.value.extra["gates"]} == {
        "Works in the internal company",
        "No console errors",
        "No server errors since entry",
        "Isolation audit passed since entry",
    }
    assert "no data" in refusal.value.detail
    assert channels()["pilot"] is False
    assert Promotion.objects.count() == 1


def test_no_data_does_not_pass_and_errors_do_not(in_internal, clock, default_tenant):
    gate = Gate.objects.get(release=in_internal, check_kind="no_server_errors")
    states = {state.gate.pk: state for state in gates.states(in_internal)}
    assert not states[gate.pk].holds
    used(clock, errors=2)
    states = {state.gate.pk: state for state in gates.states(in_internal)}
    assert states[gate.pk].words == "2 server errors since it entered this channel"


def test_what_was_on_before_entry_is_no_data_however_often_it_was_asked_for_since(in_internal, clock):
    def judged():
        states = gates.states(gates.release_under_way(KEY))
        return next(state for state in states if state.gate.check_kind == "no_server_errors")

    entered = clock.now
    row = DailyUsage.objects.create(
        flag_id=KEY,
        day=entered.date(),
        on=40,
        off=3,
        last_at=entered + timedelta(hours=1),
        last_on_at=entered - timedelta(seconds=1),
    )
    clock.wait(hours=2)
    assert (judged().holds, judged().words) == (False, "no data: nobody has used it since it entered this channel")
    DailyUsage.objects.filter(pk=row.pk).update(last_on_at=entered)
    assert judged().holds
    DailyUsage.objects.filter(pk=row.pk).update(last_on_at=None)  # As counted before the moment was kept.
    assert not judged().holds
    DailyUsage.objects.filter(pk=row.pk).update(day=entered.date() + DAY)
    assert judged().holds


def test_soak_ends_to_the_second_and_says_how_long_it_still_takes(in_pilot, clock):
    def soak():
        release = gates.release_under_way(KEY)
        return next(state for state in gates.states(release) if state.gate.check_kind == "soak")

    clock.wait(days=4, hours=21)
    assert soak().words == "waits until Mon 9 Mar 10:01 UTC (2 d 3 h of soak left)"
    clock.wait(days=2, hours=2, minutes=59, seconds=59)
    assert not soak().holds
    clock.wait(seconds=1)
    assert soak().holds


OVERLAPS = {
    # What happens hour by hour; the soak stands still whenever something holds the release.
    "paused within a kill": "kill pause resume revive",
    "killed within a pause": "pause kill revive resume",
    "paused, then killed": "pause kill resume revive",
    "killed, then paused": "kill pause revive resume",
}


@pytest.mark.parametrize("order", OVERLAPS.values(), ids=OVERLAPS)
def test_what_holds_a_release_twice_at_once_is_left_out_of_its_soak_once(in_pilot, alice, clock, order):
    entered = in_pilot.entered_at
    for verb in order.split():
        clock.wait(hours=1)
        if verb in ("pause", "resume"):
            getattr(releases, verb)(KEY, actor=alice)
        else:
            getattr(changes, verb)(KEY, actor=alice, reason="why")
        if verb == "kill":
            Flag.objects.filter(key=KEY).update(killed_at=clock.now)
    assert gates.release_under_way(KEY).entered_at == entered + timedelta(hours=3)


def test_a_paused_release_that_is_rolled_back_soaks_from_its_resumption(in_pilot, alice, clock):
    releases.pause(KEY, actor=alice)
    clock.wait(days=3)
    releases.roll_back(KEY, "internal", actor=alice, reason="tickets")
    clock.wait(days=2)
    releases.resume(KEY, actor=alice)
    assert gates.release_under_way(KEY).entered_at == clock.now


def test_soak_is_continuous_time_on(in_pilot, alice, clock):
    clock.wait(days=6)
    changes.set_channel(KEY, "pilot", False, actor=alice)
    clock.wait(days=2)
    changes.set_channel(KEY, "pilot", True, actor=alice)
    assert gates.soak_ends_at(gates.release_under_way(KEY)) == clock.now + 7 * DAY


def test_time_on_for_nobody_is_no_soak(in_pilot, alice, clock):
    changes.set_channel(KEY, "pilot", True, percentage=0, actor=alice)
    clock.wait(days=8)
    soak = gates.states(gates.release_under_way(KEY))[0]
    assert (soak.holds, soak.words) == (False, "it is on for nobody in Pilot; the soak starts anew when it is on")
    changes.set_channel(KEY, "pilot", True, percentage=10, actor=alice)
    assert gates.soak_ends_at(gates.release_under_way(KEY)) == clock.now + 7 * DAY


def test_a_kill_switch_that_rests_on_off_is_no_soak_either(in_pilot, alice, clock):
    changes.edit_flag(KEY, is_killswitch=True, actor=alice)
    clock.wait(days=8)
    soak = gates.states(gates.release_under_way(KEY))[0]
    assert (soak.holds, soak.words) == (False, "the flag is killed, and its release paused")
    changes.edit_flag(KEY, is_killswitch=False, actor=alice)
    assert gates.soak_ends_at(gates.release_under_way(KEY)) == clock.now + 7 * DAY


def test_soak_stands_still_while_paused_and_while_killed(in_pilot, alice, clock):
    entered = in_pilot.entered_at
    releases.pause(KEY, actor=alice)
    clock.wait(days=3)
    with pytest.raises(ChangeRefused, match="paused"):
        releases.promote(KEY, actor=alice)
    releases.resume(KEY, actor=alice)
    assert gates.release_under_way(KEY).entered_at == entered + 3 * DAY
    changes.kill(KEY, actor=alice, reason="broken")
    Flag.objects.filter(key=KEY).update(killed_at=clock.now)
    clock.wait(days=2)
    with pytest.raises(ChangeRefused, match="killed"):
        releases.promote(KEY, actor=alice, force=True, reason="now")
    changes.revive(KEY, actor=alice, reason="fixed")
    assert gates.release_under_way(KEY).entered_at == entered + 5 * DAY


def test_an_audit_before_entry_or_an_incomplete_one_does_not_count(in_pilot, clock):
    def audited():
        release = gates.release_under_way(KEY)
        return next(state for state in gates.states(release) if state.gate.check_kind == "isolation_audit")

    clock.wait(hours=1)
    assert "older than the entry" in audited().words
    audit_passes(clock, complete=False)
    assert not audited().holds
    audit_passes(clock, passed=False)
    assert not audited().holds
    clock.wait(hours=1)
    audit_passes(clock)
    assert audited().holds


def test_forcing_needs_a_reason_and_is_recorded_for_ever(in_internal, alice):
    with pytest.raises(Invalid, match="reason"):
        releases.promote(KEY, actor=alice, force=True)
    releases.promote(KEY, actor=alice, force=True, reason="customer demo")
    assert Change.objects.latest("at").verb == "force_promote"
    step = Promotion.objects.get(kind="promote")
    assert step.forced
    assert any(not state["holds"] for state in step.evidence)


@pytest.mark.parametrize(
    "actor", [ApiToken(name="deploy", kind="server", scopes=["releases:write"]), None], ids=["a token", "nobody"]
)
def test_only_a_person_can_force(in_internal, actor):
    with pytest.raises(ChangeRefused, match="Only a person"):
        releases.promote(KEY, actor=actor, force=True, reason="script")
    assert gates.release_under_way(KEY).channel_id == "internal"


DOORS_PAST_THE_GATES = {
    "the next channel": lambda actor: changes.set_channel(KEY, "pilot", True, actor=actor),
    "a percentage of it": lambda actor: changes.set_channel(KEY, "pilot", True, percentage=1, actor=actor),
    "the last channel": lambda actor: changes.set_channel(KEY, "general", True, actor=actor),
    "the default": lambda actor: changes.set_default(KEY, True, actor=actor),
}


@pytest.mark.parametrize("door", DOORS_PAST_THE_GATES)
def test_switching_on_a_later_channel_by_any_door_meets_the_gates(in_internal, alice, door):
    before = channels()
    with pytest.raises(ChangeRefused):
        DOORS_PAST_THE_GATES[door](alice)
    assert channels() == before
    assert not Flag.objects.get(key=KEY).default_enabled


def test_switching_on_the_next_channel_with_all_gates_passed_is_the_promotion(
    in_internal, alice, clock, default_tenant
):
    used(clock)
    audit_passes(clock)
    sign_off_all(alice)
    changes.set_channel(KEY, "pilot", True, percentage=25, actor=alice)
    assert gates.release_under_way(KEY).channel_id == "pilot"
    assert ChannelDefault.objects.get(flag=KEY, channel="pilot").percentage == 25
    assert Change.objects.latest("at").verb == "promote"


def test_rolling_back_needs_a_reason_and_restarts_the_soak(in_pilot, alice, clock, globex):
    with pytest.raises(Invalid):
        releases.roll_back(KEY, "internal", actor=alice, reason=" ")
    clock.wait(days=5)
    release = releases.roll_back(KEY, "internal", actor=alice, reason="tickets")
    assert channels() == {"internal": True, "pilot": False, "general": False}
    assert (release.channel_id, release.entered_at) == ("internal", clock.now)
    assert answers(globex) == [False]
    sign_offs = [s for s in gates.states(gates.release_under_way(KEY)) if s.gate.check_kind == "sign_off"]
    assert not any(state.holds for state in sign_offs)


def test_rolling_back_to_nothing_ends_the_release(in_pilot, alice, default_tenant):
    releases.roll_back(KEY, None, actor=alice, reason="not wanted")
    assert channels() == {"internal": False, "pilot": False, "general": False}
    assert gates.release_under_way(KEY) is None
    releases.start(KEY, actor=alice)
    assert answers(default_tenant) == [True]


def test_one_rolls_back_to_an_earlier_channel_only(in_pilot, alice):
    for channel in ("pilot", "general"):
        with pytest.raises(ChangeRefused, match="earlier"):
            releases.roll_back(KEY, channel, actor=alice, reason="why")
    with pytest.raises(Missing):
        releases.roll_back(KEY, "beta", actor=alice, reason="why")


def test_a_flag_without_a_release_is_rolled_back_too(alice, default_tenant, globex, acme):
    for channel in ("internal", "pilot", "general"):
        changes.set_channel(KEY, channel, True, actor=alice)
    assert releases.roll_back(KEY, "pilot", actor=alice, reason="too slow") is None
    assert answers(default_tenant, globex, acme) == [True, True, False]
    changes.set_default("driver_management", True, actor=alice)
    releases.roll_back("driver_management", None, actor=alice, reason="broken")
    assert not features_for(None, acme)["driver_management"]
    with pytest.raises(ChangeRefused) as refusal:
        releases.roll_back("driver_management", None, actor=alice, reason="again")
    assert refusal.value.code == "NOTHING_TO_ROLL_BACK"


def test_a_release_that_had_ended_goes_on_behind_its_gates_when_it_is_rolled_back(in_pilot, alice, clock, acme):
    releases.promote(KEY, actor=alice, force=True, reason="deadline")
    releases.finish(KEY, actor=alice)
    assert gates.release_under_way(KEY) is None
    release = releases.roll_back(KEY, "pilot", actor=alice, reason="tickets")
    assert (release.channel_id, gates.release_under_way(KEY)) == ("pilot", release)
    assert answers(acme) == [False]
    with pytest.raises(ChangeRefused) as refusal:
        changes.set_channel(KEY, "general", True, actor=alice)
    assert refusal.value.code == "GATES_OPEN"


def test_a_step_is_taken_only_on_the_flag_one_saw(in_internal, alice):
    seen = Flag.objects.get(key=KEY).version
    changes.edit_flag(KEY, actor=alice, owner="Somebody else")
    with pytest.raises(Conflict):
        releases.promote(KEY, actor=alice, force=True, reason="now", version=seen)
    with pytest.raises(Conflict):
        releases.roll_back(KEY, None, actor=alice, reason="now", version=seen)
    assert Promotion.objects.count() == 1


def test_an_override_outlives_a_rollback(in_pilot, alice, globex):
    changes.set_override(globex, KEY, True, actor=alice)
    releases.roll_back(KEY, None, actor=alice, reason="tickets")
    assert answers(globex) == [True]


def test_who_promotes_what_somebody_else_just_promoted_is_told(in_internal, alice, clock, default_tenant):
    used(clock)
    audit_passes(clock)
    sign_off_all(alice)
    releases.promote(KEY, actor=alice, seen="internal")
    with pytest.raises(ChangeRefused) as refusal:
        releases.promote(KEY, actor=alice, seen="internal")
    assert refusal.value.code == "ALREADY_MOVED"
    assert Promotion.objects.filter(kind="promote").count() == 1


def test_a_gate_added_later_does_not_touch_a_release_in_flight(in_internal):
    GateTemplate.objects.create(channel_id="pilot", title="Legal has agreed")
    assert "Legal has agreed" not in [state.gate.title for state in gates.states(in_internal)]


def test_only_the_next_channels_sign_offs_can_be_given(in_internal, alice):
    later = Gate.objects.get(release=in_internal, title="No support issues")
    automatic = Gate.objects.get(release=in_internal, check_kind="no_server_errors")
    with pytest.raises(ChangeRefused, match="not the next"):
        releases.sign_off(KEY, later.pk, actor=alice)
    with pytest.raises(ChangeRefused, match="checked by itself"):
        releases.sign_off(KEY, automatic.pk, actor=alice)
    signable = Gate.objects.get(release=in_internal, title="No console errors")
    with pytest.raises(Invalid, match="link"):
        releases.sign_off(KEY, signable.pk, actor=alice, link="javascript:alert(1)")


def test_required_flags_must_be_at_least_as_far(alice, clock):
    changes.edit_flag(KEY, actor=alice, requires=["driver_payments"])
    release = releases.start(KEY, actor=alice)
    releases.promote(KEY, actor=alice, force=True, reason="test")
    gate = next(s for s in gates.states(gates.release_under_way(KEY)) if s.gate.check_kind == "required_flags")
    assert gate.words == "Driver Payments is not as far yet"
    changes.set_channel("driver_payments", "general", True, actor=alice)
    gate = next(s for s in gates.states(gates.release_under_way(KEY)) if s.gate.check_kind == "required_flags")
    assert gate.holds
    assert release.channel_id == "internal"


VERBS = {
    "start": lambda actor: releases.start(KEY, actor=actor),
    "promote": lambda actor: releases.promote(KEY, actor=actor),
    "roll_back": lambda actor: releases.roll_back(KEY, None, actor=actor, reason="why"),
    "pause": lambda actor: releases.pause(KEY, actor=actor),
    "resume": lambda actor: releases.resume(KEY, actor=actor),
    "finish": lambda actor: releases.finish(KEY, actor=actor),
}


@pytest.mark.parametrize("verb", VERBS)
def test_nobody_but_a_super_admin_moves_a_release(verb, bob):
    with pytest.raises(NotAllowed):
        VERBS[verb](bob)


@pytest.mark.parametrize("verb", ["promote", "pause", "resume", "finish"])
def test_without_a_release_there_is_nothing_to_move(verb, alice):
    with pytest.raises(ChangeRefused) as refusal:
        VERBS[verb](alice)
    assert refusal.value.code == "NO_RELEASE"


def test_a_flag_whose_default_is_on_cannot_be_held_back(alice):
    with pytest.raises(ChangeRefused, match="default"):
        releases.start("driver_management", actor=alice)
