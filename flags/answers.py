"""From rules to answers, for many companies at little cost. Pure, like evaluation.

Nearly every company of one channel and plan is answered alike. A `Base` is that shared part, compiled once per
version of the rules; a company adds only what sets it apart. `evaluate` stays the one truth: it is called for every
answer that is compiled here, once for the base and again for each key a company's differences touch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from flags.evaluation import CompanyFacts, FlagRules, Subject, evaluate, evaluate_for_company, required_by

# A company that differs in nothing. Its id is in no rollout that is compiled: those keys are redone for each company.
NOBODY_IN_PARTICULAR = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """Every flag's rules at one version, with what can be said once for all companies."""

    version: int
    flags: Mapping[str, FlagRules]
    super_admin: Mapping[str, bool]
    nobody: Mapping[str, bool]
    needs_grant: tuple[str, ...]
    dependents: Mapping[str, frozenset[str]]
    bases: dict[tuple[str, int], "Base"] = field(default_factory=dict)

    def base(self, channel: str, plan: int, at: datetime) -> "Base":
        """Return what all companies of this channel and plan share, compiled on first use."""
        base = self.bases.get((channel, plan))
        if base is None:
            base = self.bases[(channel, plan)] = _compile_base(self, channel, plan, at)
        return base


@dataclass(frozen=True, slots=True)
class Base:
    """The answers of a company that differs in nothing, and the keys that depend on the company's id."""

    answers: Mapping[str, bool]
    by_company: tuple[str, ...]
    plain: frozenset[str]


@dataclass(frozen=True, slots=True)
class Answers:
    """One company's answers to every flag at one moment, grants aside. `until`: when they may change by themselves."""

    rules: Rules
    version: int
    facts: CompanyFacts
    company: Mapping[str, bool]
    until: datetime | None

    def holds(self, at: datetime) -> bool:
        """Say whether these answers are still true at `at`, as far as time alone decides."""
        return self.until is None or at < self.until

    def for_user(self, user_id: str | None, at: datetime) -> Mapping[str, bool]:
        """Return the answers for one person: the company's, less what grants take away (rules 11 and 12)."""
        grants = self.facts.grants.get(user_id, {}) if user_id else {}
        touched = {key for key in (*self.rules.needs_grant, *grants) if self.company.get(key)}
        if not touched:
            return self.company
        subject = Subject(self.facts, user_id)
        own = {key: evaluate(self.rules.flags, key, subject, at).enabled for key in touched}
        return self.company if all(own.values()) else {**self.company, **own}


def compile_rules(version: int, flags: Iterable[FlagRules], at: datetime) -> Rules:
    """Prepare one version of the rules. Keys must be unique; the loader has seen to that."""
    by_key = {flag.key: flag for flag in flags}
    dependents: dict[str, set[str]] = {}
    for key, flag in by_key.items():
        if flag.requires:
            for required in required_by(by_key, key):
                dependents.setdefault(required, set()).add(key)
    super_admin = Subject(is_super_admin=True)
    return Rules(
        version=version,
        flags=by_key,
        super_admin={key: evaluate(by_key, key, super_admin, at).enabled for key in by_key},
        nobody=dict.fromkeys(by_key, False),
        needs_grant=tuple(key for key, flag in by_key.items() if flag.needs_grant and not flag.archived),
        dependents={key: frozenset(keys) for key, keys in dependents.items()},
    )


def _with_dependents(rules: Rules, keys: Iterable[str]) -> set[str]:
    touched = set(keys)
    for key in tuple(touched):
        touched |= rules.dependents.get(key, frozenset())
    return touched


def _compile_base(rules: Rules, channel: str, plan: int, at: datetime) -> Base:
    typical = CompanyFacts(NOBODY_IN_PARTICULAR, channel, plan)
    rollouts = [
        key
        for key, flag in rules.flags.items()
        if channel in flag.channels and flag.channels[channel].enabled and flag.channels[channel].percentage < 100
    ]
    return Base(
        answers={key: evaluate_for_company(rules.flags, key, typical, at).enabled for key in rules.flags},
        by_company=tuple(sorted(_with_dependents(rules, rollouts))),
        # Flags whose override simply is the answer: nothing earlier can speak, and nothing hangs on them.
        plain=frozenset(
            key
            for key, flag in rules.flags.items()
            if not (flag.is_killed or flag.archived or flag.requires or key in rules.dependents)
        ),
    )


def compile_company(rules: Rules, version: int, facts: CompanyFacts, at: datetime) -> Answers:
    """Answer every flag for one company as of `at`, over the base it shares with its channel and plan."""
    base = rules.base(facts.channel, facts.plan, at)
    answers = dict(base.answers)
    touched = set(base.by_company)
    until: datetime | None = None
    for key, override in facts.overrides.items():
        if override.expires_at is not None and at < override.expires_at and not override.paused:
            until = override.expires_at if until is None else min(until, override.expires_at)
        if key in base.plain and override.speaks(at):
            answers[key] = override.enabled
        elif key in rules.flags:
            touched.add(key)
    touched.update(key for key in facts.opt_ins if key in rules.flags)
    for grants in facts.grants.values():
        for grant in grants.values():
            if grant.expires_at is not None and at < grant.expires_at:
                until = grant.expires_at if until is None else min(until, grant.expires_at)
    for key in _with_dependents(rules, touched):
        answers[key] = evaluate_for_company(rules.flags, key, facts, at).enabled
    return Answers(rules, version, facts, answers, until)
