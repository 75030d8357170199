"""What a change would do, before anybody makes it: the real evaluation, run on the state as it is and as proposed.

Companies that differ in nothing are alike within a channel and plan, so they are evaluated once and counted; only
those with differences, and those in a percentage rollout, are evaluated one by one.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import product
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from flags.evaluation import (
    ChannelAnswer,
    CompanyFacts,
    Decision,
    FlagRules,
    OverrideFact,
    evaluate_for_company,
    required_by,
)
from flags.models import Flag, OptIn, Override
from flags.setwise import among
from flags.snapshots import resolve_rules
from tenants.models import Company, Plan, ReleaseChannel

NAMES_SHOWN = 10
COMPANIES_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Proposed:
    """A change not made yet. Leave out what stays as it is.

    `rules` replaces fields of the flag's rules (default_enabled, killed, is_killswitch, is_self_service, requires,
    archived, minimum_plan as a rank); `channels` maps channels to answers, None taking one away; `overrides` maps
    company ids to an override and `opt_ins` to a company's own choice, None taking it away; `for_all` is an override
    that every company gets; `moves` maps company ids to (channel, plan rank).
    """

    key: str
    rules: Mapping[str, Any] = field(default_factory=dict)
    channels: Mapping[str, ChannelAnswer | None] = field(default_factory=dict)
    overrides: Mapping[UUID, OverrideFact | None] = field(default_factory=dict)
    opt_ins: Mapping[UUID, bool | None] = field(default_factory=dict)
    for_all: OverrideFact | None = None
    moves: Mapping[UUID, tuple[str, int]] = field(default_factory=dict)


class Outcome(NamedTuple):
    """What a flag answers one company before and after; `kept` says that its own override is what keeps it so."""

    was: bool
    becomes: bool
    kept: bool


@dataclass(slots=True)
class Effect:
    """How one flag fares: counts of companies by what happens to them, and the first names of those that change."""

    key: str
    goes_on: int = 0
    goes_off: int = 0
    stays_on: int = 0
    stays_off: int = 0
    names_on: list[str] = field(default_factory=list)
    names_off: list[str] = field(default_factory=list)
    overrides_stay_on: int = 0
    overrides_stay_off: int = 0
    name: str = ""
    """The flag's name, where it is another than the one that changes."""

    @property
    def total(self) -> int:
        return self.goes_on + self.goes_off + self.stays_on + self.stays_off

    @property
    def changes(self) -> int:
        """For how many companies the answer changes."""
        return self.goes_on + self.goes_off

    @property
    def names(self) -> list[str]:
        """The first companies whose answer changes."""
        return [*self.names_on, *self.names_off]

    @property
    def more(self) -> int:
        """How many change besides those named."""
        return self.changes - len(self.names)

    def tell(self, outcome: Outcome, name: str) -> None:
        """Count what comes of a change for one company, called by its name."""
        was, becomes, kept = outcome
        self.add(was, becomes)
        if was != becomes:
            names = self.names_on if becomes else self.names_off
            if len(names) < NAMES_SHOWN:
                names.append(name)
        elif kept:
            self.overrides_stay_on += becomes
            self.overrides_stay_off += not becomes

    def add(self, before: bool, after: bool, count: int = 1) -> None:
        if before == after:
            self.stays_on += count if after else 0
            self.stays_off += 0 if after else count
        elif after:
            self.goes_on += count
        else:
            self.goes_off += count


@dataclass(frozen=True, slots=True)
class Impact:
    """What a proposed change does to its own flag, and to the flags that require it where theirs change."""

    effect: Effect
    dependents: list[Effect]

    @property
    def alters_nothing(self) -> bool:
        """Whether no company's answer changes, to this flag or to any other."""
        return not self.effect.changes and not any(effect.changes for effect in self.dependents)


def _after(rules: Mapping[str, FlagRules], change: Proposed) -> dict[str, FlagRules]:
    flag = rules.get(change.key) or FlagRules(change.key)
    channels = {**flag.channels, **change.channels}
    proposed = replace(
        flag, **{"channels": {slug: answer for slug, answer in channels.items() if answer is not None}, **change.rules}
    )
    return {**rules, change.key: proposed}


