"""The companies of a channel as a flag sees them: what each has and why, when it last asked, and when it would be in.

A percentage rollout takes companies in by their place, 0 to 99 (`flags.evaluation.bucket`): with N %, those below N.
"""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.db.models import Count, F, Func, IntegerField, OuterRef, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Cast

from flags.channels import ChannelState
from flags.evaluation import Decision
from flags.impact import decisions
from flags.keyset import stretch
from flags.models import Flag
from flags.releasemodels import Usage
from tenants.models import Company
from tenants.names import named

SHARES = (25, 50, 100)
NOW = "now"


class Place(Func):
    """A company's place in a flag's rollout, from the flag's key and the company's id.

    PostgreSQL's own function for it is not used here: it cannot be inlined, and a call for each of many companies takes
    several times as long as the digest itself.
    """

    function = "flags_bucket"
    output_field = IntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Return the same as PostgreSQL's `flags_bucket`, written out."""
        digest = "('x' || substr(md5(%(expressions)s::text), 1, 8))::bit(32)::bigint"
        context |= {"template": f"(({digest}) %%%% 100)::integer", "arg_joiner": " || ':' || "}
        return self.as_sql(compiler, connection, **context)


@dataclass(frozen=True, slots=True)
class CompanyLine:
    """One company: what the flag answers to it, when it last asked (None for never), and its place in a rollout."""

    company: Company
    decision: Decision
    asked_at: datetime | None
    place: int | None

    @property
    def in_from(self) -> int | None:
        """The least share, in percent, that takes it in."""
        return None if self.place is None else self.place + 1


@dataclass(frozen=True, slots=True)
class Share:
    """Companies that are in now, or that come in at a share. `first` and `last` bound their places; `name` is `now` or
    the share in percent.
    """

    name: str
    first: int
    last: int
    companies: int = 0


@dataclass(frozen=True, slots=True)
class Lines:
    """A page of a channel's companies, with cursors to the pages beside it."""

    rows: list[CompanyLine]
    previous: str
    next: str


def share_of(flag: Flag, state: ChannelState) -> int:
    """Return for how many percent of a channel's companies a flag is on by its answer there, or else its default."""
    is_on = flag.default_enabled if state.enabled is None else state.enabled
    return state.percentage if is_on else 0


def shares(flag: Flag, channel: str, percentage: int) -> list[Share]:
    """Return who is in at this percentage, and who comes in at 25, 50 and 100 %, with how many they are. One query."""
    steps = [0, percentage, *(share for share in SHARES if share > percentage)]
    rows = _placed(flag, channel).order_by().values_list("place").annotate(n=Count("pk"))
    companies = dict(rows)
    return [
        Share(
            NOW if number == 0 else str(last),
            first,
            last,
            sum(found for place, found in companies.items() if first <= place < last),
        )
        for number, (first, last) in enumerate(pairwise(steps))
    ]


def lines(
    flag: Flag,
    channel: str,
    size: int,
    *,
    q: str = "",
    share: Share | None = None,
    after: str = "",
    before: str = "",
) -> Lines:
    """Return some of a channel's active companies, by name; or those of a share, in the order they come in.

    Costs the same wherever the page is; of a share, every company of the channel is ranked by the database.
    """
    if share is None:
        rows: QuerySet[Any] = _active(channel)
        order = ("name", "id")
    else:
        rows = _placed(flag, channel).filter(place__gte=share.first, place__lt=share.last)
        order = ("place", "id")
    if q:
        rows = named(rows, *q.split())
    asked = Usage.objects.filter(flag=flag, company=OuterRef("pk")).order_by("-day").values("last_at")[:1]
    rows = rows.select_related("plan").annotate(asked_at=Subquery(asked))
    found = stretch(rows, order, size, after=after, before=before)
    answers = decisions(flag.key, found.rows)
    shown = [
        CompanyLine(company, answers[company.pk], company.asked_at, getattr(company, "place", None))
        for company in found.rows
    ]
    return Lines(shown, found.previous, found.next)


def _active(channel: str) -> QuerySet[Company]:
    return Company.objects.filter(is_active=True, channel=channel)


def _placed(flag: Flag, channel: str) -> QuerySet[Any]:
    return _active(channel).annotate(place=Place(Cast(Value(flag.key), TextField()), F("pk")))
