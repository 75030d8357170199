"""The answer. Pure: facts in, decision out; no request, no database, no clock of its own.

The twelve rules stand once, in RULES, in the order of DESIGN section 2; the first that speaks wins.
PostgreSQL repeats them in SQL, and a parity test holds the two together.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import md5


class Reason(StrEnum):
    """Why an answer is what it is. A closed set; every door uses these words."""

    UNKNOWN_FLAG = "unknown_flag"
    KILLED = "killed"
    SUPER_ADMIN = "super_admin"
    NO_COMPANY = "no_company"
    PREREQUISITE = "prerequisite"
    OVERRIDE = "override"
    PLAN = "plan"
    OPT_IN = "opt_in"
    CHANNEL = "channel"
    ROLLOUT = "rollout"
    DEFAULT = "default"
    GRANT_DENIED = "grant_denied"
    GRANT_MISSING = "grant_missing"
    # Two more words, for answers that no rule gives: an archived flag gives its last default (rule 10 in
    # other clothes), and a cold process without a database gives the safe default.
    ARCHIVED = "archived"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Decision:
    """One answer: the flag's key, on or off, and why. Truthy when on."""

    key: str
    enabled: bool
    reason: Reason

    def __bool__(self) -> bool:
        return self.enabled


@dataclass(frozen=True, slots=True)
class ChannelAnswer:
    """What a release channel says of a flag: off, or on for a percentage of the channel's companies."""

    enabled: bool
    percentage: int = 100


@dataclass(frozen=True, slots=True)
class FlagRules:
    """One flag's facts, the same for every company. Plans are compared by rank."""

    key: str
    default_enabled: bool = False
    is_killswitch: bool = False
    killed: bool = False
    archived: bool = False
    needs_grant: bool = False
    minimum_plan: int | None = None
    is_self_service: bool = False
    is_internal: bool = False
    category: str = "general"
    requires: tuple[str, ...] = ()
    channels: Mapping[str, ChannelAnswer] = field(default_factory=dict)

    @property
    def is_killed(self) -> bool:
        """Somebody pulled the switch, or the flag is a kill switch that rests on off (seed 001, section 3)."""
        return self.killed or (self.is_killswitch and not self.default_enabled)


@dataclass(frozen=True, slots=True)
class OverrideFact:
    """A company's own answer; it speaks until it expires, unless it is paused."""

    enabled: bool
    expires_at: datetime | None = None
    paused: bool = False

    def speaks(self, at: datetime) -> bool:
        return not self.paused and (self.expires_at is None or at < self.expires_at)


@dataclass(frozen=True, slots=True)
class GrantFact:
    """One person's permission, or denial, inside a company."""

    enabled: bool
    expires_at: datetime | None = None

    def speaks(self, at: datetime) -> bool:
        return self.expires_at is None or at < self.expires_at


