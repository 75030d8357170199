"""Explains any answer: companies by flags, for a person at a moment, as it is or as it would be. Reads only.

Nothing here counts as use, and nothing is kept: the same evaluation that code is answered by, asked out loud.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from flags import snapshots
from flags.evaluation import (
    ChannelAnswer,
    CompanyFacts,
    Decision,
    FlagRules,
    OverrideFact,
    Reason,
    Step,
    Subject,
    explain,
)
from tenants.models import Company, Plan, User


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What to suppose. Leave out what is to stay as it is; `override` and `default` are on, off, or none to remove."""

    channel: str = ""
    plan: str = ""
    percentage: int | None = None
    override: str = ""
    default: str = ""

    @property
    def supposes_anything(self) -> bool:
        return self != WhatIf()


@dataclass(frozen=True, slots=True)
class Cell:
    """One answer with its ladder. `actual` is the answer without suppositions, where they change it."""

    company: Company
    key: str
    decision: Decision
    steps: list[Step]
    actual: Decision | None = None


@dataclass(frozen=True, slots=True)
class GridRow:
    """One flag across the companies asked about."""

    flag: FlagRules
    cells: list[Cell]

    @property
    def differs(self) -> bool:
        """Whether the companies get different answers, or the same for different reasons."""
        return len({(cell.decision.enabled, cell.decision.reason) for cell in self.cells}) > 1


def _supposed_rules(rules: Mapping[str, FlagRules], keys: Sequence[str], what_if: WhatIf) -> Mapping[str, FlagRules]:
    if what_if.percentage is None and not what_if.default:
        return rules
    supposed = dict(rules)
    for key in keys:
        flag = rules[key]
        if what_if.default:
            flag = replace(flag, default_enabled=what_if.default == "on")
        if what_if.percentage is not None:
            channels = {
                slug: ChannelAnswer(True, what_if.percentage) if answer.enabled else answer
                for slug, answer in flag.channels.items()
            }
            flag = replace(flag, channels=channels)
        supposed[key] = flag
    return supposed


def _supposed_facts(facts: CompanyFacts, key: str, what_if: WhatIf, ranks: Mapping[str, int]) -> CompanyFacts:
    facts = replace(facts, channel=what_if.channel or facts.channel, plan=ranks.get(what_if.plan, facts.plan))
    if what_if.override:
        own = {name: override for name, override in facts.overrides.items() if name != key}
        if what_if.override != "none":
            own[key] = OverrideFact(what_if.override == "on")
        facts = replace(facts, overrides=own)
    return facts


def grid(
    companies: Sequence[Company],
    keys: Sequence[str],
    *,
    person: User | None = None,
    at: datetime,
    now: datetime,
    what_if: WhatIf | None = None,
) -> list[GridRow]:
    """Answer every flag of `keys` for every company, as of `at`, for a person in it or for the company as such.

    Rules and rows are those of `now`; only what time does to them (expiry) is as of `at`. A key that no flag has is
    left out. A super admin is asked for as such. Three queries for each company not seen lately, whatever the number
    of flags.
    """
    what_if = what_if or WhatIf()
    ranks = dict(Plan.objects.values_list("slug", "rank")) if what_if.plan else {}
    rules = snapshots.resolve_rules(now).flags
    found = [key for key in keys if key in rules]
    supposed = _supposed_rules(rules, found, what_if)
    facts_by_company = {company.pk: _facts(company, now) for company in companies}
    rows = []
    for key in found:
        cells = []
        for company in companies:
            facts = facts_by_company[company.pk]
            subject = _subject(facts, person)
            actual, steps = explain(rules, key, subject, at)
            decision = actual
            if what_if.supposes_anything and facts is not None:
                subject = _subject(_supposed_facts(facts, key, what_if, ranks), person)
                decision, steps = explain(supposed, key, subject, at)
            changed = (actual.enabled, actual.reason) != (decision.enabled, decision.reason)
            cells.append(Cell(company, key, decision, steps, actual if changed else None))
        rows.append(GridRow(rules[key], cells))
    return rows


def _facts(company: Company, now: datetime) -> CompanyFacts | None:
    answers = snapshots.resolve(company.pk, now)
    return None if answers is None else answers.facts


def _subject(facts: CompanyFacts | None, person: User | None) -> Subject:
    if person is None:
        return Subject(facts)
    return Subject(facts, str(person.pk), person.is_superuser and person.is_active)


SENTENCES = {
    Reason.KILLED: "{feature} is temporarily unavailable for everybody. We are on it.",
    Reason.SUPER_ADMIN: "{feature} is on for our own staff.",
    Reason.NO_COMPANY: "Without an active company there is no {feature}.",
    Reason.PREREQUISITE: "{feature} builds on another feature that is off for {company}.",
    Reason.PLAN: "{feature} is not part of the plan of {company}. A larger plan includes it.",
    Reason.GRANT_MISSING: "{company} has {feature}, but this person has not been given access to it yet.",
    Reason.GRANT_DENIED: "{company} has {feature}, but it was withdrawn from this person.",
}


def sentence_for_customer(cell: Cell, feature: str) -> str:
    """Return one plain sentence that can be sent to the customer: what they have, and why, without our vocabulary."""
    words = {"feature": feature, "company": cell.company.name}
    fixed = SENTENCES.get(cell.decision.reason)
    if fixed is not None:
        return fixed.format(**words)
    if cell.decision.reason is Reason.OVERRIDE:
        return "{feature} was switched {state} for {company} individually.".format(state=_state(cell), **words)
    if cell.decision.reason is Reason.OPT_IN:
        return "{company} has itself switched {feature} {state}.".format(state=_state(cell), **words)
    if cell.decision.enabled:
        return "{feature} is on for {company}.".format(**words)
    return "{feature} has not been released to {company} yet.".format(**words)


def _state(cell: Cell) -> str:
    return "on" if cell.decision.enabled else "off"