def impact(change: Proposed, at: datetime | None = None) -> Impact:
    """Evaluate every active company before and after `change`, as of now or `at`, grants aside. Writes nothing."""
    at = at or timezone.now()
    before = dict(resolve_rules(at).flags)
    before.setdefault(change.key, FlagRules(change.key))
    after = _after(before, change)
    dependents = sorted(key for key in after if change.key in required_by(after, key) and key != change.key)
    keys = (change.key, *dependents)
    related = set(keys).union(*(required_by(rules, key) for key in keys for rules in (before, after)))
    effects = {key: Effect(key) for key in keys}
    only = set(change.overrides) | set(change.opt_ins) | set(change.moves)
    special = _companies_that_differ(related, only, before, after)
    rollout = _channels_in_rollout(related, before, after)
    companies = Company.objects.filter(is_active=True)
    if not only:
        groups = companies.exclude(channel__in=rollout).values_list("channel", "plan", "plan__rank")
        counted = groups.annotate(n=Count("pk")).order_by("channel", "plan")
        left = {(channel, plan, rank): n for channel, plan, rank, n in counted}
    else:
        left = {}
    names: dict[tuple[str, str, str, bool], None] = {}
    known: dict[tuple, tuple[Outcome, ...]] = {}
    for one in _one_by_one(companies, special, rollout, only):
        facts, is_alone = one.facts, bool(only) or one.facts.channel in rollout
        if not is_alone:
            left[(facts.channel, one.plan, facts.plan)] -= 1
        # Companies with the same answers of their own are alike, too, but for a percentage and for what is proposed.
        alike = (facts.channel, facts.plan, *facts.overrides.items(), None, *facts.opt_ins.items())
        outcomes = None if is_alone else known.get(alike)
        if outcomes is None:
            proposed = _proposed_facts(facts, one.pk, change)
            outcomes = tuple(_outcome(key, before, after, facts, proposed, at) for key in effects)
            known[alike] = outcomes
        for effect, outcome in zip(effects.values(), outcomes, strict=True):
            effect.tell(outcome, one.name)
    for (channel, plan, rank), count in left.items():
        if count:
            facts = CompanyFacts("", channel, rank)
            proposed = _proposed_facts(facts, None, change)
            for key, effect in effects.items():
                was = evaluate_for_company(before, key, facts, at).enabled
                becomes = evaluate_for_company(after, key, proposed, at).enabled
                effect.add(was, becomes, count)
                if was != becomes:
                    names[(key, channel, plan, becomes)] = None
    _add_names(effects, names, special)
    own = effects.pop(change.key)
    with_it = [effect for effect in effects.values() if effect.changes]
    if with_it:
        called = dict(Flag.objects.filter(key__in=effects).values_list("key", "name"))
        for effect in with_it:
            effect.name = called.get(effect.key, effect.key)
    return Impact(own, with_it)


def decisions(key: str, companies: Collection[Company], at: datetime | None = None) -> dict[UUID, Decision]:
    """Return what a flag answers to each of these few companies, as of now or `at`, grants aside.

    Their plans should be loaded.
    """
    at = at or timezone.now()
    rules = resolve_rules(at).flags
    wanted = {company.pk for company in companies}
    special = _companies_that_differ({key, *required_by(rules, key)}, wanted, rules) if wanted else {}
    found = {}
    for company in companies:
        pk = company.pk
        alike = CompanyFacts(str(pk), str(company.channel_id), company.plan.rank)
        found[pk] = evaluate_for_company(rules, key, special[pk].facts if pk in special else alike, at)
    return found


def companies_with(key: str, at: datetime | None = None) -> list[UUID]:
    """Return the active companies that have a flag, as of now or `at`, grants aside. Evaluated like an impact."""
    at = at or timezone.now()
    return _having(resolve_rules(at).flags, key, at)


def companies_gaining(change: Proposed, at: datetime | None = None) -> list[UUID]:
    """Return the active companies that would get a flag by a change of its rules or channels."""
    at = at or timezone.now()
    before = dict(resolve_rules(at).flags)
    had = set(_having(before, change.key, at))
    return [pk for pk in _having(_after(before, change), change.key, at) if pk not in had]


def _having(rules: Mapping[str, FlagRules], key: str, at: datetime) -> list[UUID]:
    if key not in rules:
        return []
    related = {key, *required_by(rules, key)}
    special = _companies_that_differ(related, set(), rules)
    rollout = _channels_in_rollout(related, rules)
    ranks = dict(Plan.objects.values_list("slug", "rank"))
    companies = Company.objects.filter(is_active=True)
    apart = _one_by_one(companies, special, rollout, set())
    found = [one.pk for one in apart if evaluate_for_company(rules, key, one.facts, at).enabled]
    alike = Q(pk__in=[])
    for channel, plan in product(ReleaseChannel.objects.exclude(pk__in=rollout).values_list("pk", flat=True), ranks):
        if evaluate_for_company(rules, key, CompanyFacts("", channel, ranks[plan]), at).enabled:
            alike |= Q(channel=channel, plan=plan)
    found += [pk for pk in companies.filter(alike).order_by().values_list("pk", flat=True) if pk not in special]
    return found


def _channels_in_rollout(keys: set[str], *rulesets: Mapping[str, FlagRules]) -> set[str]:
    return {
        slug
        for rules in rulesets
        for key in keys
        if key in rules
        for slug, answer in rules[key].channels.items()
        if answer.enabled and answer.percentage < 100
    }


