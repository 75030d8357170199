"""Whether a gate holds, and in words why not yet. The clock is the database's."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import DateTimeField, Value
from django.db.models.functions import Now
from django.utils import timezone

from flags.evidence import Evidence, gather
from flags.models import Flag
from flags.releasemodels import Gate, GateSignOff, GateTemplate, IsolationAudit, Release
from tenants.models import ReleaseChannel

Check = GateTemplate.Check


@dataclass(frozen=True, slots=True)
class GateState:
    """One gate as it stands: whether it holds, and a sentence that says on what grounds or what it waits for."""

    gate: Gate
    holds: bool
    words: str
    ready_at: datetime | None = None
    """When time alone opens it, where that is known."""
    sign_off: GateSignOff | None = None
    is_broken: bool = False
    """Whether there is evidence against it, and not merely none for it."""

    @property
    def is_by_hand(self) -> bool:
        """Whether a person's word opens it."""
        return self.gate.check_kind == Check.SIGN_OFF

    def as_evidence(self) -> dict[str, Any]:
        """Return the gate as the history of a promotion, and a refusal, keep it."""
        return {
            "id": str(self.gate.pk),
            "gate": self.gate.title,
            "kind": self.gate.check_kind,
            "holds": self.holds,
            "words": self.words,
        }


def database_now() -> datetime:
    """Return the time by the database's clock, which every process shares. SQLite's is this machine's."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        return cursor.fetchone()[0]


def database_clock() -> Now | Value:
    """Return the same as an expression, for whoever reads something anyway."""
    return Now() if connection.vendor == "postgresql" else Value(timezone.now(), DateTimeField())


def next_channel(release: Release) -> ReleaseChannel | None:
    """Return the channel after the one a release is in, or None at the end."""
    return ReleaseChannel.objects.filter(rank__gt=release.channel.rank).order_by("rank").first()


def release_under_way(key: str) -> Release | None:
    """Return a flag's release that has not ended, or None."""
    return Release.objects.select_related("channel", "flag").filter(flag=key, ended_at=None).first()


def soak_ends_at(release: Release) -> datetime:
    """Return the moment the soak time of the release's present channel has passed."""
    return release.entered_at + timedelta(days=release.channel.soak_days)


def in_words(left: timedelta) -> str:
    """Return a length of time as people say it: days and hours, hours and minutes, minutes, or seconds."""
    seconds = int(left.total_seconds())
    days, hours, minutes = seconds // 86_400, seconds % 86_400 // 3600, seconds % 3600 // 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


def moment_in_words(moment: datetime) -> str:
    """Return a moment as people say it here, to the minute and in the time zone that is active, with its name."""
    local = timezone.localtime(moment)
    return f"{local:%a} {local.day} {local:%b %H:%M %Z}"


def states_of(releases: Collection[Release], at: datetime | None = None) -> dict[UUID, list[GateState]]:
    """Return, by release, every gate before its next channel, in order, as of now or `at`. The queries do not grow."""
    evidence = gather(releases, at or database_now())
    return {release.pk: judge(release, evidence) for release in releases}


def states(release: Release, at: datetime | None = None) -> list[GateState]:
    """Return every gate between a release and its next channel, in order, as of now or `at`."""
    return states_of([release], at)[release.pk]


def open_gates(release: Release, at: datetime | None = None) -> list[GateState]:
    """Return the gates that do not hold yet."""
    return [state for state in states(release, at) if not state.holds]


def judge(release: Release, evidence: Evidence) -> list[GateState]:
    """Return the states of the gates before a release by the evidence given."""
    return [_state(release, gate, evidence) for gate in evidence.ahead(release)]


def _state(release: Release, gate: Gate, evidence: Evidence) -> GateState:
    if gate.check_kind == Check.SIGN_OFF:
        return _signed_off(gate, evidence)
    if gate.check_kind == Check.SOAK:
        return _soaked(release, gate, evidence)
    if gate.check_kind == Check.NO_SERVER_ERRORS:
        return _no_server_errors(release, gate, evidence)
    if gate.check_kind == Check.ISOLATION_AUDIT:
        return _audited(release, gate, evidence)
    return _required_flags(release, gate, evidence)