@dataclass(frozen=True, slots=True)
class CompanyFacts:
    """What sets one company apart: its ring and plan, and its few differences. Grants go by user id, then key."""

    id: str
    channel: str
    plan: int
    overrides: Mapping[str, OverrideFact] = field(default_factory=dict)
    opt_ins: Mapping[str, bool] = field(default_factory=dict)
    grants: Mapping[str, Mapping[str, GrantFact]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom we decide about. A super admin who views as a company is not one here."""

    company: CompanyFacts | None = None
    user_id: str | None = None
    is_super_admin: bool = False


Ruleset = Mapping[str, FlagRules]
Verdict = tuple[bool, Reason]

# Rules 5 to 12 are asked only where there is a company.
NO_COMPANY = CompanyFacts("", "", 0)


@dataclass(frozen=True, slots=True)
class Question:
    """Everything a rule may look at."""

    rules: Ruleset
    flag: FlagRules
    subject: Subject
    at: datetime

    @property
    def company(self) -> CompanyFacts:
        return self.subject.company or NO_COMPANY


@lru_cache(maxsize=65536)
def bucket(key: str, company_id: str) -> int:
    """Return the company's place, 0 to 99, in this flag's rollout. Sticky, and independent from flag to flag."""
    return int.from_bytes(md5(f"{key}:{company_id}".encode(), usedforsecurity=False).digest()[:4]) % 100


def required_by(rules: Ruleset, key: str) -> set[str]:
    """Return every key that `key` requires, directly or through others. Ends also where rules form a circle.

    An archived flag requires nothing: it gives its last default, whatever became of others.
    """
    found: set[str] = set()
    waiting = [key]
    while waiting:
        flag = rules.get(waiting.pop())
        if flag is not None and not flag.archived:
            waiting.extend(name for name in flag.requires if name not in found)
            found.update(flag.requires)
    return found


def _killed(q: Question) -> Verdict | None:
    return (False, Reason.KILLED) if q.flag.is_killed else None


def _super_admin(q: Question) -> Verdict | None:
    return (True, Reason.SUPER_ADMIN) if q.subject.is_super_admin else None


def _no_company(q: Question) -> Verdict | None:
    return (False, Reason.NO_COMPANY) if q.subject.company is None else None


def _prerequisite(q: Question) -> Verdict | None:
    # A flag is on for a company only if all it requires, and all they require, are on by themselves.
    # Said of the whole closure at once, a circle needs no special case.
    if not q.flag.requires:
        return None
    for key in required_by(q.rules, q.flag.key):
        required = q.rules.get(key)
        if required is None or required.is_killed or not _own_answer(q, required)[0]:
            return (False, Reason.PREREQUISITE)
    return None


def _override(q: Question) -> Verdict | None:
    override = q.company.overrides.get(q.flag.key)
    if q.flag.archived or override is None or not override.speaks(q.at):
        return None
    return (override.enabled, Reason.OVERRIDE)


def _plan(q: Question) -> Verdict | None:
    minimum = q.flag.minimum_plan
    if q.flag.archived or minimum is None or q.company.plan >= minimum:
        return None
    return (False, Reason.PLAN)


def _opt_in(q: Question) -> Verdict | None:
    choice = q.company.opt_ins.get(q.flag.key)
    if q.flag.archived or not q.flag.is_self_service or choice is None:
        return None
    return (choice, Reason.OPT_IN)


def _channel(q: Question) -> Verdict | None:
    answer = q.flag.channels.get(q.company.channel)
    if q.flag.archived or answer is None:
        return None
    if not answer.enabled:
        return (False, Reason.CHANNEL)
    if answer.percentage >= 100:
        return (True, Reason.CHANNEL)
    return (bucket(q.flag.key, q.company.id) < answer.percentage, Reason.ROLLOUT)


def _default(q: Question) -> Verdict:
    return (q.flag.default_enabled, Reason.ARCHIVED if q.flag.archived else Reason.DEFAULT)


def _grant(q: Question) -> GrantFact | None:
    user_id = q.subject.user_id
    grant = q.company.grants.get(user_id, {}).get(q.flag.key) if user_id else None
    return grant if grant is not None and grant.speaks(q.at) else None


def _grant_denied(q: Question) -> Verdict | None:
    grant = None if q.flag.archived else _grant(q)
    return (False, Reason.GRANT_DENIED) if grant is not None and not grant.enabled else None


def _grant_missing(q: Question) -> Verdict | None:
    if q.flag.archived or not q.flag.needs_grant or _grant(q) is not None:
        return None
    return (False, Reason.GRANT_MISSING)


Rule = tuple[int, str, Callable[[Question], Verdict | None]]

# Rule 1, "no such flag", has no function: without a flag there is no question to ask.
OWN_RULES: tuple[Rule, ...] = (
    (6, "override", _override),
    (7, "plan", _plan),
    (8, "opt_in", _opt_in),
    (9, "channel", _channel),
    (10, "default", _default),
)
COMPANY_RULES: tuple[Rule, ...] = (
    (2, "killed", _killed),
    (3, "super_admin", _super_admin),
    (4, "no_company", _no_company),
    (5, "prerequisite", _prerequisite),
    *OWN_RULES,
)
GRANT_RULES: tuple[Rule, ...] = (
    (11, "grant_denied", _grant_denied),
    (12, "grant_missing", _grant_missing),
)


def _first(rules: Iterable[Rule], q: Question) -> tuple[int, Verdict] | None:
    for number, _, rule in rules:
        verdict = rule(q)
        if verdict is not None:
            return number, verdict
    return None


def _own_answer(q: Question, flag: FlagRules) -> Verdict:
    """Rules 6 to 10 for another flag of the same company."""
    own = Question(q.rules, flag, q.subject, q.at)
    spoken = _first(OWN_RULES, own)
    return spoken[1] if spoken is not None else _default(own)


def _for_company(q: Question) -> tuple[int, Verdict]:
    """Rules 2 to 10, of which the last always speaks."""
    return _first(COMPANY_RULES, q) or (10, _default(q))


def _denied(q: Question, number: int, verdict: Verdict) -> tuple[int, Verdict] | None:
    """Rules 11 and 12: what grants take away from an answer of rules 5 to 10 that is on."""
    return _first(GRANT_RULES, q) if number > 4 and verdict[0] else None


def evaluate_for_company(
    rules: Ruleset, key: str, company: CompanyFacts | None, at: datetime, default: bool = False
) -> Decision:
    """Decide for a company as a whole, by rules 1 to 10: what its people could use, grants aside."""
    flag = rules.get(key)
    if flag is None:
        return Decision(key, default, Reason.UNKNOWN_FLAG)
    _, verdict = _for_company(Question(rules, flag, Subject(company), at))
    return Decision(key, *verdict)


def evaluate(rules: Ruleset, key: str, subject: Subject, at: datetime, default: bool = False) -> Decision:
    """Decide for one asker at one moment, by all twelve rules.

    `at` is an aware datetime; rows bound in time stop counting at that instant. `default` answers only for a
    key that is not in `rules`. Never raises for any facts, and never answers None.
    """
    flag = rules.get(key)
    if flag is None:
        return Decision(key, default, Reason.UNKNOWN_FLAG)
    q = Question(rules, flag, subject, at)
    number, verdict = _for_company(q)
    denied = _denied(q, number, verdict)
    return Decision(key, *(verdict if denied is None else denied[1]))


class Outcome(StrEnum):
    """How a rule fared on the way to an answer."""

    PASSED = "passed"
    DECIDED = "decided"
    OVERRULED = "overruled"
    NOT_REACHED = "not_reached"


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of the ladder. `would` is what the rule says by itself: on, off, or None for nothing."""

    number: int
    rule: str
    outcome: Outcome
    would: bool | None
    reason: Reason | None


def explain(
    rules: Ruleset, key: str, subject: Subject, at: datetime, default: bool = False
) -> tuple[Decision, list[Step]]:
    """Return the decision with all twelve steps that lead to it, those not reached included."""
    decision = evaluate(rules, key, subject, at, default)
    flag = rules.get(key)
    later = (*COMPANY_RULES, *GRANT_RULES)
    if flag is None:
        first = Step(1, "unknown_flag", Outcome.DECIDED, default, Reason.UNKNOWN_FLAG)
        return decision, [first, *(Step(number, name, Outcome.NOT_REACHED, None, None) for number, name, _ in later)]
    q = Question(rules, flag, subject, at)
    spoke, verdict = _for_company(q)
    denied = _denied(q, spoke, verdict)
    grants_asked_until = 0 if spoke <= 4 or not verdict[0] else denied[0] if denied else 12

    def outcome(number: int) -> Outcome:
        if number == spoke:
            return Outcome.OVERRULED if denied else Outcome.DECIDED
        if denied and number == denied[0]:
            return Outcome.DECIDED
        return Outcome.PASSED if number < spoke or 10 < number <= grants_asked_until else Outcome.NOT_REACHED

    steps = [Step(1, "unknown_flag", Outcome.PASSED, None, None)]
    for number, name, rule in later:
        needs_company = number > 4 and number != 10
        would = None if needs_company and subject.company is None else rule(q)
        steps.append(Step(number, name, outcome(number), *(would or (None, None))))
    return decision, steps
