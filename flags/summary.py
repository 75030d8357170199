"""What a look at the console should tell first: how flags stand, what is under way, and what ends soon.

Where releases stand (`releases_under_way`) and which overrides end soon (`ending_soon`) are asked apart: together they
take longer to work out than all the rest.

Every number is that of a query, in the search language, and so of the list that it leads to.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Count, QuerySet, Subquery, Value
from django.db.models.functions import TruncDate
from django.utils import timezone

from flags import board, finding
from flags.board import Card
from flags.companyfeatures import EXPIRING_WITHIN
from flags.models import Flag, Override
from flags.standing import under_way
from tenants.models import User

STATES = (
    ("On by default", "is:on -is:killed", "on"),
    ("Off by default", "is:off -is:killed", "off"),
    ("Killed", "is:killed", "danger"),
)
"""How flags stand: every one that is not archived is in exactly one of these. Words, query, tone."""
NOTABLE = (
    ("Overridden", "is:overridden"),
    ("Stale", "is:stale"),
    ("Never evaluated", "is:never-evaluated"),
    ("Without an owner", "owner:none"),
    ("Archived", "is:archived"),
)
SHOWN = 6


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of flags, and the query that lists them. `share` is how much of all that is, from 0 to 100."""

    words: str
    query: str
    number: int
    tone: str = ""
    start: float = 0.0
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Day:
    """How many overrides end on a day. `place` and `height` are those of its bar, in a box 100 wide and 20 high."""

    day: date
    number: int
    place: float
    height: float

    @property
    def top(self) -> float:
        return 20 - self.height


@dataclass(frozen=True, slots=True)
class UnderWay:
    """The releases under way: some of them, those that can go on first, and how many there and how many ready."""

    cards: list[Card]
    total: int
    ready: int


@dataclass(frozen=True, slots=True)
class Summary:
    """How flags stand: how many in each state, how many are being released and of how many an override ends soon
    (`releasing`, `ending`), and those that were killed last.
    """

    total: int
    states: list[Figure]
    notable: list[Figure]
    releasing: int
    ending: int
    killed: QuerySet[Flag]


@dataclass(frozen=True, slots=True)
class Ending:
    """Overrides that end soon: the first, how many there are and for how many companies, and how many on each day."""

    overrides: list[Override]
    total: int
    companies: int
    days: list[Day]


def summary(viewer: User) -> Summary:
    """Return how things stand for whoever looks. A fixed number of queries, whatever there is."""
    queries = [query for _, query, *_ in (*STATES, *NOTABLE)]
    numbers = finding.count_flags([*queries, "is:expiring", "is:releasing"], viewer)
    total = sum(numbers[query] for _, query, _ in STATES)
    return Summary(
        total=total,
        states=_figures(numbers, total),
        notable=[Figure(words, query, numbers[query]) for words, query in NOTABLE],
        releasing=numbers["is:releasing"],
        ending=numbers["is:expiring"],
        killed=finding.find_flags("is:killed", viewer).rows.select_related("killed_by").order_by("-killed_at")[:SHOWN],
    )


def ending_soon(at: datetime | None = None) -> Ending:
    """Return the overrides that end within two weeks. Two queries."""
    days, companies = _days(at or timezone.now())
    # Which ones is settled first, so that the companies and flags of no others are read.
    first = finding.expiring().order_by("expires_at", "flag", "company").values("pk")[:SHOWN]
    ends = Override.objects.filter(pk__in=first).select_related("company", "flag", "created_by")
    return Ending(
        overrides=list(ends.order_by("expires_at", "flag", "company")),
        total=sum(each.number for each in days),
        companies=companies,
        days=days,
    )


def releases_under_way(at: datetime | None = None) -> UnderWay:
    """Return the releases under way, each worked out, because only then it is known which can go on."""
    cards = board.cards(under_way(), at)
    ready_first = sorted(cards, key=lambda card: card.standing.can_promote, reverse=True)
    return UnderWay(ready_first[:SHOWN], len(cards), sum(card.standing.can_promote for card in cards))


def _figures(numbers: dict[str, int], total: int) -> list[Figure]:
    figures, start = [], 0.0
    for words, query, tone in STATES:
        share = round(100 * numbers[query] / (total or 1), 2)
        figures.append(Figure(words, query, numbers[query], tone, start, share))
        start += share
    return figures


def _days(at: datetime) -> tuple[list[Day], int]:
    """Return how many overrides end on each of the next days, in the present time zone, and of how many companies."""
    ending = finding.expiring().order_by()
    companies = ending.values(all=Value(1)).annotate(n=Count("company", distinct=True)).values("n")
    by_day = ending.values_list(TruncDate("expires_at")).annotate(n=Count("pk"), companies=Subquery(companies))
    counts = {day: (number, companies) for day, number, companies in by_day.order_by()}
    first = timezone.localdate(at)
    days = [first + timedelta(days=number) for number in range(EXPIRING_WITHIN.days + 1)]
    numbers = [counts.get(day, (0, 0))[0] for day in days]
    highest = max(numbers) or 1
    width = 100 / len(days)
    return [
        Day(day, number, round(place * width, 2), round(20 * number / highest, 2))
        for place, (day, number) in enumerate(zip(days, numbers, strict=True))
    ], max((companies for _, companies in counts.values()), default=0)
