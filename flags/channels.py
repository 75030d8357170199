"""What release channels answer for flags, and how many companies each has. Reads only."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import F, FilteredRelation, OuterRef, Q, QuerySet, Subquery, Sum

from flags.evaluation import ChannelAnswer
from flags.models import ChannelDefault, Flag, Tally
from flags.tallies import COMPANIES
from tenants.models import ReleaseChannel


@dataclass(frozen=True, slots=True)
class ChannelState:
    """One stop of a flag's rail. `enabled` is None where the channel has no answer of its own.

    `soak_fraction` is how much of its soak there is over, from 0 to 1, while a release soaks in it.
    """

    slug: str
    name: str
    enabled: bool | None
    percentage: int
    soak_fraction: float | None = None


@dataclass(frozen=True, slots=True)
class Channels:
    """Every channel in order, what it answers for some flags, and how many active companies it has, by its slug."""

    all: tuple[ReleaseChannel, ...]
    answers: Mapping[tuple[str, str], ChannelAnswer]
    """By a flag's key and a channel's slug."""
    companies: Mapping[str, int]

    def rail(self, key: str) -> list[ChannelState]:
        """Return a flag's answer on every channel."""
        return [channel_state(channel, self.answers.get((key, channel.slug))) for channel in self.all]


def channels_for(keys: Collection[str]) -> Channels:
    """Return the channels with their answers for these flags. One query."""
    tallies = Tally.objects.filter(what=COMPANIES, name=OuterRef("slug")).order_by().values("name")
    companies = Subquery(tallies.annotate(sum=Sum("n")).values("sum"))
    found: dict[str, ReleaseChannel] = {}
    answers = {}
    for channel in _answering(keys).annotate(companies=companies):
        found.setdefault(channel.slug, channel)
        if channel.key is not None:
            answers[channel.key, channel.slug] = ChannelAnswer(channel.enabled, channel.percentage)
    return Channels(tuple(found.values()), answers, {slug: one.companies or 0 for slug, one in found.items()})  # type: ignore[attr-defined]


def rails(keys: Iterable[str]) -> dict[str, list[ChannelState]]:
    """Return, by key, the flag's answer on every channel, in the channels' order. One query."""
    wanted = list(keys)
    if not wanted:
        return {}
    silent: dict[str, ChannelState] = {}
    answers: dict[tuple[str, str], ChannelState] = {}
    for slug, name, key, enabled, percentage in _answering(wanted).values_list(
        "slug", "name", "key", "enabled", "percentage"
    ):
        silent.setdefault(slug, ChannelState(slug, name, None, 100))
        if key is not None:
            answers[key, slug] = ChannelState(slug, name, enabled, percentage)
    return {key: [answers.get((key, slug), state) for slug, state in silent.items()] for key in wanted}


def _answering(keys: Collection[str]) -> QuerySet[Any]:
    """Return each channel with each of its answers for these flags (`key`, `enabled`, `percentage`), or with none."""
    answers = FilteredRelation("answers", condition=Q(answers__flag__in=keys))
    rows = ReleaseChannel.objects.annotate(
        own=answers, key=F("own__flag"), enabled=F("own__enabled"), percentage=F("own__percentage")
    )
    return rows.order_by("rank")


def channel_state(channel: ReleaseChannel, answer: ChannelDefault | ChannelAnswer | None) -> ChannelState:
    """Return a channel's stop on a flag's rail, for the answer it gives, if any."""
    if answer is None:
        return ChannelState(channel.slug, channel.name, None, 100)
    return ChannelState(channel.slug, channel.name, answer.enabled, answer.percentage)


def is_on(flag: Flag, stop: ChannelState) -> bool:
    """Say whether a flag is on in a channel: by its answer there, or else by its default."""
    return flag.default_enabled if stop.enabled is None else stop.enabled


def furthest(flag: Flag, rail: Iterable[ChannelState]) -> str | None:
    """Return the last channel that a flag is on in; None if in none."""
    return next((stop.slug for stop in reversed(list(rail)) if is_on(flag, stop)), None)


def companies_per_channel() -> dict[str, int]:
    """Return how many active companies each release channel has, by its slug."""
    rows = Tally.objects.filter(what=COMPANIES).values_list("name").annotate(sum=Sum("n"))
    return {slug: number for slug, number in rows if number}
