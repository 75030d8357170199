"""Flags as people look at them: read models for lists and pages, with the same answers that code gets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Case, Count, Q, QuerySet, Value, When
from django.utils import timezone

from flags import snapshots
from flags.catalogue import CATEGORIES
from flags.evaluation import (
    ChannelAnswer,
    CompanyFacts,
    Decision,
    OverrideFact,
    Ruleset,
    evaluate_for_company,
    required_by,
)
from flags.keyset import Stretch, stretch
from flags.models import ChannelDefault, Flag, Grant, OptIn, Override
from tenants.models import Company, Plan, ReleaseChannel, User


@dataclass(frozen=True, slots=True)
class ChannelState:
    """One stop of a flag's rail. `enabled` is None where the channel has no answer of its own."""

    slug: str
    name: str
    enabled: bool | None
    percentage: int


@dataclass(frozen=True, slots=True)
class FlagRow:
    """One flag in a list: the flag, its rail, and how many companies are overridden on and off."""

    flag: Flag
    channels: list[ChannelState]
    overrides_on: int
    overrides_off: int

    @property
    def overrides(self) -> int:
        return self.overrides_on + self.overrides_off


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """One flag as one company has it: global, channel, plan, override, its own choice, and what comes of it."""

    flag: Flag
    channel: ChannelState
    override: Override | None
    opt_in: OptIn | None
    decision: Decision
    inherited: Decision
    """What the company would get without its override."""
    at: datetime
    plan: Plan | None = None
    """The least plan that includes the flag; None where any does."""
    has_plan: bool = True
    unmet: str = ""
    """The name of the flag it requires that is off, if one is."""

    @property
    def override_speaks(self) -> bool:
        """Whether there is an override that is neither paused nor over."""
        return self.override is not None and _fact(self.override).speaks(self.at)

    @property
    def override_is_over(self) -> bool:
        """Whether there is an override whose time is up."""
        expires_at = self.override.expires_at if self.override is not None else None
        return expires_at is not None and expires_at <= self.at

    @property
    def differs(self) -> bool:
        """Whether the company has another answer than the global default."""
        return self.decision.enabled != self.flag.default_enabled

    @property
    def is_redundant(self) -> bool:
        """Whether the override says what the company would get anyway."""
        return self.override is not None and self.override_speaks and self.override.enabled == self.inherited.enabled


EXPIRING_WITHIN = timedelta(days=14)
"""How long before its end an override counts as expiring."""


