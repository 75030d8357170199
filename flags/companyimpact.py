"""What a change to one company would do to its features, before anybody makes it.

`flags.impact` asks how one flag fares with all companies; here one company is asked about all flags. The same
evaluation answers both, grants aside.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from django.utils import timezone

from flags.companyfeatures import Basis, override_facts
from flags.evaluation import CompanyFacts, Decision, OverrideFact, Ruleset, evaluate_for_company, required_by
from flags.models import Flag, OptIn
from flags.snapshots import resolve_rules
from tenants.models import Company, Plan


@dataclass(frozen=True, slots=True)
class Turn:
    """How one flag fares: its answer before and after."""

    key: str
    name: str
    before: Decision
    after: Decision

    @property
    def changes(self) -> bool:
        """Whether the answer turns; another reason for the same answer is no change."""
        return self.before.enabled != self.after.enabled


@dataclass(frozen=True, slots=True)
class CompanyImpact:
    """What a change does to one company, flag by flag, in the order of names."""

    turns: tuple[Turn, ...]

    @property
    def goes_on(self) -> list[Turn]:
        """Flags that are off and would be on."""
        return [turn for turn in self.turns if turn.changes and turn.after]

    @property
    def goes_off(self) -> list[Turn]:
        """Flags that are on and would be off."""
        return [turn for turn in self.turns if turn.changes and not turn.after]

    @property
    def stays_on(self) -> int:
        """How many flags are on before and after."""
        return sum(1 for turn in self.turns if turn.before and turn.after)

    @property
    def alters_nothing(self) -> bool:
        """Whether no answer of the company turns."""
        return not any(turn.changes for turn in self.turns)

    def of(self, key: str) -> Turn:
        """Return how one flag fares. Raises KeyError for one that was not asked about."""
        for turn in self.turns:
            if turn.key == key:
                return turn
        raise KeyError(key)


def impact_of_move(
    company: Company,
    channel: str | None = None,
    plan: str | None = None,
    is_active: bool | None = None,
    at: datetime | None = None,
) -> CompanyImpact:
    """Say what becomes of every live flag when a company moves to another channel or plan, or is (de)activated.

    `channel` and `plan` are slugs; what is left out stays as it is. Raises Plan.DoesNotExist for an unknown plan.
    """
    at = at or timezone.now()
    rules = resolve_rules(at).flags
    facts = facts_of(company)
    rank = facts.plan if plan is None else Plan.objects.get(pk=plan).rank
    moved = replace(facts, channel=channel or facts.channel, plan=rank)
    stays_active = company.is_active if is_active is None else is_active
    keys = [key for key, flag in rules.items() if not flag.archived]
    return compare(rules, keys, facts if company.is_active else None, moved if stays_active else None, at)


def impact_of_override(company: Company, key: str, override: OverrideFact | None, basis: Basis) -> CompanyImpact:
    """Say what becomes of a flag, and of those that require it, when a company's override of it is set or, with None,
    taken away. The flag itself is always among the turns, if there is such a flag. One query.

    `basis` is what the company's features rest on now (`companyfeatures.basis_of`).
    """
    at, rules, facts = basis.at, basis.rules, basis.facts
    keys = [
        name for name, flag in rules.items() if name == key or (not flag.archived and key in required_by(rules, name))
    ]
    if facts is None:  # It is inactive.
        return compare(rules, keys, None, None, at)
    others = {name: own for name, own in facts.overrides.items() if name != key}
    proposed = replace(facts, overrides=others if override is None else {**others, key: override})
    return compare(rules, keys, facts, proposed, at)


def facts_of(company: Company) -> CompanyFacts:
    """Return what sets a company apart, grants aside; also of an inactive one, which answers know nothing of."""
    choices = OptIn.objects.filter(company=company)
    return CompanyFacts(
        str(company.pk),
        str(company.channel_id),
        company.plan.rank,
        override_facts(company),
        dict(choices.values_list("flag_id", "enabled")),
    )


def compare(
    rules: Ruleset, keys: Iterable[str], before: CompanyFacts | None, after: CompanyFacts | None, at: datetime
) -> CompanyImpact:
    turns = {
        key: (evaluate_for_company(rules, key, before, at), evaluate_for_company(rules, key, after, at)) for key in keys
    }
    names = Flag.objects.filter(key__in=turns).order_by("name", "key").values_list("key", "name")
    return CompanyImpact(tuple(Turn(key, name, *turns[key]) for key, name in names))