def _signed_off(gate: Gate, evidence: Evidence) -> GateState:
    word = evidence.words.get(gate.pk)
    if word is None:
        return GateState(gate, False, "waits for somebody to sign it off")
    note = f": {word.note}" if word.note else ""
    return GateState(gate, True, f"signed off by {word.by_name}{note}", sign_off=word)


def _soaked(release: Release, gate: Gate, evidence: Evidence) -> GateState:
    if release.paused_at is not None:
        return GateState(gate, False, "the release is paused, and its soak with it")
    if release.flag.is_killed:
        return GateState(gate, False, "the flag is killed, and its release paused")
    answer = evidence.answers.get((release.flag_id, release.channel_id))
    if answer is None or not (answer.enabled and answer.percentage):
        off = "switched off" if answer is None or not answer.enabled else "on for nobody"
        return GateState(gate, False, f"it is {off} in {release.channel.name}; the soak starts anew when it is on")
    ready = soak_ends_at(release)
    if evidence.at >= ready:
        return GateState(gate, True, f"soaked for {release.channel.soak_days} days", ready)
    left = in_words(ready - evidence.at)
    return GateState(gate, False, f"waits until {moment_in_words(ready)} ({left} of soak left)", ready)


def _no_server_errors(release: Release, gate: Gate, evidence: Evidence) -> GateState:
    seen = evidence.seen[release.pk]
    if seen.errors:
        said = f"{seen.errors} server error{'' if seen.errors == 1 else 's'} since it entered this channel"
        return GateState(gate, False, said, is_broken=True)
    if not seen.on:
        return GateState(gate, False, "no data: nobody has used it since it entered this channel")
    return GateState(gate, True, f"no server errors in {seen.on} evaluations")


def _audited(release: Release, gate: Gate, evidence: Evidence) -> GateState:
    audit, incomplete = evidence.audit, evidence.incomplete_audit
    if incomplete is not None and incomplete.at >= release.entered_at and not _is_of(release, audit):
        left_out = incomplete.skipped[0].rstrip(".") if incomplete.skipped else "it left something out"
        said = f"the isolation audit of {moment_in_words(incomplete.at)} proves nothing: {left_out}"
        return GateState(gate, False, said)
    if audit is None:
        return GateState(gate, False, "no data: no isolation audit has run; run it")
    if not _is_of(release, audit):
        return GateState(gate, False, "the isolation audit is older than the entry into this channel; run it")
    if not audit.passed:
        said = f"the isolation audit of {moment_in_words(audit.at)} found problems"
        return GateState(gate, False, said, is_broken=True)
    return GateState(gate, True, f"the isolation audit of {moment_in_words(audit.at)} passed")


def _is_of(release: Release, audit: IsolationAudit | None) -> bool:
    """Whether an audit was run during this stay in the channel."""
    return audit is not None and audit.at >= release.entered_at


def _required_flags(release: Release, gate: Gate, evidence: Evidence) -> GateState:
    required = evidence.required.get(release.flag_id, [])
    behind = [flag.name for flag in required if not _is_as_far(flag, gate.channel_id, evidence)]
    if behind:
        return GateState(gate, False, f"{', '.join(behind)} {'is' if len(behind) == 1 else 'are'} not as far yet")
    return GateState(gate, True, "everything it requires is at least as far")


def _is_as_far(flag: Flag, channel: str, evidence: Evidence) -> bool:
    """Whether a required flag is wholly on in the channel, by its own answer or else by its default."""
    answer = evidence.answers.get((flag.key, channel))
    if flag.is_killed:
        return False
    return flag.default_enabled if answer is None else answer.enabled and answer.percentage == 100