@dataclass(frozen=True, slots=True)
class _One:
    """A company that is evaluated by itself: its facts with its channel and the rank of its plan, and its plan."""

    pk: UUID
    name: str
    plan: str
    facts: CompanyFacts
    is_active: bool = True


def _one_by_one(
    companies: QuerySet[Company], special: Mapping[UUID, _One], rollout: set[str], only: set[UUID]
) -> Iterable[_One]:
    """Return the active ones that differ or are in a rollout, or of `only`, by name."""
    wanted = Q(pk__in=among(only)) if only else Q(channel__in=rollout)
    found = {pk: one for pk, one in special.items() if one.is_active and not only}
    if only or rollout:
        rows = companies.filter(wanted).values_list("pk", "name", "plan", "channel_id", "plan__rank")
        for pk, name, plan, channel, rank in rows.iterator():
            found[pk] = special.get(pk) or _One(pk, name, plan, CompanyFacts(str(pk), channel, rank))
    return sorted(found.values(), key=lambda one: one.name)


COMPANY = ("company__name", "company__plan", "company__is_active", "company__channel_id", "company__plan__rank")


def _companies_that_differ(keys: set[str], only: set[UUID], *rulesets: Mapping[str, FlagRules]) -> dict[UUID, _One]:
    # What a company has chosen says nothing while the flag is not self-service.
    chosen = {key for key in keys for rules in rulesets if key in rules and rules[key].is_self_service}
    rows = Override.objects.filter(flag__in=keys)
    choices = OptIn.objects.filter(flag__in=chosen) if chosen else OptIn.objects.none()
    if only:
        rows, choices = rows.filter(company__in=among(only)), choices.filter(company__in=among(only))
    found: dict[UUID, list[Any]] = {}
    overrides: dict[UUID, dict[str, OverrideFact]] = defaultdict(dict)
    opt_ins: dict[UUID, dict[str, bool]] = defaultdict(dict)
    of_override = ("company_id", *COMPANY, "flag_id", "enabled", "expires_at", "paused")
    for *company, key, enabled, expires_at, paused in rows.order_by().values_list(*of_override):
        overrides[company[0]][key] = OverrideFact(enabled, expires_at, paused)
        found.setdefault(company[0], company)
    for *company, key, enabled in choices.values_list("company_id", *COMPANY, "flag_id", "enabled"):
        opt_ins[company[0]][key] = enabled
        found.setdefault(company[0], company)
    return {
        pk: _One(
            pk, name, plan, CompanyFacts(str(pk), channel, rank, overrides.get(pk, {}), opt_ins.get(pk, {})), active
        )
        for pk, name, plan, active, channel, rank in found.values()
    }


def _proposed_facts(facts: CompanyFacts, pk: UUID | None, change: Proposed) -> CompanyFacts:
    if change.for_all is not None:
        return replace(facts, overrides={**facts.overrides, change.key: change.for_all})
    if pk is None:
        return facts
    if pk in change.moves:
        channel, plan = change.moves[pk]
        facts = replace(facts, channel=channel, plan=plan)
    if pk in change.overrides:
        own = {key: override for key, override in facts.overrides.items() if key != change.key}
        proposed = change.overrides[pk]
        facts = replace(facts, overrides=own if proposed is None else {**own, change.key: proposed})
    if pk in change.opt_ins:
        choices = {key: choice for key, choice in facts.opt_ins.items() if key != change.key}
        choice = change.opt_ins[pk]
        facts = replace(facts, opt_ins=choices if choice is None else {**choices, change.key: choice})
    return facts


def _outcome(
    key: str,
    before: Mapping[str, FlagRules],
    after: Mapping[str, FlagRules],
    facts: CompanyFacts,
    proposed: CompanyFacts,
    at: datetime,
) -> Outcome:
    was = evaluate_for_company(before, key, facts, at).enabled
    becomes = evaluate_for_company(after, key, proposed, at).enabled
    override = proposed.overrides.get(key)
    is_own = override is not None and key in facts.overrides and override.speaks(at)
    return Outcome(was, becomes, is_own and was == becomes)


def _add_names(effects: Mapping[str, Effect], groups: Iterable[tuple[str, str, str, bool]], special) -> None:
    """Fill up the names of those that change with companies of the groups that were counted as one."""
    for key, channel, plan, becomes in groups:
        effect = effects[key]
        names = effect.names_on if becomes else effect.names_off
        wanted = NAMES_SHOWN - len(names)
        if wanted > 0:
            rows = Company.objects.filter(is_active=True, channel=channel, plan=plan)
            found = rows.values_list("pk", "name")[: wanted + min(len(special), 500)]
            names.extend([name for pk, name in found if pk not in special][:wanted])
            names.sort()
