"""Flags as people look at them: read models for lists and pages, with the same answers that code gets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from flags import snapshots
from flags.evaluation import Decision, evaluate_for_company
from flags.models import ChannelDefault, Flag, OptIn, Override
from tenants.models import Company, ReleaseChannel, User


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
    """One flag as one company has it: global, channel, override, the company's own choice, and what comes of it."""

    flag: Flag
    channel: ChannelState
    override: Override | None
    opt_in: OptIn | None
    decision: Decision
    inherited: Decision
    """What the company would get without its override."""


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


def _channel_state(channel: ReleaseChannel, answer: ChannelDefault | None) -> ChannelState:
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
    is answered like no company.
    """
    at = at or timezone.now()
    found = list(flags if flags is not None else Flag.objects.live())
    found = [flag for flag in found if internal or not flag.is_internal]
    answers = snapshots.resolve(company.pk, at)
    rules = (answers.rules if answers is not None else snapshots.resolve_rules(at)).flags
    facts = None if answers is None else answers.facts
    bare = None if facts is None else facts_without_overrides(company.pk, at)
    overrides = {row.flag_id: row for row in Override.objects.filter(company=company).select_related("created_by")}
    opt_ins = {row.flag_id: row for row in OptIn.objects.filter(company=company)}
    states = {
        row.flag_id: _channel_state(company.channel, row)
        for row in ChannelDefault.objects.filter(channel=company.channel_id)
    }
    silent = _channel_state(company.channel, None)
    rows = []
    for flag in found:
        own = bare if bare is None else bare[flag.key]
        rows.append(
            FeatureRow(
                flag=flag,
                channel=states.get(flag.key, silent),
                override=overrides.get(flag.key),
                opt_in=opt_ins.get(flag.key),
                decision=evaluate_for_company(rules, flag.key, facts, at),
                inherited=evaluate_for_company(rules, flag.key, facts, at) if own is None else own,
            )
        )
    return rows


class _Inherited(dict[str, Decision]):
    """What a company would get for each flag if it had no override of that flag, worked out when asked."""

    def __init__(self, company_id: UUID, at: datetime) -> None:
        super().__init__()
        answers = snapshots.resolve(company_id, at)
        assert answers is not None
        self.rules, self.facts, self.at = answers.rules.flags, answers.facts, at

    def __missing__(self, key: str) -> Decision:
        facts = self.facts
        if key in facts.overrides:
            own = {name: override for name, override in facts.overrides.items() if name != key}
            facts = type(facts)(facts.id, facts.channel, facts.plan, own, facts.opt_ins, facts.grants)
        decision = self[key] = evaluate_for_company(self.rules, key, facts, self.at)
        return decision


def facts_without_overrides(company_id: UUID, at: datetime) -> Mapping[str, Decision]:
    """Return a mapping from key to what the company inherits: its answer without its own override of that flag."""
    return _Inherited(company_id, at)
