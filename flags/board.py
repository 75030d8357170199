"""Releases as people look at them: a card for each, in columns by channel, and how a flag was used of late."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, F, FilteredRelation, OuterRef, Q, QuerySet, Subquery, Window
from django.db.models.functions import RowNumber

from flags.channels import ChannelState, companies_per_channel
from flags.flagpage import Head
from flags.gates import Check, in_words, moment_in_words
from flags.releasemodels import Promotion, Release
from flags.standing import Standing, standings, under_way
from tenants.models import ReleaseChannel

CARDS_SHOWN = 40
ENDED_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Trend:
    """How often a flag was asked for, by day: `rows` of (day, number), and the `points` of a line, 100 by 20."""

    rows: list[tuple[date, int]]

    @property
    def total(self) -> int:
        return sum(number for _, number in self.rows)

    @property
    def points(self) -> str:
        highest = max((number for _, number in self.rows), default=0) or 1
        step = 100 / max(len(self.rows) - 1, 1)
        places = ((place * step, 19 - 18 * number / highest) for place, (_, number) in enumerate(self.rows))
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def trend(daily: Sequence[int], today: date) -> Trend:
    """Return a trend of numbers by day, the last of which is today's."""
    first = today - timedelta(days=len(daily) - 1)
    return Trend([(first + timedelta(days=place), number) for place, number in enumerate(daily)])


@dataclass(frozen=True, slots=True)
class Card:
    """One release as it is shown: where it stands, its rail, and what it says in words."""

    standing: Standing
    stages: list[ChannelState]

    @property
    def is_forced(self) -> bool:
        """Whether it came to where it is past open gates."""
        return bool(self.standing.release.was_forced)  # type: ignore[attr-defined]

    @property
    def was_forced_earlier(self) -> bool:
        """Whether any of its earlier steps went past open gates."""
        return bool(self.standing.release.ever_forced) and not self.is_forced  # type: ignore[attr-defined]

    @property
    def moved_by(self) -> str:
        return str(self.standing.release.moved_by or "")  # type: ignore[attr-defined]

    @property
    def trend(self) -> Trend:
        return trend(self.standing.daily, self.standing.at.date())

    @property
    def blocker(self) -> str:
        """What it waits for next, in words; empty where nothing is in the way."""
        standing = self.standing
        if standing.flag.is_killed:
            return "Stands still while the flag is killed"
        if standing.release.paused_at is not None:
            return "Stands still while it is paused"
        if not standing.blockers:
            return ""
        first = standing.blockers[0]
        if first.gate.check_kind == Check.SOAK:
            said = first.words[:1].upper() + first.words[1:]
        else:
            said = f"{first.gate.title} — {first.words}"
        more = len(standing.blockers) - 1
        return f"{said}, and {more} more gate{'' if more == 1 else 's'}" if more else said

    @property
    def answer(self) -> str:
        """The plain answer to when it can go to the last channel."""
        standing = self.standing
        if standing.following is None:
            return "It is there. Finish the release when you are content."
        end = standing.earliest_end
        if end is None:
            return f"Not while {'the flag is killed' if standing.flag.is_killed else 'it is paused'}."
        others = sum(state.gate.check_kind != Check.SOAK for state in standing.blockers)
        once = f", once {others} more gate{' is' if others == 1 else 's are'} opened" if others else ""
        if end <= standing.at:
            return f"Today{once}." if once else "Now."
        via = "" if standing.following == standing.last_channel else f" by way of {standing.following.name}"
        return f"{moment_in_words(end)} at the earliest{via}, in {in_words(end - standing.at)}{once}."


@dataclass(frozen=True, slots=True)
class Column:
    """One channel of the board: its cards, how many releases are in it in all, and how many companies."""

    channel: ReleaseChannel
    cards: list[Card]
    total: int
    companies: int
    previous: str
    """The name of the channel that flags come here from; empty for the first."""

    @property
    def more(self) -> int:
        return self.total - len(self.cards)


@dataclass(frozen=True, slots=True)
class Board:
    """All releases under way that match, by channel, and those that ended last."""

    columns: list[Column]
    ended: list[Release]

    @property
    def total(self) -> int:
        return sum(column.total for column in self.columns)


def cards(releases: Iterable[Release], at: datetime | None = None) -> list[Card]:
    """Return a card for each of these releases, as of now or `at`; the queries do not grow with their number."""
    return [Card(standing, _soaking(standing.rail, standing)) for standing in standings(releases, at)]


