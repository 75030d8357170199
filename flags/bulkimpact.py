"""What a change of many would do, before anybody makes it: of companies that move, people, and flags of one company.

`flags.impact` says it of one flag and many companies, `flags.companyimpact` of one company and all flags; the same
evaluation answers here.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from flags.companyfeatures import override_facts
from flags.companyimpact import CompanyImpact, compare, facts_of
from flags.evaluation import (
    ChannelAnswer,
    CompanyFacts,
    OverrideFact,
    Ruleset,
    evaluate_for_company,
    required_by,
)
from flags.impact import COMPANIES_AT_ONCE, Effect, Proposed, impact
from flags.models import Flag, Grant, OptIn, Override
from flags.snapshots import resolve_rules
from tenants.models import Company, Membership

LOOKED_AT = 500
"""For how many companies a move is worked out; of more, the first so many stand for all, and the page says so."""
NAMES_SHOWN = 5
FLAGS_LOOKED_AT = 50


@dataclass(slots=True)
class Turns:
    """How one flag fares when companies move: for how many it goes on and off, and the first names of each."""

    key: str
    name: str = ""
    on: int = 0
    off: int = 0
    names: list[str] = field(default_factory=list)

    @property
    def more(self) -> int:
        """How many turn besides those named."""
        return self.on + self.off - len(self.names)


@dataclass(frozen=True, slots=True)
class Move:
    """What a move does: how many really move, and the flags that turn by it, those of most companies first.

    `looked_at` is for how many of the companies it was worked out.
    """

    moving: int
    looked_at: int
    turns: list[Turns]

    @property
    def goes_on(self) -> list[Turns]:
        return [turn for turn in self.turns if turn.on]

    @property
    def goes_off(self) -> list[Turns]:
        return [turn for turn in self.turns if turn.off]


def impact_of_moves(companies: Sequence[UUID], channel: str, at: datetime | None = None) -> Move:
    """Say what becomes of every live flag when these companies move to a channel. A few queries, however many.

    Companies without anything of their own are alike within a channel and plan, and each such kind is evaluated once;
    flags in a percentage rollout, and those a company differs in, are evaluated company by company.
    """
    at = at or timezone.now()
    rules = resolve_rules(at).flags
    live = [key for key, flag in rules.items() if not flag.archived]
    behind = {key: {key, *required_by(rules, key)} for key in live}
    rolled = {key for key in live if _is_rolled_out(rules, behind[key])}
    resting: dict[str, set[str]] = defaultdict(set)
    for key in live:
        for required in behind[key]:
            resting[required].add(key)
    some = companies[:LOOKED_AT]
    own = _own_facts(some)
    turns: dict[str, Turns] = {}

    @cache
    def turned(was: str, plan: int) -> dict[str, bool]:
        facts = CompanyFacts("", was, plan)
        return _turned(rules, live, facts, replace(facts, channel=channel), at)

    rows = Company.objects.filter(pk__in=some, is_active=True).exclude(channel=channel).order_by("name", "pk")
    for pk, name, was, plan in rows.values_list("pk", "name", "channel", "plan__rank"):
        overrides, opt_ins = own.get(pk, ({}, {}))
        apart = rolled.union(*(resting[key] for key in overrides.keys() | opt_ins.keys()))
        facts = CompanyFacts(str(pk), was, plan, overrides, opt_ins)
        found = {key: on for key, on in turned(was, plan).items() if key not in apart}
        found |= _turned(rules, apart, facts, replace(facts, channel=channel), at)
        for key, on in found.items():
            turn = turns.setdefault(key, Turns(key))
            turn.on, turn.off = turn.on + on, turn.off + (not on)
            if len(turn.names) < NAMES_SHOWN:
                turn.names.append(name)
    called = dict(Flag.objects.filter(key__in=turns).values_list("key", "name"))
    for turn in turns.values():
        turn.name = called.get(turn.key, turn.key)
    elsewhere = Company.objects.exclude(channel=channel)
    if len(companies) <= COMPANIES_AT_ONCE:
        elsewhere = elsewhere.filter(pk__in=companies)
    moving = len(set(companies).intersection(elsewhere.order_by().values_list("pk", flat=True)))
    ordered = sorted(turns.values(), key=lambda turn: (-turn.on - turn.off, turn.name))
    return Move(moving, len(some), ordered)


def _turned(
    rules: Ruleset, keys: Iterable[str], before: CompanyFacts, after: CompanyFacts, at: datetime
) -> dict[str, bool]:
    """Return the flags whose answer turns, each with what it turns to."""
    found = {}
    for key in keys:
        becomes = evaluate_for_company(rules, key, after, at).enabled
        if becomes != evaluate_for_company(rules, key, before, at).enabled:
            found[key] = becomes
    return found


def _is_rolled_out(rules: Ruleset, keys: Iterable[str]) -> bool:
    return any(
        answer.enabled and answer.percentage < 100
        for key in keys
        if key in rules
        for answer in rules[key].channels.values()
    )


def _own_facts(companies: Collection[UUID]) -> dict[UUID, tuple[dict[str, OverrideFact], dict[str, bool]]]:
    found: dict[UUID, tuple[dict[str, OverrideFact], dict[str, bool]]] = {}
    rows = Override.objects.filter(company__in=companies).order_by()
    for pk, key, enabled, expires_at, paused in rows.values_list(
        "company_id", "flag_id", "enabled", "expires_at", "paused"
    ):
        found.setdefault(pk, ({}, {}))[0][key] = OverrideFact(enabled, expires_at, paused)
    for pk, key, enabled in OptIn.objects.filter(company__in=companies).values_list("company_id", "flag_id", "enabled"):
        found.setdefault(pk, ({}, {}))[1][key] = enabled
    return found


@dataclass(frozen=True, slots=True)
class GrantsEffect:
    """What a grant to many does: how many people it is for, of how many companies, and how many hold it so already."""

    people: int
    companies: int
    already: int
    opposite: int
    names: list[str]

    @property
    def more(self) -> int:
        """How many it is for besides those named."""
        return self.people - len(self.names)


def effect_of_grants(members: Sequence[UUID], key: str, enabled: bool, at: datetime | None = None) -> GrantsEffect:
    """Say whom a grant (or with `enabled=False` a denial) of a flag would reach, by memberships."""
    at = at or timezone.now()
    pairs: set[tuple[UUID, UUID]] = set()
    for start in range(0, len(members), COMPANIES_AT_ONCE):
        rows = Membership.objects.filter(pk__in=members[start : start + COMPANIES_AT_ONCE]).order_by()
        pairs.update(rows.values_list("company_id", "user_id"))
    held = Grant.objects.filter(flag=key).filter(Q(expires_at=None) | Q(expires_at__gt=at)).order_by()
    states = [
        on for company, user, on in held.values_list("company_id", "user_id", "enabled") if (company, user) in pairs
    ]
    first = Membership.objects.filter(pk__in=members[: NAMES_SHOWN * 2]).select_related("user", "company")
    return GrantsEffect(
        len(pairs),
        len({company for company, _ in pairs}),
        states.count(enabled),
        states.count(not enabled),
        [f"{row.user} ({row.company.name})" for row in first.order_by("company__name", "user__email")],
    )


def impact_of_overrides(
    company: Company, wanted: Mapping[str, OverrideFact | None], at: datetime | None = None
) -> CompanyImpact:
    """Say what becomes of these flags, and of those that require one, when a company's overrides are set or taken
    away.
    """
    at = at or timezone.now()
    rules = resolve_rules(at).flags
    facts = facts_of(company)
    kept = {key: own for key, own in override_facts(company).items() if key not in wanted}
    proposed = replace(facts, overrides=kept | {key: fact for key, fact in wanted.items() if fact is not None})
    keys = [
        key
        for key, flag in rules.items()
        if key in wanted or (not flag.archived and not required_by(rules, key).isdisjoint(wanted))
    ]
    if not company.is_active:
        return compare(rules, keys, None, None, at)
    return compare(rules, keys, facts, proposed, at)


def impact_of_channel(keys: Sequence[str], channel: str, enabled: bool, percentage: int) -> list[Effect]:
    """Say for how many companies each of these flags, the first of them at least, would go on or off.

    Those that turn come first; each is evaluated by itself, as if the others stayed.
    """
    answer = ChannelAnswer(enabled, percentage)
    called = dict(Flag.objects.filter(key__in=keys).values_list("key", "name"))
    effects = []
    for key in keys[:FLAGS_LOOKED_AT]:
        effect = impact(Proposed(key, channels={channel: answer})).effect
        effect.name = called.get(key, key)
        effects.append(effect)
    return sorted(effects, key=lambda effect: (-effect.changes, effect.name))
