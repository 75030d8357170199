"""From rules to answers, for many companies at little cost. Pure, like evaluation.

Nearly every company of one channel and plan is answered alike. A `Base` is that shared part, compiled once per
version of the rules; a company adds only what sets it apart, and costs only that. `evaluate` stays the one truth: the
few short cuts below are taken where its answer is plain from the facts, and property tests hold them to it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from flags.evaluation import (
    CompanyFacts,
    FlagRules,
    GrantFact,
    Reason,
    Subject,
    bucket,
    evaluate,
    evaluate_for_company,
    required_by,
)

# A company that differs in nothing. Its id is in no rollout that is compiled: those keys are redone for each company.
NOBODY_IN_PARTICULAR = ""
# What all companies share has no end in time, so any moment will do to evaluate it.
WHENEVER = datetime.max.replace(tzinfo=UTC)
PEOPLE_KEPT = 100
"""For so many people of one company with grants of their own their answers are kept."""


class Overlay(Mapping[str, bool]):
    """Few answers of one's own over many that are shared. `own` answers no key that `shared` does not.

    What hangs on nothing but the company's place in a rollout is worked out when somebody asks: a company is asked for
    a few features and not for all that are on their way. From then on it is among `own`.
    """

    __slots__ = ("base", "company_id", "own", "shared")

    def __init__(self, base: "Base", own: dict[str, bool], company_id: str) -> None:
        self.base = base
        self.shared = base.answers
        self.own = own
        self.company_id = company_id

    def __getitem__(self, key: str) -> bool:
        enabled = self.get(key)
        if enabled is None:
            raise KeyError(key)
        return enabled

    def get(self, key: str, default: Any = None) -> Any:
        """Return the answer, or `default` where there is none. Here for speed alone: every first check asks it."""
        enabled = self.own.get(key)
        if enabled is None:
            percentage = self.base.rollouts.get(key)
            if percentage is None:
                return self.shared.get(key, default)
            enabled = self.own[key] = bucket(key, self.company_id) < percentage
        return enabled

    def __contains__(self, key: object) -> bool:
        return key in self.shared

    def __iter__(self) -> Iterator[str]:
        return iter(self.shared)

    def __len__(self) -> int:
        return len(self.shared)


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """Every flag's rules at one version, with what can be said once for all companies."""

    version: int
    flags: Mapping[str, FlagRules]
    super_admin: Mapping[str, bool]
    nobody: Mapping[str, bool]
    needs_grant: tuple[str, ...]
    dependents: Mapping[str, frozenset[str]]
    bases: dict[tuple[str, int], "Base"] = field(default_factory=dict)

    def base(self, channel: str, plan: int) -> "Base":
        """Return what all companies of this channel and plan share, compiled on first use."""
        base = self.bases.get((channel, plan))
        if base is None:
            base = self.bases[(channel, plan)] = _compile_base(self, channel, plan)
        return base


@dataclass(frozen=True, slots=True)
class Base:
    """The answers of a company that differs in nothing, and the keys whose answers hang on the company's id.

    `rollouts` are the latter where nothing but the bucket decides (what `answers` says of them is nobody's answer);
    `by_company` are those that need all rules.
    """

    answers: Mapping[str, bool]
    rollouts: Mapping[str, int]
    by_company: frozenset[str]
    plain: frozenset[str]


@dataclass(frozen=True, slots=True)
class Answers:
    """One company's answers to every flag at one moment, grants aside. `until` is when they may change by themselves.

    `by_grant` are the flags that are on and need a grant. `_made` are the answers for people who asked: the same object
    each time, so that what rests on it can be kept by others.
    """

    rules: Rules
    version: int
    facts: CompanyFacts
    company: Overlay
    by_grant: tuple[str, ...]
    until: datetime | None
    _made: dict[str | None, Overlay] = field(default_factory=dict, repr=False, compare=False)

    def holds(self, at: datetime) -> bool:
        """Say whether these answers are still true at `at`, as far as time alone decides."""
        return self.until is None or at < self.until

    def for_user(self, user_id: str | None, at: datetime) -> Mapping[str, bool]:
        """Return the answers for one person: the company's, less what grants take away (rules 11 and 12).

        `at` is a moment at which these answers hold.
        """
        grants = self.facts.grants.get(user_id) if user_id else None
        if not grants and not self.by_grant:
            return self.company
        name = user_id if grants else None  # Who has none is answered like all others who have none.
        made = self._made.get(name)
        if made is None:
            if len(self._made) > PEOPLE_KEPT:
                self._made.clear()
            made = self._made.setdefault(name, self._less(self._lost(name, grants or {}, at)))
        return made

    def _lost(self, user_id: str | None, grants: Mapping[str, GrantFact], at: datetime) -> Iterator[str]:
        yield from (key for key in self.by_grant if key not in grants)
        subject = Subject(self.facts, user_id)
        for key in grants:
            if self.company.get(key) and not evaluate(self.rules.flags, key, subject, at).enabled:
                yield key

    def _less(self, lost: Iterable[str]) -> Overlay:
        taken = dict.fromkeys(lost, False)
        return Overlay(self.company.base, {**self.company.own, **taken}, self.facts.id) if taken else self.company