def override_counts(keys: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return, by key, how many overrides say on and how many off."""
    rows = Override.objects.filter(flag__in=list(keys)).order_by().values_list("flag_id", "enabled")
    counts: dict[str, tuple[int, int]] = {}
    for key, enabled, number in rows.annotate(n=Count("pk")):
        on, off = counts.get(key, (0, 0))
        counts[key] = (on + number, off) if enabled else (on, off + number)
    return counts


def rails(keys: Iterable[str]) -> dict[str, list[ChannelState]]:
    """Return, by key, the flag's answer on every channel, in the channels' order."""
    wanted = list(keys)
    channels = list(ReleaseChannel.objects.all())
    answers = {(row.flag_id, row.channel_id): row for row in ChannelDefault.objects.filter(flag__in=wanted).order_by()}
    return {key: [_channel_state(channel, answers.get((key, channel.slug))) for channel in channels] for key in wanted}


def _channel_state(channel: ReleaseChannel, answer: ChannelDefault | ChannelAnswer | None) -> ChannelState:
    if answer is None:
        return ChannelState(channel.slug, channel.name, None, 100)
    return ChannelState(channel.slug, channel.name, answer.enabled, answer.percentage)


def flag_rows(flags: Iterable[Flag]) -> list[FlagRow]:
    """Return list rows for these flags, in their order. Three queries, whatever their number."""
    found = list(flags)
    keys = [flag.key for flag in found]
    counts, states = override_counts(keys), rails(keys)
    return [FlagRow(flag, states[flag.key], *counts.get(flag.key, (0, 0))) for flag in found]


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
        flags = flags.filter(pk__in=Override.objects.order_by().values("flag_id"))
    return flags


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
    ranks = [When(category=category, then=Value(rank)) for rank, category in enumerate(CATEGORIES)]
    return flags.order_by(Case(*ranks, default=Value(len(CATEGORIES))), "category", "name", "key")


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


def feature_rows(
    company: Company, *, internal: bool, flags: Iterable[Flag] | None = None, at: datetime | None = None
) -> list[FeatureRow]:
    """Return every flag as this company has it, grants aside; internal ones only where `internal`.

    Evaluated past every cache a page might keep, by the same evaluation that code is answered by. An inactive company
    is answered like no company. The same number of queries, whatever the number of flags.
    """
    at = at or timezone.now()
    found = [flag for flag in (flags if flags is not None else Flag.objects.live()) if internal or not flag.is_internal]
    keys = [flag.key for flag in found]
    rules, facts = _rules_and_facts(company, at)
    inherited = _Inherited(rules, facts, at)
    overrides = {
        row.flag_id: row
        for row in Override.objects.filter(company=company, flag__in=keys)
        .order_by()
        .select_related("created_by")
        .defer("created_by__password")
    }
    has_chosen = facts is None or facts.opt_ins
    opt_ins = {row.flag_id: row for row in OptIn.objects.filter(company=company, flag__in=keys)} if has_chosen else {}
    plans = {plan.slug: plan for plan in Plan.objects.all()}
    unmet = {flag.key: _unmet(rules, flag.key, facts, at) for flag in found}
    wanted = {key for key in unmet.values() if key}
    names = dict(Flag.objects.filter(key__in=wanted).values_list("key", "name")) if wanted else {}
    rows = []
    for flag in found:
        plan = plans[flag.minimum_plan_id] if flag.minimum_plan_id else None
        answer = rules[flag.key].channels.get(str(company.channel_id)) if flag.key in rules else None
        rows.append(
            FeatureRow(
                flag=flag,
                channel=_channel_state(company.channel, answer),
                override=overrides.get(flag.key),
                opt_in=opt_ins.get(flag.key),
                decision=evaluate_for_company(rules, flag.key, facts, at),
                inherited=inherited[flag.key],
                at=at,
                plan=plan,
                has_plan=plan is None or plans[str(company.plan_id)].rank >= plan.rank,
                unmet=names.get(unmet[flag.key], unmet[flag.key]),
            )
        )
    return rows


def feature_states(company: Company, *, internal: bool, at: datetime | None = None) -> dict[str, set[str]]:
    """Return the keys of a company's features by what is notable about them. One query where nothing has changed.

    States: on, off, differs (from the global default), overridden, expiring (within two weeks, or over already),
    redundant (the override says what is inherited anyway).
    """
    at = at or timezone.now()
    answers = snapshots.resolve(company.pk, at)
    facts = None if answers is None else answers.facts
    rules = (snapshots.resolve_rules(at) if answers is None else answers.rules).flags
    shown = {key: flag for key, flag in rules.items() if not flag.archived and (internal or not flag.is_internal)}
    enabled = {key: answers is not None and answers.company[key] for key in shown}
    inherited = _Inherited(rules, facts, at)
    own = facts.overrides if facts is not None else override_facts(company)
    overrides = {key: override for key, override in own.items() if key in shown}
    return {
        "on": {key for key, is_on in enabled.items() if is_on},
        "off": {key for key, is_on in enabled.items() if not is_on},
        "differs": {key for key, is_on in enabled.items() if is_on != shown[key].default_enabled},
        "overridden": set(overrides),
        "expiring": {
            key
            for key, override in overrides.items()
            if override.expires_at is not None and override.expires_at <= at + EXPIRING_WITHIN
        },
        "redundant": {
            key
            for key, override in overrides.items()
            if facts is not None and override.speaks(at) and inherited[key].enabled == override.enabled
        },
    }


def override_facts(company: Company) -> dict[str, OverrideFact]:
    """Return a company's overrides by key, also those of an inactive company, which answers know nothing of."""
    rows = Override.objects.filter(company=company).order_by()
    return {
        key: OverrideFact(enabled, expires_at, paused)
        for key, enabled, expires_at, paused in rows.values_list("flag_id", "enabled", "expires_at", "paused")
    }


def facts_without_overrides(company_id: UUID, at: datetime) -> Mapping[str, Decision]:
    """Return a mapping from key to what the company inherits: its answer without its own override of that flag."""
    answers = snapshots.resolve(company_id, at)
    assert answers is not None
    return _Inherited(answers.rules.flags, answers.facts, at)


class _Inherited(dict[str, Decision]):
    """What a company would get for each flag if it had no override of that flag, worked out when asked."""

    def __init__(self, rules: Ruleset, facts: CompanyFacts | None, at: datetime) -> None:
        super().__init__()
        self.rules, self.facts, self.at = rules, facts, at

    def __missing__(self, key: str) -> Decision:
        facts = self.facts
        if facts is not None and key in facts.overrides:
            facts = replace(facts, overrides={name: own for name, own in facts.overrides.items() if name != key})
        decision = self[key] = evaluate_for_company(self.rules, key, facts, self.at)
        return decision


def _rules_and_facts(company: Company, at: datetime) -> tuple[Ruleset, CompanyFacts | None]:
    answers = snapshots.resolve(company.pk, at)
    if answers is None:
        return snapshots.resolve_rules(at).flags, None
    return answers.rules.flags, answers.facts


def _unmet(rules: Ruleset, key: str, facts: CompanyFacts | None, at: datetime) -> str:
    """Return the first flag that this one requires, and the company lacks; those it names itself come first."""
    if facts is None or key not in rules or not rules[key].requires:
        return ""
    named = rules[key].requires
    needed = [*named, *sorted(required_by(rules, key).difference(named))]
    return next((name for name in needed if not evaluate_for_company(rules, name, facts, at).enabled), "")


def _fact(override: Override) -> OverrideFact:
    return OverrideFact(override.enabled, override.expires_at, override.paused)


def inherited(company: Company, key: str, at: datetime | None = None) -> Decision:
    """Return what a company gets without its own override of a flag. An inactive company is answered like none."""
    at = at or timezone.now()
    rules, facts = _rules_and_facts(company, at)
    return _Inherited(rules, facts, at)[key]


def page_of_overrides(flag: Flag, size: int, *, q: str = "", after: str = "", before: str = "") -> Stretch:
    """Return some of a flag's overrides by their companies' names, with companies and creators. One query.

    `q` is looked for in the companies' names; `after` and `before` are cursors of another page.
    """
    rows = Override.objects.filter(flag=flag).select_related("company", "created_by")
    if q:
        rows = rows.filter(Q(company__name__icontains=q) | Q(company__slug__icontains=q))
    return stretch(rows, ("company__name", "company_id"), size, after=after, before=before)


def grants_of(flag: Flag) -> QuerySet[Grant]:
    """Return who was granted or denied a flag, by company and person."""
    rows = Grant.objects.filter(flag=flag).select_related("company", "user", "created_by")
    return rows.order_by("company__name", "user__email")


def find_company(text: str) -> Company | None:
    """Return the company that is meant by a slug, or by a name that only one has."""
    company = Company.objects.filter(slug=text).first()
    if company is None:
        named = list(Company.objects.filter(name__iexact=text)[:2])
        company = named[0] if len(named) == 1 else None
    return company


def companies_per_channel() -> dict[str, int]:
    """Return how many active companies each release channel has, by its slug."""
    rows = Company.objects.filter(is_active=True).order_by().values_list("channel")
    return dict(rows.annotate(n=Count("pk")))
