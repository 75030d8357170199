"""A company's features as people look at them: each with all that its answer rests on, and what is notable about them.

Evaluated past every cache a page might keep, by the same evaluation that code is answered by, grants aside.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import OuterRef, QuerySet, Subquery, prefetch_related_objects
from django.utils import timezone

from flags import snapshots
from flags.answers import Answers
from flags.channels import ChannelState, channel_state
from flags.evaluation import CompanyFacts, Decision, OverrideFact, Ruleset, evaluate_for_company, required_by
from flags.models import Flag, OptIn, Override
from flags.releasemodels import Usage
from tenants.models import Company, Plan

STATES = ("on", "off", "differs", "overridden", "expiring", "redundant")
"""What `feature_states` tells features apart by."""

EXPIRING_WITHIN = timedelta(days=14)
"""How long before its end an override counts as expiring."""


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


@dataclass(frozen=True, slots=True)
class Basis:
    """What a company's features rest on at one moment. An inactive company has neither answers nor facts."""

    at: datetime
    rules: Ruleset
    answers: Answers | None

    @property
    def facts(self) -> CompanyFacts | None:
        return None if self.answers is None else self.answers.facts


def basis_of(company: Company, at: datetime | None = None) -> Basis:
    """Return what a company's features rest on now, or at a moment. One query where nothing has changed."""
    at = at or timezone.now()
    answers = snapshots.resolve(company.pk, at)
    rules = snapshots.resolve_rules(at) if answers is None else answers.rules
    return Basis(at, rules.flags, answers)


def feature_rows(
    company: Company, *, internal: bool, flags: Iterable[Flag] | None = None, basis: Basis | None = None
) -> list[FeatureRow]:
    """Return every flag as this company has it, grants aside; internal ones only where `internal`.

    An inactive company is answered like no company. The same number of queries, whatever the number of flags; one less
    where the `basis` is known.
    """
    basis = basis or basis_of(company)
    at, rules, facts = basis.at, basis.rules, basis.facts
    found = [flag for flag in (flags if flags is not None else Flag.objects.live()) if internal or not flag.is_internal]
    keys = [flag.key for flag in found]
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
    prefetch_related_objects(found, "minimum_plan")
    unmet = {flag.key: _unmet(rules, flag.key, facts, at) for flag in found}
    wanted = {key for key in unmet.values() if key}
    names = dict(Flag.objects.filter(key__in=wanted).values_list("key", "name")) if wanted else {}
    rows = []
    for flag in found:
        plan = flag.minimum_plan
        answer = rules[flag.key].channels.get(str(company.channel_id)) if flag.key in rules else None
        rows.append(
            FeatureRow(
                flag=flag,
                channel=channel_state(company.channel, answer),
                override=overrides.get(flag.key),
                opt_in=opt_ins.get(flag.key),
                decision=evaluate_for_company(rules, flag.key, facts, at),
                inherited=inherited[flag.key],
                at=at,
                plan=plan,
                has_plan=plan is None or (company.plan.rank if facts is None else facts.plan) >= plan.rank,
                unmet=names.get(unmet[flag.key], unmet[flag.key]),
            )
        )
    return rows


def with_last_asked(flags: QuerySet[Flag], company: Company) -> QuerySet[Flag]:
    """Say of each flag when this company last asked for it (`asked_at`, None for never), and fetch its plan."""
    asked = Usage.objects.filter(company=company, flag=OuterRef("pk")).order_by("-day")
    return flags.select_related("minimum_plan").annotate(asked_at=Subquery(asked.values("last_at")[:1]))


def feature_states(
    company: Company, *, internal: bool, at: datetime | None = None, basis: Basis | None = None
) -> dict[str, set[str]]:
    """Return the keys of a company's features by what is notable about them, as of now, `at`, or the `basis` that is
    known. One query where nothing has changed, or none.

    States: on, off, differs (from the global default), overridden, expiring (within two weeks, or over already),
    redundant (the override says what is inherited anyway).
    """
    basis = basis or basis_of(company, at)
    at, rules, facts, answers = basis.at, basis.rules, basis.facts, basis.answers
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


def inherited(basis: Basis, key: str) -> Decision:
    """Return what a company gets without its own override of a flag. An inactive company is answered like none."""
    return _Inherited(basis.rules, basis.facts, basis.at)[key]


def override_facts(company: Company) -> dict[str, OverrideFact]:
    """Return a company's overrides by key, also those of an inactive company, which answers know nothing of."""
    rows = Override.objects.filter(company=company).order_by()
    return {
        key: OverrideFact(enabled, expires_at, paused)
        for key, enabled, expires_at, paused in rows.values_list("flag_id", "enabled", "expires_at", "paused")
    }


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


def _unmet(rules: Ruleset, key: str, facts: CompanyFacts | None, at: datetime) -> str:
    """Return the first flag that this one requires, and the company lacks; those it names itself come first."""
    if facts is None or key not in rules or not rules[key].requires:
        return ""
    named = rules[key].requires
    needed = [*named, *sorted(required_by(rules, key).difference(named))]
    return next((name for name in needed if not evaluate_for_company(rules, name, facts, at).enabled), "")


def _fact(override: Override) -> OverrideFact:
    return OverrideFact(override.enabled, override.expires_at, override.paused)
