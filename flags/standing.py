"""Where releases stand: the channel, the gates ahead, what holds them up, and when they can go on. Reads only."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from flags.channels import Channels, ChannelState
from flags.evaluation import ChannelAnswer
from flags.evidence import Seen, gather
from flags.gates import Check, GateState, database_now, in_words, judge, moment_in_words, soak_ends_at
from flags.impact import Proposed
from flags.models import Flag
from flags.releasemodels import Promotion, Release
from tenants.models import ReleaseChannel
from tenants.rls import seeing_every_company


@dataclass(frozen=True, slots=True)
class Standing:
    """One release as it stands at one moment. `answer` is what its channel says of the flag just now."""

    release: Release
    channels: tuple[ReleaseChannel, ...]
    rail: list[ChannelState]
    following: ReleaseChannel | None
    gates: list[GateState]
    answer: ChannelAnswer | None
    seen: Seen
    daily: list[int]
    later_soaks: tuple[int, ...]
    """Days of soak in each channel between the next one and the last, where a gate asks for them."""
    at: datetime

    @property
    def flag(self) -> Flag:
        return self.release.flag

    @property
    def passed(self) -> int:
        """How many of the gates ahead hold."""
        return sum(state.holds for state in self.gates)

    @property
    def blockers(self) -> list[GateState]:
        """The gates ahead that do not hold; those that a person can open come first, then those that take time."""
        waiting = [state for state in self.gates if not state.holds]
        return sorted(waiting, key=lambda state: (state.ready_at is not None, not state.is_broken))

    @property
    def is_held(self) -> bool:
        """Whether the release stands still, whatever its gates say: it is paused, or its flag killed."""
        return self.release.paused_at is not None or self.flag.is_killed

    @property
    def can_promote(self) -> bool:
        """Whether a promotion would go through right now."""
        return self.following is not None and not self.is_held and not self.blockers

    @property
    def has_soak(self) -> bool:
        """Whether a gate ahead asks for soak time."""
        return any(state.gate.check_kind == Check.SOAK for state in self.gates)

    @property
    def ready_at(self) -> datetime | None:
        """When time stops being in the way of the next step; None while the release is held, or where it never was."""
        return soak_ends_at(self.release) if self.has_soak and not self.is_held else None

    @property
    def soak_fraction(self) -> float | None:
        """How much of the soak in this channel is over, from 0 to 1; None where no gate asks for any."""
        if not self.has_soak:
            return None
        whole = timedelta(days=self.release.channel.soak_days)
        if not whole:
            return 1.0
        until = self.release.paused_at or self.flag.killed_at or self.at
        return min(max((until - self.release.entered_at) / whole, 0.0), 1.0)

    @property
    def last_channel(self) -> ReleaseChannel:
        return self.channels[-1]

    @property
    def earliest_end(self) -> datetime | None:
        """The earliest moment the flag can be in the last channel, if every other gate were opened at once."""
        if self.following is None or self.is_held:
            return None
        return max(self.ready_at or self.at, self.at) + timedelta(days=sum(self.later_soaks))

    @property
    def when(self) -> str:
        """When, and on what conditions, it can go to the next channel, in words."""
        if self.following is None:
            return f"in {self.release.channel.name}, the last channel: finish the release"
        if self.flag.is_killed:
            return "stands still while the flag is killed"
        if self.release.paused_at is not None:
            return "stands still while it is paused"
        to = f"can go to {self.following.name}"
        ready = self.ready_at
        waits = ready is not None and ready > self.at
        if waits:
            assert ready is not None
            to = f"{to} from {moment_in_words(ready)}, in {in_words(ready - self.at)}"
        others = [state.gate.title for state in self.blockers if state.gate.check_kind != Check.SOAK]
        if not others and not self.blockers:
            return f"{to} now"
        if not others and waits:
            return to
        titles = others or [state.gate.title for state in self.blockers]
        return f"{to}, once: {', '.join(titles)}"

    @property
    def when_at_the_end(self) -> str:
        """When it can be in the last channel at the earliest, in words; empty where that is the next one."""
        end = self.earliest_end
        if end is None or self.following is None or self.following == self.last_channel:
            return ""
        return f"{self.last_channel.name} at the earliest: {moment_in_words(end)}"

    def promotion(self, percentage: int = 100) -> Proposed:
        """Return what the next step proposes. There must be one."""
        assert self.following is not None
        return Proposed(self.flag.key, channels={self.following.slug: ChannelAnswer(True, percentage)})

    def rollback(self, to: ReleaseChannel | None) -> Proposed:
        """Return what going back to an earlier channel, or out of all, proposes."""
        return rollback(self.flag.key, self.channels, to)

    @property
    def earlier(self) -> list[ReleaseChannel]:
        """The channels it can be rolled back to."""
        return [channel for channel in self.channels if channel.rank < self.release.channel.rank]


def rollback(key: str, channels: Collection[ReleaseChannel], to: ReleaseChannel | None) -> Proposed:
    """Return what a channel rollback proposes: every later channel off, or with None all of them."""
    off = [channel.slug for channel in channels if to is None or channel.rank > to.rank]
    return Proposed(key, channels={slug: ChannelAnswer(False) for slug in off})


def standings(
    releases: Iterable[Release],
    at: datetime | None = None,
    *,
    channels: Channels | None = None,
    required: Collection[Flag] | None = None,
) -> list[Standing]:
    """Return where each of these releases stands, as of now or `at`; the queries do not grow with their number.

    Their channel and flag should be loaded. What else is known saves a query each, as `evidence.gather` says.
    """
    found = list(releases)
    if not found:
        return []
    at = at or database_now()
    evidence = gather(found, at, channels=channels, required=required)
    return [
        Standing(
            release=release,
            channels=evidence.channels.all,
            rail=evidence.channels.rail(release.flag_id),
            following=evidence.following(release),
            gates=judge(release, evidence),
            answer=evidence.answers.get((release.flag_id, release.channel_id)),
            seen=evidence.seen[release.pk],
            daily=evidence.daily[release.flag_id],
            later_soaks=tuple(evidence.later_soaks(release)),
            at=at,
        )
        for release in found
    ]


def under_way(keys: Collection[str] | None = None) -> QuerySet[Release]:
    """Return the releases that have not ended, of these flags or of all, oldest entry first.

    With flag and channel, and who moved each where it is (`moved_by`), past open gates or not (`was_forced`).
    """
    steps = Promotion.objects.filter(release=OuterRef("pk")).order_by("-at", "id")
    rows = Release.objects.filter(ended_at=None).select_related("channel", "flag")
    rows = rows.annotate(
        moved_by=Subquery(steps.values("by_name")[:1]), was_forced=Subquery(steps.values("forced")[:1])
    )
    return (
        rows.order_by("entered_at", "pk") if keys is None else rows.filter(flag__in=list(keys)).order_by("entered_at")
    )


def with_channel_of_release(flags: QuerySet[Flag]) -> QuerySet[Any]:
    """Say of each flag what the channel is called that a release under way has it in (`releasing_in`); None without."""
    at = Release.objects.filter(flag=OuterRef("pk"), ended_at=None).order_by().values("channel__name")
    return flags.annotate(releasing_in=Subquery(at[:1]))


def by_key(keys: Collection[str], at: datetime | None = None) -> dict[str, Standing]:
    """Return where the releases under way of these flags stand, by key.

    Read as Headgate itself: the key of one company may see a flag, and not what other companies make of it.
    """
    with seeing_every_company("say where releases stand"):
        return {standing.flag.key: standing for standing in standings(under_way(keys), at)}


def of(key: str, at: datetime | None = None) -> Standing | None:
    """Return where a flag's release stands, or None if none is under way."""
    return by_key([key], at).get(key)
