"""What a look at the console should tell first: how flags stand, what is under way, what ends soon, what changed.

Every number is that of a query, in the search language, and so of the list that it leads to.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Count, QuerySet
from django.db.models.functions import TruncDate
from django.utils import timezone

from flags import board, finding
from flags.board import Card
from flags.companyfeatures import EXPIRING_WITHIN
from flags.models import Change, Flag, Override
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
class Summary:
    """All that the overview shows. Lists are cut short; the numbers beside them are of all."""

    total: int
    states: list[Figure]
    notable: list[Figure]
    releases: list[Card]
    releasing: int
    ready: int
    expiring: list[Override]
    expiring_total: int
    expiring_flags: int
    expiring_companies: int
    expiring_days: list[Day]
    killed: QuerySet[Flag]
    changes: QuerySet[Change]


def summary(viewer: User, at: datetime | None = None) -> Summary:
    """Return how things stand for whoever looks. A fixed number of queries, whatever there is."""
    at = at or timezone.now()
    queries = [query for _, query, *_ in (*STATES, *NOTABLE)]
    numbers = finding.count_flags([*queries, "is:expiring", "is:releasing"], viewer)
    days = _days(at)
    under = under_way()
    ends = finding.expiring().select_related("company", "flag", "created_by").order_by("expires_at", "pk")
    cards = board.cards(under, at)
    waiting_last = sorted(cards, key=lambda card: card.standing.can_promote, reverse=True)
    total = sum(numbers[query] for _, query, _ in STATES)
    return Summary(
        total=total,
        states=_figures(numbers, total),
        notable=[Figure(words, query, numbers[query]) for words, query in NOTABLE],
        releases=waiting_last[:SHOWN],
        releasing=numbers["is:releasing"],
        ready=sum(card.standing.can_promote for card in cards),
        expiring=list(ends[:SHOWN]),
        expiring_total=sum(each.number for each in days),
        expiring_flags=numbers["is:expiring"],
        expiring_companies=finding.find_companies("is:expiring", viewer).rows.count(),
        expiring_days=days,
        killed=finding.find_flags("is:killed", viewer).rows.select_related("killed_by").order_by("-killed_at")[:SHOWN],
        changes=Change.objects.all()[:SHOWN],
    )


def _figures(numbers: dict[str, int], total: int) -> list[Figure]:
    figures, start = [], 0.0
    for words, query, tone in STATES:
        share = round(100 * numbers[query] / (total or 1), 2)
        figures.append(Figure(words, query, numbers[query], tone, start, share))
        start += share
    return figures


def _days(at: datetime) -> list[Day]:
    """Return how many overrides end on each of the days of the next two weeks, days in the present time zone."""
    counts = dict(finding.expiring().order_by().values_list(TruncDate("expires_at")).annotate(n=Count("pk")).order_by())
    first = timezone.localdate(at)
    days = [first + timedelta(days=number) for number in range(EXPIRING_WITHIN.days + 1)]
    highest = max(counts.values(), default=0) or 1
    width = 100 / len(days)
    return [
        Day(day, counts.get(day, 0), round(place * width, 2), round(20 * counts.get(day, 0) / highest, 2))
        for place, day in enumerate(days)
    ]
