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
    """What to suppose; what is left out stays as it is.

    `answer` is what the company's channel says, on, off, or none to follow the default; `percentage` is for how many it
    is on. `override` is on, off, or none to remove it; `default`, `killed` and `needs_grant` are on or off;
    `minimum_plan` is a plan, or none for any.
    """

    channel: str = ""
    plan: str = ""
    answer: str = ""
    percentage: int | None = None
    override: str = ""
    default: str = ""
    killed: str = ""
    minimum_plan: str = ""
    needs_grant: str = ""

    @property
    def supposes_anything(self) -> bool:
        return self != WhatIf()


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom and when one asks about: a company as such, or a person in it, as of a moment (None is now)."""

    company: Company
    person: User | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One answer with its ladder. `actual` is the answer without suppositions, where they change it."""

    asked: Asked
    key: str
    decision: Decision
    steps: list[Step]
    actual: Decision | None = None

    @property
    def company(self) -> Company:
        return self.asked.company


@dataclass(frozen=True, slots=True)
class GridRow:
    """One flag, as everybody asked about has it."""

    flag: FlagRules
    cells: list[Cell]

    @property
    def differs(self) -> bool:
        """Whether they get different answers, or the same for different reasons."""
        return len({(cell.decision.enabled, cell.decision.reason) for cell in self.cells}) > 1


def _supposed_rules(
    rules: Mapping[str, FlagRules], keys: Sequence[str], what_if: WhatIf, channel: str, ranks: Mapping[str, int]
) -> Mapping[str, FlagRules]:
    supposed = dict(rules)
    for key in keys:
        flag = rules[key]
        if what_if.default:
            flag = replace(flag, default_enabled=what_if.default == "on")
        if what_if.killed:
            flag = replace(flag, killed=what_if.killed == "on")
        if what_if.needs_grant:
            flag = replace(flag, needs_grant=what_if.needs_grant == "on")
        if what_if.minimum_plan:
            flag = replace(flag, minimum_plan=ranks.get(what_if.minimum_plan))
        if what_if.answer or what_if.percentage is not None:
            flag = replace(flag, channels=_supposed_channels(flag.channels, what_if, channel))
        supposed[key] = flag
    return supposed


def _supposed_channels(
    channels: Mapping[str, ChannelAnswer], what_if: WhatIf, channel: str
) -> Mapping[str, ChannelAnswer]:
    others = {slug: answer for slug, answer in channels.items() if slug != channel}
    if what_if.answer == "none":
        return others
    share = 100 if what_if.percentage is None else what_if.percentage
    return {**others, channel: ChannelAnswer(what_if.answer != "off", share)}


def _supposed_facts(facts: CompanyFacts, key: str, what_if: WhatIf, ranks: Mapping[str, int]) -> CompanyFacts:
    facts = replace(facts, channel=what_if.channel or facts.channel, plan=ranks.get(what_if.plan, facts.plan))
    if what_if.override:
        own = {name: override for name, override in facts.overrides.items() if name != key}
        if what_if.override != "none":
            own[key] = OverrideFact(what_if.override == "on")
        facts = replace(facts, overrides=own)
    return facts


def grid(asked: Sequence[Asked], keys: Sequence[str], *, now: datetime, what_if: WhatIf | None = None) -> list[GridRow]:
    """Answer every flag of `keys` for everybody asked about.

    Rules and rows are those of `now`; only what time does to them (expiry) is as of the moment asked about. A key that
    no flag has is left out. A super admin is asked for as such. Three queries for each company not seen lately,
    whatever the number of flags.
    """
    what_if = what_if or WhatIf()
    ranks = dict(Plan.objects.values_list("slug", "rank")) if what_if.plan or what_if.minimum_plan else {}
    answers = {company_id: snapshots.resolve(company_id, now) for company_id in {one.company.pk for one in asked}}
    # Those that the answers of a company rest on, where any company has some.
    known = max((one.rules for one in answers.values() if one is not None), key=lambda one: one.version, default=None)
    rules = (known or snapshots.resolve_rules(now)).flags
    found = [key for key in keys if key in rules]
    facts_by_company = {company_id: None if one is None else one.facts for company_id, one in answers.items()}
    supposed: dict[str, Mapping[str, FlagRules]] = {}
    for facts in facts_by_company.values():
        channel = what_if.channel or (facts.channel if facts is not None else "")
        if channel not in supposed:
            supposed[channel] = _supposed_rules(rules, found, what_if, channel, ranks)

    def cell(key: str, one: Asked) -> Cell:
        facts, at = facts_by_company[one.company.pk], one.at or now
        actual, steps = explain(rules, key, _subject(facts, one.person), at)
        if not what_if.supposes_anything or facts is None:
            return Cell(one, key, actual, steps)
        subject = _subject(_supposed_facts(facts, key, what_if, ranks), one.person)
        decision, steps = explain(supposed[what_if.channel or facts.channel], key, subject, at)
        changed = (actual.enabled, actual.reason) != (decision.enabled, decision.reason)
        return Cell(one, key, decision, steps, actual if changed else None)

    return [GridRow(rules[key], [cell(key, one) for one in asked]) for key in found]


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
