"""History as people look for it: filters, and the lines of one flag, company or request."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet, TextField
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast
from django.db.models.lookups import IRegex
from django.utils import timezone

from flags.keyset import Stretch, cursor, nearest, stretch
from flags.models import Change
from tenants.models import Company, Membership, User

VIA = ("console", "company", "api", "command", "shell", "system")
ORDER = ("at", "id")
LOOKED_THROUGH = 5_000
"""How many lines of history are looked through for a text at a time."""
READ_AT_ONCE = 1_000
MANY = 1_000
"""How many lines of a batch are counted."""
LOOKED_AT_FIRST = 500
"""How many are tried before: databases take text for rare, and read and sort all lines where a few fill a page."""


@dataclass(frozen=True, slots=True)
class Page(Stretch):
    """Some lines of history. `unfinished` says that looking stopped, before the page was full, with lines left."""

    unfinished: bool = False


def find_changes(*, actor: str = "", q: str = "", **exact: Any) -> QuerySet[Change]:
    """Return the lines of history that match: actor by part of a name, `q` in reasons, names and what changed.

    `exact` are an exact flag key, company slug, verb, door (`via`) or batch; `person`, the id of somebody who did
    something or to whom it was done; `since` and `until`, days in the present time zone, both included.
    """
    return _exactly(**exact).filter(saying(actor, q))


def page_of_changes(
    size: int, *, after: str = "", before: str = "", actor: str = "", q: str = "", **exact: Any
) -> Page:
    """Return one page of the history that matches, newest first; filters are those of `find_changes`.

    No index serves text, so it is looked for in the next LOOKED_THROUGH lines at a time, which the page may end with
    before it is full.
    """
    changes, backwards = _exactly(**exact), bool(before) and not after
    if not (actor or q):
        found = newest_first(changes, size, after=after, before=before)
        return Page(found.rows, found.previous, found.next)
    for number in (LOOKED_AT_FIRST, LOOKED_THROUGH):
        near, end = nearest(changes, ORDER, number, after=after, before=before, descending=True)
        found = newest_first(near.filter(saying(actor, q)), size, after=after, before=before)
        is_full = bool(found.previous if backwards else found.next)
        if is_full or not end:
            return Page(found.rows, found.previous, found.next)
    if backwards:
        return Page(found.rows, end, found.next, unfinished=True)
    return Page(found.rows, found.previous, end, unfinished=True)


def every_change(**filters: Any) -> Iterator[Change]:
    """Yield the whole history that matches, newest first; filters are those of `find_changes`.

    Read page by page: whatever there is of it, little is held at once, and no question takes long. What is written
    meanwhile is newer than where reading began, and left out.
    """
    after = ""
    while True:
        page = page_of_changes(READ_AT_ONCE, after=after, **filters)
        yield from page.rows
        after = page.next
        if not after:
            return


def _exactly(
    *,
    flag: str = "",
    company: str = "",
    verb: str = "",
    via: str = "",
    since: date | None = None,
    until: date | None = None,
    batch: UUID | None = None,
    person: UUID | None = None,
) -> QuerySet[Change]:
    changes = Change.objects.all()
    if person:
        who = User.objects.filter(pk=person).first()
        changes = of_person(who) if who is not None else changes.filter(actor_id=person)
    exact = {"flag": flag, "verb": verb, "via": via}
    changes = changes.filter(**{field: value for field, value in exact.items() if value})
    if batch:
        changes = changes.filter(batch=batch)
    if company:
        # By id where there is one, which has an index; by the name it had then where the company is gone.
        known = Company.objects.filter(slug=company).values_list("pk", flat=True).first()
        changes = changes.filter(company_id=known) if known else changes.filter(company_slug=company)
    if since:
        changes = changes.filter(at__gte=_midnight(since))
    if until:
        changes = changes.filter(at__lt=_midnight(until + timedelta(days=1)))
    return changes


def saying(actor: str = "", q: str = "") -> Q:
    """Return the condition that the actor's name has this text, and a reason, a name or what changed has that."""
    condition = Q()
    if actor:
        condition &= Q(actor__icontains=actor) | Q(actor_name__icontains=actor)
    if q:
        names = ("reason", "flag", "flag_name", "company_name", "company_slug", "actor_name")
        found = [Q(**{f"{name}__icontains": q}) for name in names]
        # As the text of JSON, which SQLite keeps as Django writes it, and PostgreSQL as people read it.
        # By a pattern: making capitals of so much text takes PostgreSQL more than twice the time.
        escaped = re.escape(json.dumps(q, ensure_ascii=connection.vendor == "sqlite")[1:-1])
        found += [Q(IRegex(Cast(name, TextField()), escaped)) for name in ("before", "after")]
        condition &= reduce(or_, found)
    return condition


# What is done to people, in verbs.
ABOUT_PEOPLE = ("grant", "revoke", "add_member", "set_role", "remove_member")


def of_person(person: User) -> QuerySet[Change]:
    """Return what a person did, and what was done to them in the companies they belong to."""
    companies = Membership.objects.filter(user=person).order_by().values("company_id")
    told = Q(after__user=person.email) | Q(before__user=person.email)
    about = Q(told, company_id__in=companies, verb__in=ABOUT_PEOPLE)
    return Change.objects.filter(Q(actor_id=person.pk) | about)


def batch_sizes(changes: Iterable[Change]) -> dict[UUID, int]:
    """Return how many lines each of the batches of these lines has in all, counted up to MANY + 1. One query."""
    first = {change.batch: change.pk for change in changes if change.batch is not None}
    if not first:
        return {}
    # Counted no further, so that a batch of a hundred thousand costs no more than one of a thousand.
    few = "select 1 from flags_change as few where few.batch = flags_change.batch limit %s"
    size = RawSQL(f"(select count(*) from ({few}) as counted)", [MANY + 1])  # noqa: S608, S611 - a text of this code
    rows = Change.objects.filter(pk__in=first.values()).order_by().annotate(size=size)
    return {batch: size for batch, size in rows.values_list("batch", "size") if batch is not None}


def newest_first(changes: QuerySet[Change], size: int, *, after: str = "", before: str = "") -> Stretch:
    """Return one page of history; `after` and `before` are cursors of another."""
    return stretch(changes, ORDER, size, after=after, before=before, descending=True)


def merged(one: Stretch, other: Stretch, size: int, *, before: str = "") -> Stretch:
    """Return one page of two disjoint parts of history, each given as its own page at the same cursors."""
    rows = sorted((*one.rows, *other.rows), key=lambda change: (change.at, change.pk), reverse=True)
    kept = rows[-size:] if before else rows[:size]
    is_cut = len(rows) > size
    has_newer = bool(one.previous or other.previous) or (is_cut and bool(before))
    has_older = bool(one.next or other.next) or (is_cut and not before)
    return Stretch(
        kept,
        cursor(kept[0], ORDER) if kept and has_newer else "",
        cursor(kept[-1], ORDER) if kept and has_older else "",
    )


def made_by_request(request_id: str) -> Change | None:
    """Return the last line that a request has written, if any."""
    return Change.objects.filter(request_id=request_id).first() if request_id else None


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
