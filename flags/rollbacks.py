"""Taking a feature from companies, and giving back what a batch took: one action, one transaction, one batch.

The smallest of the three rollbacks of seed 001: an override off for the companies chosen, or for all that have it.
(The others are `changes.kill` and `releases.roll_back`.)
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from flags.evaluation import OverrideFact
from flags.exceptions import ChangeRefused, Missing
from flags.impact import COMPANIES_AT_ONCE, companies_with
from flags.manyoverrides import Move, State, Witness, move_many, states
from flags.models import Change, Flag
from flags.recording import Actor, authorise, check_version, clean_reason, locked_flag, plain, record, writing
from flags.repeating import verb
from tenants.models import Company

WRITE = ("releases:write", "flags:write")
UNDOABLE = ("set_override", "remove_override")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a batch did: its id in history, and for how many companies it changed something and for how many nothing."""

    batch: uuid.UUID
    changed: int
    unchanged: int


@verb
def roll_back_companies(
    key: str, companies: Iterable[Company] | None, *, actor: Actor, reason: str, version: int | None = None
) -> Outcome:
    """Turn a flag off by override for these companies, or with None for all that have it. A reason is required.

    Companies whose override says so already are left alone. `undo_batch` takes it back as one.
    """
    authorise(actor, WRITE)
    reason = clean_reason(reason, always=True)
    with writing("take a feature from companies"):
        flag = locked_flag(key)
        check_version(flag.version, version, thing=f"the flag {key!r}", current=flag.version, yours="rolled back")
        chosen = set(companies_with(key)) if companies is None else {company.pk for company in companies}
        outcome = turn_off(flag, chosen, actor=actor, reason=reason)
        if outcome.changed:
            record(
                "roll_back_companies",
                actor=actor,
                flag=flag,
                before={},
                after={"companies": outcome.changed},
                reason=reason,
                batch=outcome.batch,
            )
    return outcome


def turn_off(flag: Flag, companies: Collection[UUID], *, actor: Actor, reason: str) -> Outcome:
    """Give each of these companies an override that says off. Inside `writing`, with authority checked."""
    witness = Witness(actor, reason, timezone.now(), uuid.uuid4())
    after = State(False, reason)
    chosen = set(companies)
    now = states([flag.key], chosen)
    moves: dict[Move, list[UUID]] = defaultdict(list)
    for company_id in chosen:
        moves[(now.get((company_id, flag.key)), after)].append(company_id)
    already = moves.pop((after, after), [])
    return Outcome(witness.batch, move_many(flag, moves, witness), len(already))


@verb
def undo_batch(batch: uuid.UUID, *, actor: Actor, reason: str = "") -> Outcome:
    """Bring back the overrides that a batch replaced, set or removed, as one batch that can be undone itself.

    What somebody has changed again since stays as it is, and is counted as unchanged. Raises Missing for a batch that
    history does not know, ChangeRefused for one that holds no overrides.
    """
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    with writing("undo a batch"):
        lines = Change.objects.filter(batch=batch)
        if not lines.exists():
            raise Missing("History knows no such batch.", code="BATCH_NOT_FOUND")
        told = _told(lines)
        flags = Flag.objects.in_bulk({key for _, key, _, _ in told})
        if not flags:
            raise ChangeRefused("This batch holds no overrides, so it cannot be undone as one.", code="NOT_REVERTIBLE")
        now = states(flags, {company_id for company_id, _, _, _ in told})
        moves, kept = _moves_back(told, flags, now)
        witness = Witness(actor, reason, timezone.now(), uuid.uuid4())
        changed = sum(move_many(flags[key], some, witness) for key, some in moves.items())
        if changed:
            only = next(iter(flags.values())) if len(flags) == 1 else None
            what = {"overrides": changed, "batch": str(batch)}
            record("undo_batch", actor=actor, flag=only, before={}, after=what, reason=reason, batch=witness.batch)
    return Outcome(witness.batch, changed, kept)


def overrides_after_undo(batch: uuid.UUID) -> dict[tuple[UUID, str], OverrideFact | None]:
    """Return the overrides that `undo_batch` would set, or with None take away, by company and key, for their impact.

    Empty for more than COMPANIES_AT_ONCE: whoever takes those back is told how many they are, and no more.
    """
    lines = Change.objects.filter(batch=batch)
    if lines.filter(verb__in=UNDOABLE).count() > COMPANIES_AT_ONCE:
        return {}
    told = _told(lines)
    keys = Flag.objects.in_bulk({key for _, key, _, _ in told}).keys()
    moves, _ = _moves_back(told, keys, states(keys, {company_id for company_id, _, _, _ in told}))
    return {
        (company_id, key): None if after is None else OverrideFact(after.enabled, after.expires_at, after.paused)
        for key, some in moves.items()
        for (_, after), companies in some.items()
        for company_id in companies
    }


def _told(lines: QuerySet[Change]) -> list[tuple[UUID, str, str, str]]:
    """Return what history tells of overrides, the newest first: company, key, and what was and became as JSON."""
    rows = lines.filter(verb__in=UNDOABLE, company_id__isnull=False).order_by("-at", "-id")
    texts = (Cast("before", TextField()), Cast("after", TextField()))
    return list(rows.values_list("company_id", "flag", *texts))


def _moves_back(
    told: Iterable[tuple[UUID, str, str, str]], keys: Container[str], now: Mapping[tuple[UUID, str], State]
) -> tuple[dict[str, dict[Move, list[UUID]]], int]:
    """Return what takes these lines back, by flag, and how many are left: changed since, or gone, or of no effect."""
    became: dict[tuple[UUID, str], State | None] = {}
    kept = 0
    for company_id, key, before, after in told:
        one = (company_id, key)
        found = _taken_back(became[one] if one in became else now.get(one), before, after) if key in keys else None
        if found is None:
            kept += 1
        else:
            (became[one],) = found
    moves: dict[str, dict[Move, list[UUID]]] = defaultdict(lambda: defaultdict(list))
    for one, state in became.items():
        if state == now.get(one):
            kept += 1
        else:
            moves[one[1]][(now.get(one), state)].append(one[0])
    return moves, kept


@lru_cache(maxsize=1000)
def _taken_back(now: State | None, before: str, after: str) -> tuple[State | None] | None:
    """Return, in a tuple, what an override was before a line of history; None where it is not as that line left it.

    History holds changed fields only, and nothing for no override. Most lines of a batch tell the same.
    """
    was, left = json.loads(before), json.loads(after)
    if now is None or not left:
        is_still = now is None and not left
    else:
        is_still = all(plain(getattr(now, name)) == value for name, value in left.items())
    if not is_still:
        return None
    if not was:
        return (None,)
    whole = {"expires_at": None, "paused": False, **(now._asdict() if now else {}), **was}
    moment = whole["expires_at"]
    until = parse_datetime(moment) if isinstance(moment, str) else moment
    return (State(whole["enabled"], whole["reason"], until, whole["paused"]),)
