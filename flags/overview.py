"""Flags as people look at them: read models for lists and pages, with the same answers that code gets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce, Concat, StrIndex

from flags import staleness
from flags.catalogue import CATEGORIES
from flags.channels import ChannelState, rails
from flags.keyset import Stretch, stretch
from flags.models import Flag, Grant, Override, Tally
from flags.tallies import OVERRIDES_OFF, OVERRIDES_ON
from tenants import rls
from tenants.models import Company, User
from tenants.names import named

FEW_OVERRIDES = 1000
"""Up to so many overrides of a flag, sorting their companies is quicker than walking all companies by name."""


@dataclass(frozen=True, slots=True)
class Look:
    """All that the look of a flag in a list rests on. Two that are equal look the same."""

    key: str
    name: str
    owner: str
    updated_at: datetime
    archived_at: datetime | None
    killed_at: datetime | None
    is_killed: bool
    is_killswitch: bool
    is_internal: bool
    needs_grant: bool
    is_self_service: bool
    minimum_plan_id: str | None
    default_enabled: bool
    version: int
    channels: tuple[ChannelState, ...]
    overrides_on: int
    overrides_off: int
    stale: str

    @property
    def asked_with(self) -> str:
        """What its switch says besides: which version of the flag was seen."""
        return f"?version={self.version}"


OF_THE_FLAG = tuple(field.name for field in fields(Look) if hasattr(Flag, field.name))


@dataclass(frozen=True, slots=True)
class FlagRow:
    """One flag in a list: the flag, its rail, how many companies are overridden on and off, and why it is stale."""

    flag: Flag
    channels: list[ChannelState]
    overrides_on: int
    overrides_off: int
    stale: str = ""

    @property
    def overrides(self) -> int:
        return self.overrides_on + self.overrides_off

    @property
    def look(self) -> Look:
        """All that its look rests on, for a component that is drawn once."""
        own: dict[str, Any] = {name: getattr(self.flag, name) for name in OF_THE_FLAG}
        own["overrides_on"], own["overrides_off"], own["stale"] = self.overrides_on, self.overrides_off, self.stale
        return Look(**own, channels=tuple(self.channels))


def override_counts(keys: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return, by key, how many overrides say on and how many off: those that whoever is bound may see. One query."""
    wanted, binding = list(keys), rls.current()
    if binding.role == rls.TENANT_ROLE:
        rows = Override.objects.filter(flag__in=wanted, company=binding.company_id).order_by()
        found = [(key, enabled, n) for key, enabled, n in rows.values_list("flag", "enabled").annotate(n=Count("pk"))]
    else:
        tallies = Tally.objects.filter(what__in=(OVERRIDES_ON, OVERRIDES_OFF), name__in=wanted)
        sums = tallies.values_list("name", "what").annotate(sum=Sum("n")).filter(sum__gt=0)
        found = [(key, what == OVERRIDES_ON, n) for key, what, n in sums]
    counts: dict[str, tuple[int, int]] = {}
    for key, enabled, number in found:
        on, off = counts.get(key, (0, 0))
        counts[key] = (on + number, off) if enabled else (on, off + number)
    return counts


def flag_rows(flags: Iterable[Flag]) -> list[FlagRow]:
    """Return list rows for these flags, in their order. Two queries, whatever their number.

    Why one is stale is said of those that come with their facts (`cut`, `staleness.with_facts`).
    """
    found = list(flags)
    keys = [flag.key for flag in found]
    counts, states, stale = override_counts(keys), rails(keys), staleness.reasons(found)
    return [FlagRow(flag, states[flag.key], *counts.get(flag.key, (0, 0)), stale.get(flag.key, "")) for flag in found]


def with_override_counts(flags: QuerySet[Flag]) -> QuerySet[Any]:
    """Say of each flag how many overrides say on, and how many off (`overrides_on`, `overrides_off`)."""
    return flags.annotate(overrides_on=_number_of(OVERRIDES_ON), overrides_off=_number_of(OVERRIDES_OFF))


def with_number_of_overrides(flags: QuerySet[Flag]) -> QuerySet[Any]:
    """Say of each flag how many companies have their own answer (`differing`)."""
    return flags.annotate(differing=_number_of(OVERRIDES_ON, OVERRIDES_OFF))


def _number_of(*what: str) -> Coalesce:
    tallies = Tally.objects.filter(what__in=what, name=OuterRef("pk")).order_by().values("name")
    return Coalesce(Subquery(tallies.annotate(sum=Sum("n")).values("sum")), 0)


def find_flags(
    *, q: str = "", category: str = "", state: str = "", viewer: User | None = None, internal: bool = False
) -> QuerySet[Flag]:
    """Return the flags that match: text in name, key or description; a category; a state.

    States: on, off (the global default), killed, overridden, internal, grant, self_service, archived. Flags the viewer
    may not see are never among them, unless Headgate itself asks (`internal`), and archived ones only where asked for.
    """
    flags = Flag.objects.all() if internal else Flag.objects.visible_to(viewer)
    flags = flags.exclude(archived_at=None) if state == "archived" else flags.live()
    if q:
        flags = flags.filter(Q(name__icontains=q) | Q(key__icontains=q) | Q(description__icontains=q))
    if category:
        flags = flags.filter(category=category)
    if state in STATES:
        flags = flags.filter(STATES[state])
    elif state == "overridden":
        flags = flags.filter(is_overridden())
    return flags


