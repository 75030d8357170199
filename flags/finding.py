"""What a query finds: the one translation of the search language into rows, and what may complete a word."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from flags import overview, staleness
from flags.companyfeatures import EXPIRING_WITHIN
from flags.models import ChannelDefault, Flag, Override
from flags.querytext import COMPANIES, FLAGS, Language, Problem, Query, Term, listed, parse, quoted, unknown
from flags.releasemodels import Release
from tenants.models import Company, Plan, ReleaseChannel, User
from tenants.names import begins, holds, named

OFFERED = 8
FUZZY_AMONG = 500


class _Unknown(Exception):
    """A value that is not in the data."""

    def __init__(self, value: str, known: Iterable[str], instead: str) -> None:
        self.value, self.known, self.instead = value, known, instead


@dataclass(frozen=True, slots=True)
class Found:
    """What a query finds: the rows that its understood words leave, and all that was not understood."""

    query: Query
    rows: QuerySet
    problems: tuple[Problem, ...]


class _Data:
    """What values may be, looked up once and only when asked."""

    @cached_property
    def categories(self) -> list[str]:
        return overview.categories()

    @cached_property
    def channels(self) -> dict[str, str]:
        return dict(ReleaseChannel.objects.values_list("slug", "name"))

    @cached_property
    def plans(self) -> dict[str, str]:
        return dict(Plan.objects.values_list("slug", "name"))

    def one_of(self, value: str, known: Iterable[str], what: str) -> str:
        known = list(known)
        found = next((each for each in known if each.lower() == value.lower()), None)
        if found is None:
            raise _Unknown(
                value, known, f"The {what} are {listed(map(quoted, known))}." if known else f"No {what} yet."
            )
        return found

    def key(self, value: str) -> str:
        found = Flag.objects.filter(key=value.lower()).values_list("key", flat=True).first()
        if found is None:
            raise _Unknown(value, Flag.objects.values_list("key", flat=True)[:2000], "Write the key of a flag.")
        return found

    def company(self, value: str) -> Company:
        found = overview.find_company(value) or overview.find_company(value.lower())
        found = found or (overview.company_beginning_with(value) if value else None)
        if found is None:
            near = Company.objects.filter(begins(value[:1].lower())).order_by("slug")
            raise _Unknown(value, near.values_list("slug", flat=True)[:FUZZY_AMONG], "Write the slug of a company.")
        return found


ConditionOf = Callable[[str, str, _Data, User], Q]


def find_flags(text: str, viewer: User) -> Found:
    """Return the flags that a query finds, of those the viewer may see; archived ones only where it says so."""
    query = parse(text, FLAGS)
    rows: QuerySet[Flag] = Flag.objects.visible_to(viewer)
    if _names(query, "stale"):
        rows = staleness.with_facts(rows)
    rows, problems = _narrowed(rows, query, _flag_condition, viewer)
    if not _names(query, "archived"):
        rows = rows.filter(archived_at=None)
    return Found(query, rows, problems)


def find_companies(text: str, viewer: User) -> Found:
    """Return the companies that a query finds, with their channels and plans."""
    query = parse(text, COMPANIES)
    words = [term for term in query.terms if not term.name and not term.negated]
    # All words at once, because only the first of them has to be looked for.
    rows = named(Company.objects.select_related("channel", "plan"), *(value for term in words for value in term.values))
    rest = replace(query, terms=tuple(term for term in query.terms if term not in words))
    rows, problems = _narrowed(rows, rest, _company_condition, viewer)
    return Found(query, rows, problems)


def count_flags(texts: Iterable[str], viewer: User) -> dict[str, int]:
    """Return, by query, how many flags it finds: exactly those of its list.

    One query, besides what words look up, and one more for each text that asks what is stale: that rests on other
    tables, and an aggregate over it takes longer to put together than to answer.
    """
    data, counts, asked = _Data(), {}, {}
    for number, text in enumerate(texts):
        query = parse(text, FLAGS)
        if _names(query, "stale"):
            counts[text] = find_flags(text, viewer).rows.count()
            continue
        condition = Q() if _names(query, "archived") else Q(archived_at=None)
        for term in query.terms:
            condition &= _condition(term, _flag_condition, data, viewer)
        asked[f"n{number}"] = (text, Count("pk", filter=condition))
    found = Flag.objects.visible_to(viewer).order_by().aggregate(**{name: count for name, (_, count) in asked.items()})
    return counts | {text: found[name] for name, (text, _) in asked.items()}


def _names(query: Query, state: str) -> bool:
    return any(state in _lower(term) for term in query.terms if term.name == "is")


def _lower(term: Term) -> list[str]:
    return [value.lower() for value in term.values]


def _narrowed(
    rows: QuerySet, query: Query, condition_of: ConditionOf, viewer: User
) -> tuple[QuerySet, tuple[Problem, ...]]:
    data, problems = _Data(), list(query.problems)
    for term in query.terms:
        try:
            rows = rows.filter(_condition(term, condition_of, data, viewer))
        except _Unknown as wrong:
            problems.append(unknown(term, wrong.value, wrong.known, query.text, wrong.instead))
    return rows, tuple(problems)


def _condition(term: Term, condition_of: ConditionOf, data: _Data, viewer: User) -> Q:
    condition = Q()
    for value in term.values:
        condition |= condition_of(term.name, value, data, viewer)
    return ~condition if term.negated else condition


def _flag_condition(name: str, value: str, data: _Data, viewer: User) -> Q:
    """Return what one value of a qualifier asks of a flag."""
    match name:
        case "":
            return Q(name__icontains=value) | Q(key__icontains=value) | Q(description__icontains=value)
        case "is":
            return _flag_is(value.lower())
        case "category":
            return Q(category=data.one_of(value, data.categories, "categories"))
        case "owner":
            return _owned_by(value, viewer)
        case "on" | "off":
            return _on(data.one_of(value, data.channels, "channels"), name == "on")
        case "overridden":
            return _has(Override.objects.filter(company=data.company(value)), "flag")
        case "needs":
            return Q(needs_grant=True)
        case "plan":
            return Q(minimum_plan=data.one_of(value, data.plans, "plans"))
        case _:
            return Q(pk__in=Flag.objects.filter(requires=data.key(value)).order_by().values("pk"))


def _flag_is(value: str) -> Q:
    match value:
        case "on" | "off" | "killed" | "internal":
            return overview.STATES[value]
        case "self-service":
            return overview.STATES["self_service"]
        case "kill-switch":
            return Q(is_killswitch=True)
        case "archived":
            return Q(archived_at__isnull=False)
        case "overridden":
            return overview.is_overridden()
        case "expiring":
            # Those that expire are few, and looked up once; asked flag by flag, each would look through all of them.
            return Q(pk__in=expiring().order_by().values("flag"))
        case "releasing":
            return _has(Release.objects.filter(ended_at=None), "flag")
        case "stale":
            return staleness.is_stale()
        case _:
            return staleness.is_never_evaluated()


def _has(rows: QuerySet, field: str) -> Q:
    """Return the condition that there is such a row of a thing. Turned round, NOT IN would read them all."""
    return Q(Exists(rows.filter(**{field: OuterRef("pk")}).order_by()))


def _owned_by(value: str, viewer: User) -> Q:
    if value.lower() == "none":
        return Q(owner="")
    if value.lower() == "me":
        mine = Q(owner__iexact=viewer.email)
        return mine | Q(owner__iexact=viewer.name) if viewer.name else mine
    return Q(owner__icontains=value)


def _on(channel: str, enabled: bool) -> Q:
    answers = ChannelDefault.objects.filter(channel=channel).order_by()
    own = Q(pk__in=answers.filter(enabled=enabled).values("flag_id"))
    return own | (Q(default_enabled=enabled) & ~Q(pk__in=answers.values("flag_id")))


def expiring() -> QuerySet[Override]:
    """Return the overrides that end within two weeks, of flags that are not archived."""
    now = timezone.now()
    return Override.objects.filter(expires_at__gt=now, expires_at__lte=now + EXPIRING_WITHIN, flag__archived_at=None)


def _company_condition(name: str, value: str, data: _Data, viewer: User) -> Q:
    """Return what one value of a qualifier asks of a company."""
    match name:
        case "":
            return holds(value)
        case "is" if value.lower() in ("active", "inactive"):
            return Q(is_active=value.lower() == "active")
        case "is" if value.lower() == "expiring":
            return Q(pk__in=expiring().order_by().values("company"))
        case "is":
            return _has(Override.objects.all(), "company")
        case "channel":
            return Q(channel=data.one_of(value, data.channels, "channels"))
        case "plan":
            return Q(plan=data.one_of(value, data.plans, "plans"))
        case _:
            return _has(Override.objects.filter(flag=data.key(value)), "company")


def values_for(language: Language, name: str, begun: str) -> Sequence[tuple[str, str]]:
    """Return values from the data that may stand behind a qualifier, beginning as typed, and what each is."""
    data = _Data()
    match name:
        case "category":
            return [(each, "category") for each in data.categories if each.lower().startswith(begun.lower())][:OFFERED]
        case "on" | "off" | "channel":
            return [(slug, label) for slug, label in data.channels.items() if slug.startswith(begun.lower())]
        case "plan":
            return [(slug, label) for slug, label in data.plans.items() if slug.startswith(begun.lower())]
        case "owner":
            owners = Flag.objects.exclude(owner="").filter(owner__istartswith=begun).order_by("owner")
            special = [("me", "flags that name you"), ("none", "nobody looks after it")]
            people = [(owner, "owner") for owner in owners.values_list("owner", flat=True).distinct()[:OFFERED]]
            return [each for each in special if each[0].startswith(begun.lower())] + people
        case "overridden" if language is FLAGS:
            rows = named(Company.objects.all(), begun)
            rows = rows.filter(Q(slug__startswith=begun.lower()) | Q(name__istartswith=begun))
            return list(rows.order_by("name").values_list("slug", "name")[:OFFERED])
        case _:
            flags = Flag.objects.live().filter(Q(key__startswith=begun.lower()) | Q(name__istartswith=begun))
            return list(flags.order_by("name").values_list("key", "name")[:OFFERED])