def compile_rules(version: int, flags: Iterable[FlagRules]) -> Rules:
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
        super_admin={key: evaluate(by_key, key, super_admin, WHENEVER).enabled for key in by_key},
        nobody=dict.fromkeys(by_key, False),
        needs_grant=tuple(key for key, flag in by_key.items() if flag.needs_grant and not flag.archived),
        dependents={key: frozenset(keys) for key, keys in dependents.items()},
    )


@lru_cache(maxsize=4)
def with_kills(rules: Rules, later: Rules) -> Rules:
    """Return `rules`, with everything off that `later` rules know to be killed.

    For answers from the past: they may be late with whatever else, but what was killed stays off.
    """
    killed = [key for key, flag in rules.flags.items() if key in later.flags and later.flags[key].is_killed]
    if all(rules.flags[key].is_killed for key in killed):
        return rules
    flags = {**rules.flags, **{key: replace(rules.flags[key], killed=True) for key in killed}}
    return compile_rules(rules.version, flags.values())


def _with_dependents(rules: Rules, keys: Iterable[str]) -> set[str]:
    touched = set(keys)
    for key in tuple(touched):
        touched |= rules.dependents.get(key, frozenset())
    return touched


def _compile_base(rules: Rules, channel: str, plan: int) -> Base:
    typical = CompanyFacts(NOBODY_IN_PARTICULAR, channel, plan)
    decisions = {key: evaluate_for_company(rules.flags, key, typical, WHENEVER) for key in rules.flags}
    # Flags whose override simply is the answer: nothing earlier can speak, and nothing hangs on them.
    plain = frozenset(
        key
        for key, flag in rules.flags.items()
        if not (flag.is_killed or flag.archived or flag.requires or key in rules.dependents)
    )
    partial = {
        key: flag.channels[channel].percentage
        for key, flag in rules.flags.items()
        if channel in flag.channels and flag.channels[channel].enabled and flag.channels[channel].percentage < 100
    }
    rollouts = {
        key: percentage
        for key, percentage in partial.items()
        if key in plain and decisions[key].reason is Reason.ROLLOUT
    }
    return Base(
        answers={key: decision.enabled for key, decision in decisions.items()},
        rollouts=rollouts,
        by_company=frozenset(_with_dependents(rules, partial.keys() - rollouts.keys())),
        plain=plain,
    )


def compile_company(rules: Rules, version: int, facts: CompanyFacts, at: datetime) -> Answers:
    """Answer every flag for one company as of `at`, over the base it shares with its channel and plan."""
    base = rules.base(facts.channel, facts.plan)
    plain, shared = base.plain, base.answers
    own: dict[str, bool] = {}
    touched = set(base.by_company)
    ends: list[datetime] = []
    for key, override in facts.overrides.items():
        speaks = not override.paused
        if override.expires_at is not None and speaks:
            speaks = at < override.expires_at
            if speaks:
                ends.append(override.expires_at)
        if not speaks:
            continue
        if key in plain:
            own[key] = override.enabled
        elif key in shared:
            touched.add(key)
    touched.update(key for key in facts.opt_ins if key in shared)
    for grants in facts.grants.values():
        ends += [end for grant in grants.values() if (end := grant.expires_at) is not None and at < end]
    for key in _with_dependents(rules, touched) if touched else ():
        own[key] = evaluate_for_company(rules.flags, key, facts, at).enabled
    company = Overlay(base, own, facts.id)
    by_grant = tuple(key for key in rules.needs_grant if company[key])
    return Answers(rules, version, facts, company, by_grant, min(ends) if ends else None)
