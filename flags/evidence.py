"""What gates rest on, read once for any number of releases. Reads only."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db.models import F, FilteredRelation, Q, Subquery

from flags.channels import Channels, channels_for
from flags.evaluation import ChannelAnswer
from flags.models import Flag, Requirement
from flags.releasemodels import DailyUsage, Gate, GateSignOff, GateTemplate, IsolationAudit, Release
from tenants.models import ReleaseChannel

DAYS_SHOWN = 14


@dataclass(slots=True)
class Seen:
    """How a flag was used since its release entered its channel: evaluations that said on, all of them, and errors.

    Counts are kept by the day, so those of the day of entry are all of that day, if the last of them came after it.
    """

    on: int = 0
    evaluations: int = 0
    errors: int = 0
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Facts about some releases as of one moment. Keys are flags' keys and channels' slugs."""

    at: datetime
    channels: Channels
    gates: Mapping[UUID, list[Gate]]
    words: Mapping[UUID, GateSignOff]
    audit: IsolationAudit | None
    """The latest complete run; and the latest run at all, where that one left something out."""
    incomplete_audit: IsolationAudit | None
    seen: Mapping[UUID, Seen]
    daily: Mapping[str, list[int]]
    required: Mapping[str, list[Flag]] = field(default_factory=dict)

    @property
    def answers(self) -> Mapping[tuple[str, str], ChannelAnswer]:
        """What channels answer for the flags of these releases, and for those that they require."""
        return self.channels.answers

    def following(self, release: Release) -> ReleaseChannel | None:
        """Return the channel after the one a release is in, or None at the end."""
        return next((channel for channel in self.channels.all if channel.rank > release.channel.rank), None)

    def ahead(self, release: Release) -> list[Gate]:
        """Return the gates between a release and its next channel, in order."""
        following = self.following(release)
        if following is None:
            return []
        gates = [gate for gate in self.gates.get(release.pk, []) if gate.channel_id == following.slug]
        return sorted(gates, key=lambda gate: (gate.rank, gate.title))

    def later_soaks(self, release: Release) -> list[int]:
        """Return the days of soak that gates ask for in the channels between the next one and the last."""
        days = []
        between = [channel for channel in self.channels.all if channel.rank > release.channel.rank][:-1]
        for channel in between:
            beyond = next(other for other in self.channels.all if other.rank > channel.rank)
            asked = any(
                gate.channel_id == beyond.slug and gate.check_kind == GateTemplate.Check.SOAK
                for gate in self.gates.get(release.pk, [])
            )
            days.append(channel.soak_days if asked else 0)
        return days


def gather(
    releases: Collection[Release],
    at: datetime,
    *,
    channels: Channels | None = None,
    required: Collection[Flag] | None = None,
) -> Evidence:
    """Read the evidence for these releases, whose channel and flag should be loaded. At most five queries.

    Less where it is known already: of a single release the flags that its flag requires, and what channels answer for
    all of them.
    """
    found = list(releases)
    keys = {release.flag_id for release in found}
    gates, words = _gates(found)
    daily = _daily(found, keys, at)
    by_flag = _required(keys, gates) if required is None else {key: sorted(required, key=_by_name) for key in keys}
    known = keys.union(flag.key for flags in by_flag.values() for flag in flags)
    audit, incomplete = _audits()
    return Evidence(
        at=at,
        channels=channels or channels_for(known),
        gates=gates,
        words=words,
        audit=audit,
        incomplete_audit=incomplete,
        seen={release.pk: _seen(release, daily.get(release.flag_id, [])) for release in found},
        daily={key: _last_days(daily.get(key, []), at.date()) for key in keys},
        required=by_flag,
    )


def _gates(releases: list[Release]) -> tuple[dict[UUID, list[Gate]], dict[UUID, GateSignOff]]:
    """Return the gates by release, and the last word that was given for each during this stay in the channel."""
    gates: dict[UUID, dict[UUID, Gate]] = {}
    words: dict[UUID, GateSignOff] = {}
    entered = {release.pk: release.entered_at for release in releases}
    given = FilteredRelation("sign_offs", condition=Q(sign_offs__isnull=False))
    rows = Gate.objects.filter(release__in=releases).annotate(word=given, word_id=F("word__id"), said_at=F("word__at"))
    for gate in rows.select_related("word").order_by("said_at", "-word_id"):  # type: ignore[misc]
        gates.setdefault(gate.release_id, {})[gate.pk] = gate
        # A word given for an earlier stay in this channel is no word about this one.
        if gate.word_id is not None and gate.said_at >= entered[gate.release_id]:
            words[gate.pk] = gate.word
    return {pk: list(some.values()) for pk, some in gates.items()}, words


def _audits() -> tuple[IsolationAudit | None, IsolationAudit | None]:
    """Return the latest complete run, and the latest at all where that one left something out."""
    runs = IsolationAudit.objects.order_by("-at", "id").values("pk")
    latest = Q(pk=Subquery(runs[:1])) | Q(pk=Subquery(runs.filter(complete=True)[:1]))
    found = list(IsolationAudit.objects.filter(latest))
    incomplete = found[0] if found and not found[0].complete else None
    return next((run for run in found if run.complete), None), incomplete


def _by_name(flag: Flag) -> str:
    return flag.name


def _daily(releases: list[Release], keys: set[str], at: datetime) -> dict[str, list[DailyUsage]]:
    if not releases:
        return {}
    entered = min(release.entered_at for release in releases).date()
    since = min(entered, at.date() - timedelta(days=DAYS_SHOWN))
    rows: dict[str, list[DailyUsage]] = {}
    for row in DailyUsage.objects.filter(flag__in=keys, day__gte=since).order_by():
        rows.setdefault(row.flag_id, []).append(row)
    return rows


def _seen(release: Release, rows: list[DailyUsage]) -> Seen:
    seen = Seen()
    for row in rows:
        if _came_after(release, row, row.last_on_at):
            seen.on += row.on
        if row.last_at >= release.entered_at:
            seen.evaluations += row.on + row.off
            seen.last_at = row.last_at if seen.last_at is None else max(seen.last_at, row.last_at)
        if row.last_error_at is not None and row.last_error_at >= release.entered_at:
            seen.errors += row.errors
    return seen


def _came_after(release: Release, row: DailyUsage, last_at: datetime | None) -> bool:
    """Whether what was counted on a day and last seen at `last_at` came, at least in part, after the entry."""
    return row.day > release.entered_at.date() or (last_at is not None and last_at >= release.entered_at)


def _last_days(rows: list[DailyUsage], today: date) -> list[int]:
    counts = {row.day: row.on + row.off for row in rows}
    return [counts.get(today - timedelta(days=back), 0) for back in range(DAYS_SHOWN - 1, -1, -1)]


def _required(keys: set[str], gates: Mapping[UUID, list[Gate]]) -> dict[str, list[Flag]]:
    asks = any(gate.check_kind == GateTemplate.Check.REQUIRED_FLAGS for some in gates.values() for gate in some)
    required: dict[str, list[Flag]] = {}
    if asks:
        rows = Requirement.objects.filter(flag__in=keys).select_related("requires").order_by("requires__name")
        for row in rows:
            required.setdefault(row.flag_id, []).append(row.requires)
    return required
