"""Whether a gate holds, and in words why not yet. Reads only; the clock is the database's."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from flags.models import Flag
from flags.releasemodels import Gate, GateTemplate, IsolationAudit, Release, Usage
from tenants.models import ReleaseChannel

Check = GateTemplate.Check


@dataclass(frozen=True, slots=True)
class GateState:
    """One gate as it stands: whether it holds, and a sentence that says on what grounds or what it waits for."""

    gate: Gate
    holds: bool
    words: str
    ready_at: datetime | None = None
    """When time alone will open it, where that is known."""

    def as_evidence(self) -> dict[str, Any]:
        """Return the gate as the history of a promotion keeps it."""
        return {"gate": self.gate.title, "kind": self.gate.check_kind, "holds": self.holds, "words": self.words}


def database_now() -> datetime:
    """Return the time by the database's clock, which every process shares. SQLite's is this machine's."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        return cursor.fetchone()[0]


def next_channel(release: Release) -> ReleaseChannel | None:
    """Return the channel after the one a release is in, or None at the end."""
    return ReleaseChannel.objects.filter(rank__gt=release.channel.rank).order_by("rank").first()


def soak_ends_at(release: Release) -> datetime:
    """Return the moment the soak time of the release's present channel has passed."""
    return release.entered_at + timedelta(days=release.channel.soak_days)


def states(release: Release, at: datetime | None = None) -> list[GateState]:
    """Return every gate between a release and its next channel, in order, as of now or `at`."""
    following = next_channel(release)
    if following is None:
        return []
    at = at or database_now()
    gates = [gate for gate in release.gates.all() if gate.channel_id == following.slug]
    return [_state(release, gate, following, at) for gate in sorted(gates, key=lambda gate: (gate.rank, gate.title))]


def _state(release: Release, gate: Gate, following: ReleaseChannel, at: datetime) -> GateState:
    if gate.check_kind == Check.SIGN_OFF:
        return _signed_off(release, gate)
    if gate.check_kind == Check.SOAK:
        return _soaked(release, gate, at)
    if gate.check_kind == Check.NO_SERVER_ERRORS:
        return _no_server_errors(release, gate)
    if gate.check_kind == Check.ISOLATION_AUDIT:
        return _audited(release, gate)
    return _required_flags(release, gate, following)


def _signed_off(release: Release, gate: Gate) -> GateState:
    # A word given for an earlier stay in this channel is no word about this one.
    word = next((s for s in gate.sign_offs.all() if s.at >= release.entered_at), None)
    if word is None:
        return GateState(gate, False, "waits for somebody to sign it off")
    note = f": {word.note}" if word.note else ""
    return GateState(gate, True, f"signed off by {word.by_name}{note}")


def _soaked(release: Release, gate: Gate, at: datetime) -> GateState:
    if release.paused_at is not None:
        return GateState(gate, False, "the release is paused, and its soak with it")
    if release.flag.killed_at is not None:
        return GateState(gate, False, "the flag is killed, and its release paused")
    if not release.flag.channel_defaults.filter(channel=release.channel_id, enabled=True).exists():
        return GateState(
            gate, False, f"it is switched off in {release.channel.name}; the soak starts anew when it is on"
        )
    ready = soak_ends_at(release)
    if at >= ready:
        return GateState(gate, True, f"soaked for {release.channel.soak_days} days", ready)
    return GateState(
        gate, False, f"waits until {ready:%a %d %b %H:%M} UTC ({in_words(ready - at)} of soak left)", ready
    )


def in_words(left: timedelta) -> str:
    """Return a length of time as people say it: days and hours, hours and minutes, minutes, or seconds."""
    seconds = int(left.total_seconds())
    days, hours, minutes = seconds // 86_400, seconds % 86_400 // 3600, seconds % 3600 // 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


def _no_server_errors(release: Release, gate: Gate) -> GateState:
    rows = Usage.objects.filter(flag=release.flag_id, day__gte=release.entered_at.date())
    rows = rows.filter(last_at__gte=release.entered_at)
    seen = rows.aggregate(on=Sum("on"), errors=Sum("errors"))
    if not seen["on"]:
        return GateState(gate, False, "no data: nobody has used it since it entered this channel")
    # Counts are kept by the day: errors count if the last of them came after entry.
    errors = rows.filter(last_error_at__gte=release.entered_at).aggregate(n=Sum("errors"))["n"] or 0
    if errors:
        return GateState(gate, False, f"{errors} server errors since it entered this channel")
    return GateState(gate, True, f"no server errors in {seen['on']} evaluations")


def _audited(release: Release, gate: Gate) -> GateState:
    audit = IsolationAudit.objects.filter(complete=True).first()
    if audit is None:
        return GateState(gate, False, "no data: no isolation audit has run; run it")
    if audit.at < release.entered_at:
        return GateState(gate, False, "the isolation audit is older than the entry into this channel; run it")
    if not audit.passed:
        return GateState(gate, False, f"the isolation audit of {audit.at:%d %b %H:%M} found problems")
    return GateState(gate, True, f"the isolation audit of {audit.at:%d %b %H:%M} passed")


def _required_flags(release: Release, gate: Gate, following: ReleaseChannel) -> GateState:
    behind = [flag.name for flag in release.flag.requires.all() if not _is_as_far(flag, following)]
    if behind:
        return GateState(gate, False, f"{', '.join(behind)} {'is' if len(behind) == 1 else 'are'} not as far yet")
    return GateState(gate, True, "everything it requires is at least as far")


def _is_as_far(flag: Flag, following: ReleaseChannel) -> bool:
    """Whether a required flag is wholly on in the channel, by its own answer or else by its default."""
    answer = flag.channel_defaults.filter(channel=following).first()
    if flag.is_killed:
        return False
    return flag.default_enabled if answer is None else answer.enabled and answer.percentage == 100


def open_gates(release: Release, at: datetime | None = None) -> list[GateState]:
    """Return the gates that do not hold yet."""
    return [state for state in states(release, at) if not state.holds]


def release_under_way(key: str) -> Release | None:
    """Return a flag's release that has not ended, or None."""
    return Release.objects.select_related("channel", "flag").filter(flag=key, ended_at=None).first()
