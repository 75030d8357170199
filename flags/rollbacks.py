"""Taking a feature from companies, and giving back what a batch took: one action, one transaction, one batch.

The smallest of the three rollbacks of seed 001: an override off for the companies chosen, or for all that have it.
(The others are `changes.kill` and `releases.roll_back`.)
"""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from flags.exceptions import ChangeRefused, Missing
from flags.impact import COMPANIES_AT_ONCE, companies_with
from flags.manyoverrides import NOTHING, STATE, State, Witness, move_many
from flags.models import Change, Flag, Override
from flags.recording import Actor, authorise, check_version, clean_reason, locked_flag, plain, record, writing
from tenants.models import Company

WRITE = ("releases:write", "flags:write")
UNDOABLE = ("set_override", "remove_override")

Frozen = tuple[Any, ...]
"""An override's state as something to group by: the values of STATE, or nothing where there is no override."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a batch did: its id in history, and for how many companies it changed something and for how many nothing."""

    batch: uuid.UUID
    changed: int
    unchanged: int


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
    after = {"enabled": False, "reason": reason, "expires_at": None, "paused": False}
    left = set(companies)
    moves: dict[Frozen, list[UUID]] = defaultdict(list)
    for (company_id, _), state in _states([flag.key], left).items():
        left.discard(company_id)
        moves[state].append(company_id)
    already = moves.pop(_frozen(after), [])
    changed = move_many(flag, left, NOTHING, after, witness)
    for before, some in moves.items():
        changed += move_many(flag, some, _thawed(before), after, witness)
    return Outcome(witness.batch, changed, len(already))


def undo_batch(batch: uuid.UUID, *, actor: Actor, reason: str = "") -> Outcome:
    """Bring back the overrides that a batch replaced, set or removed, as one batch that can be undone itself.

    What somebody has changed again since stays as it is, and is counted as unchanged. Raises Missing for a batch that
    history does not know, ChangeRefused for one that holds no overrides.
    """
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    with writing("undo a batch"):
        lines = Change.objects.filter(batch=batch).order_by("at", "id")
        if not lines.exists():
            raise Missing("History knows no such batch.", code="BATCH_NOT_FOUND")
        lines = lines.filter(verb__in=UNDOABLE)
        flags = Flag.objects.in_bulk(set(lines.values_list("flag", flat=True)))
        if not flags:
            raise ChangeRefused("This batch holds no overrides, so it cannot be undone as one.", code="NOT_REVERTIBLE")
        now = _states(flags, {pk for pk in lines.values_list("company_id", flat=True) if pk is not None})
        moves: dict[tuple[str, Frozen, Frozen], set[UUID]] = defaultdict(set)
        kept = 0
        for company_id, key, before, after in lines.values_list("company_id", "flag", "before", "after").iterator():
            if company_id is None:
                continue
            state = now.get((company_id, key), ())
            if key not in flags or not _is_still(_thawed(state), after):
                kept += 1
                continue
            moves[(key, state, _frozen(_restored(_thawed(state), before)))].add(company_id)
        witness = Witness(actor, reason, timezone.now(), uuid.uuid4())
        changed = sum(
            move_many(flags[key], some, _thawed(state), _thawed(was), witness)
            for (key, state, was), some in moves.items()
        )
        if changed:
            only = next(iter(flags.values())) if len(flags) == 1 else None
            what = {"overrides": changed, "batch": str(batch)}
            record("undo_batch", actor=actor, flag=only, before={}, after=what, reason=reason, batch=witness.batch)
    return Outcome(witness.batch, changed, kept)


def _states(keys: Iterable[str], companies: Collection[UUID]) -> dict[tuple[UUID, str], Frozen]:
    """Return the overrides that these companies have of these flags, by company and key."""
    rows = Override.objects.filter(flag__in=list(keys)).order_by()
    if len(companies) <= COMPANIES_AT_ONCE:
        rows = rows.filter(company__in=companies)
    found = rows.values_list("company_id", "flag_id", *STATE).iterator()
    return {(row[0], row[1]): row[2:] for row in found if row[0] in companies}


def _frozen(state: State) -> Frozen:
    return tuple(state[name] for name in STATE) if state else ()


def _thawed(state: Frozen) -> dict[str, Any]:
    return dict(zip(STATE, state, strict=True)) if state else {}


def _is_still(now: State, left: State) -> bool:
    """Whether an override is as the batch left it. History holds changed fields only, and nothing for one removed."""
    if not left or not now:
        return not left and not now
    return all(plain(now[name]) == value for name, value in left.items())


def _restored(now: State, before: State) -> dict[str, Any]:
    if not before:
        return {}
    whole = {"expires_at": None, **now, **before}
    moment = whole["expires_at"]
    return whole | {"expires_at": parse_datetime(moment) if isinstance(moment, str) else moment}