def card_of(key: str) -> Card | None:
    """Return the card of a flag's release, or None if none is under way."""
    return next(iter(cards(_marked(under_way([key])))), None)


@dataclass(frozen=True, slots=True)
class Course:
    """A flag's releases: the card of the one under way, if any, and the last steps of all of them, the latest first."""

    card: Card | None
    steps: list["StepTaken"]

    @property
    def release(self) -> Release | None:
        return None if self.card is None else self.card.standing.release


def course_of(head: Head, most: int) -> Course:
    """Return a flag's releases, with up to so many steps. One query, and three more where a release is under way."""
    ever_forced = Promotion.objects.filter(release=OuterRef("pk"), forced=True)
    rows = Release.objects.filter(flag=head.flag).annotate(
        step=FilteredRelation("promotions", condition=Q(promotions__isnull=False)),
        step_id=F("step__id"),
        ever_forced=Exists(ever_forced),
    )
    # Releases of one flag follow each other, so their steps come in order of time.
    rows = rows.order_by(F("ended_at").desc(nulls_first=True), "-step__at", "step__id")
    found = list(rows.select_related("channel", "step")[:most])  # type: ignore[misc]
    names = {channel.slug: channel.name for channel in head.channels.all}
    steps = [
        StepTaken(row.step, *(names.get(slug, slug) for slug in (row.step.from_channel, row.step.to_channel)))
        for row in found
        if row.step_id is not None
    ]
    release = next((row for row in found if row.ended_at is None), None)
    if release is None:
        return Course(None, steps)
    release.flag = head.flag
    last = release.step if release.step_id is not None else None
    release.moved_by, release.was_forced = (None, None) if last is None else (last.by_name, last.forced)  # type: ignore[attr-defined]
    [standing] = standings([release], head.at, channels=head.channels, required=head.requires)
    return Course(Card(standing, _soaking(standing.rail, standing)), steps)


def board(*, q: str = "") -> Board:
    """Return the board; `q` is looked for in name, key and owner of the flags. The queries do not grow with releases.

    Each column holds the first CARDS_SHOWN, longest there first.
    """
    found = under_way()
    if q:
        found = found.filter(Q(flag__name__icontains=q) | Q(flag__key__icontains=q) | Q(flag__owner__icontains=q))
    counts = dict(found.order_by().values_list("channel").annotate(n=Count("pk")))
    place = Window(RowNumber(), partition_by=F("channel"), order_by=["entered_at", "pk"])
    first = _marked(found.annotate(place=place).filter(place__lte=CARDS_SHOWN))
    by_channel: dict[str, list[Card]] = {}
    for card in cards(first):
        by_channel.setdefault(card.standing.release.channel_id, []).append(card)
    companies = companies_per_channel()
    columns, previous = [], ""
    for channel in ReleaseChannel.objects.order_by("rank"):
        slug = channel.slug
        column = Column(channel, by_channel.get(slug, []), counts.get(slug, 0), companies.get(slug, 0), previous)
        columns.append(column)
        previous = channel.name
    return Board(columns, list(ended()[:ENDED_SHOWN]))


def ended() -> QuerySet[Release]:
    """Return releases that are over, the latest first, with how (`end_kind`) and by whom (`ended_by`)."""
    steps = Promotion.objects.filter(release=OuterRef("pk")).order_by("-at", "id")
    rows = _marked(Release.objects.exclude(ended_at=None).select_related("flag", "channel"))
    rows = rows.annotate(end_kind=Subquery(steps.values("kind")[:1]), ended_by=Subquery(steps.values("by_name")[:1]))
    return rows.order_by("-ended_at", "pk")


@dataclass(frozen=True, slots=True)
class StepTaken:
    """One step of a flag's releases, with the names of its channels and the evidence as it was then."""

    step: Promotion
    came_from: str
    went_to: str

    @property
    def open_gates(self) -> list[dict[str, Any]]:
        """The gates that it went past, where it was forced."""
        return [gate for gate in self.step.evidence if not gate["holds"]]


def _marked(releases: QuerySet[Release]) -> QuerySet[Release]:
    """Say of each release whether any of its steps was forced (`ever_forced`)."""
    forced = Promotion.objects.filter(release=OuterRef("pk"), forced=True)
    return releases.annotate(ever_forced=Exists(forced))


def _soaking(stages: list[ChannelState], standing: Standing) -> list[ChannelState]:
    """Put the soak of the present channel on its stop of the rail."""
    here = standing.release.channel_id
    return [replace(stage, soak_fraction=standing.soak_fraction) if stage.slug == here else stage for stage in stages]