def is_overridden() -> Q:
    """Return the condition for flags for which some company has its own answer, without looking through all of them."""
    tallies = Tally.objects.filter(what__in=(OVERRIDES_ON, OVERRIDES_OFF)).values("name")
    return Q(pk__in=tallies.annotate(sum=Sum("n")).filter(sum__gt=0).values("name"))


def category_counts(flags: QuerySet[Flag]) -> dict[str, int]:
    """Return how many of these flags each category holds, in the order lists show them."""
    counts = dict(flags.order_by().values_list("category").annotate(n=Count("pk")))
    return {category: counts[category] for category in sorted(counts, key=_category_rank)}


def categories() -> list[str]:
    """Return every category there is or could be, in the order lists show them."""
    used = Flag.objects.order_by().values_list("category", flat=True).distinct()
    return sorted({*CATEGORIES, *used}, key=_category_rank)


def by_category(flags: QuerySet[Flag]) -> QuerySet[Flag]:
    """Order flags by category as lists show them, and by name within."""
    # Where its name stands in the list of categories, last first: one expression, where a CASE would be one for each.
    rank = StrIndex(Value(f"|{'|'.join(reversed(CATEGORIES))}|"), Concat(Value("|"), "category", Value("|")))
    return flags.order_by(rank.desc(), "category", "name", "key")


def cut(flags: QuerySet[Flag], first: int, last: int) -> QuerySet[Flag]:
    """Return some of these flags, in the order lists show them, with their facts: worked out for no others."""
    keys = by_category(flags).values("pk")[first:last]
    return by_category(staleness.with_facts(Flag.objects.filter(pk__in=keys)))


def _category_rank(category: str) -> tuple[int, str]:
    return (CATEGORIES.index(category) if category in CATEGORIES else len(CATEGORIES), category)


STATES: Mapping[str, Q] = {
    "on": Q(default_enabled=True, killed_at=None),
    "off": Q(default_enabled=False),
    "killed": Q(killed_at__isnull=False) | Q(is_killswitch=True, default_enabled=False),
    "internal": Q(is_internal=True),
    "grant": Q(needs_grant=True),
    "self_service": Q(is_self_service=True),
}


def page_of_overrides(
    flag: Flag, size: int, *, q: str = "", after: str = "", before: str = "", number: int | None = None
) -> Stretch:
    """Return some of a flag's overrides by their companies' names, with companies and creators.

    `q` are words of the companies' names; `after` and `before` are cursors of another page; `number` is how many
    overrides there are in all, where that is known. Of few overrides the companies are sorted; for many, companies are
    walked by name until a page of them is full. At any number one of the two is quick, and databases choose badly.
    """
    if number is None:
        number = sum(override_counts([flag.key]).get(flag.key, (0, 0)))
    if not number:
        return Stretch([], "", "")
    overrides = Override.objects.filter(flag=flag)
    companies = named(Company.objects.all(), *q.split())
    if number <= FEW_OVERRIDES:
        companies = companies.filter(pk__in=list(overrides.order_by().values_list("company", flat=True)))
    else:
        companies = companies.filter(Exists(overrides.filter(company=OuterRef("pk"))))
    page = stretch(companies, ("name", "id"), size, after=after, before=before)
    theirs = overrides.filter(company__in=page.rows).order_by().select_related("created_by")
    found = {override.company_id: override for override in theirs}
    # One that was taken away between the two questions is no longer there.
    rows = [(found[company.pk], company) for company in page.rows if company.pk in found]
    for override, company in rows:
        override.company = company
    return replace(page, rows=[override for override, _ in rows])


def page_of_grants(flag: Flag, size: int, *, q: str = "", after: str = "", before: str = "") -> Stretch:
    """Return some of those who were granted or denied a flag, by their companies' names. One query.

    `q` is looked for in the names of companies and people and in addresses; `after` and `before` are cursors.
    """
    rows = Grant.objects.filter(flag=flag).select_related("company", "user", "created_by")
    if q:
        rows = rows.filter(Q(company__name__icontains=q) | Q(user__name__icontains=q) | Q(user__email__icontains=q))
    return stretch(rows, ("company__name", "id"), size, after=after, before=before)


def company_beginning_with(text: str) -> Company | None:
    """Return the company whose slug or name begins with a text, if it is the only one."""
    rows = named(Company.objects.all(), text)
    found = list(rows.filter(Q(slug__startswith=text.lower()) | Q(name__istartswith=text)).order_by("slug")[:2])
    return found[0] if len(found) == 1 else None


def find_flag(text: str) -> Flag | None:
    """Return the live flag that is meant by a key, or by a name that only one has."""
    flags = Flag.objects.live()
    flag = flags.filter(key=text.lower()).first()
    if flag is None:
        called = list(flags.filter(name__iexact=text)[:2])
        flag = called[0] if len(called) == 1 else None
    return flag


def find_company(text: str) -> Company | None:
    """Return the company that is meant by a slug, or by a name that only one has."""
    company = Company.objects.filter(slug=text).first()
    if company is None:
        called = list(named(Company.objects.all(), text).filter(name__iexact=text)[:2])
        company = called[0] if len(called) == 1 else None
    return company
