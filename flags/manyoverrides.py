"""One flag's override for many companies at once: a few statements, however many companies and states there are.

Called by the write modules inside `writing`. What a company has here must be what the caller says it has, so that
history tells the truth; the writers' lock, which the caller holds, keeps it so.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from flags import announcements, features, snapshots
from flags.impact import COMPANIES_AT_ONCE
from flags.models import Flag, Override
from flags.recording import Actor, actor_user, difference, line
from flags.setwise import OF_COMPANY, among, as_parameter, chosen, insert_for_each


class State(NamedTuple):
    """A company's override of a flag, as far as history tells of it. None stands for no override."""

    enabled: bool
    reason: str
    expires_at: datetime | None = None
    paused: bool = False


Move = tuple[State | None, State | None]
"""From what to what."""

REPLACE = """
on conflict (company_id, flag_id) do update set
  enabled = excluded.enabled, reason = excluded.reason, expires_at = excluded.expires_at, paused = excluded.paused,
  created_by_id = excluded.created_by_id, updated_at = excluded.updated_at, version = flags_override.version + 1
"""


@dataclass(frozen=True, slots=True)
class Witness:
    """What all lines of one batch have in common: who, why, when, and the batch's id."""

    actor: Actor
    reason: str
    at: datetime
    batch: UUID


def states(keys: Iterable[str], companies: Collection[UUID]) -> dict[tuple[UUID, str], State]:
    """Return the overrides that these companies have of these flags, by company and key. One query."""
    rows = Override.objects.filter(flag__in=list(keys)).order_by()
    if len(companies) <= COMPANIES_AT_ONCE:
        rows = rows.filter(company__in=among(companies))
    found = rows.values_list("company_id", "flag_id", *State._fields)
    return {(row[0], row[1]): State(*row[2:]) for row in found if row[0] in companies}


def move_many(flag: Flag, moves: Mapping[Move, Collection[UUID]], witness: Witness) -> int:
    """Take companies' overrides of a flag from one state to another, a line of history each. Returns how many.

    No company may be in two moves. What would change nothing is the caller's to leave out.
    """
    if not moves:
        return 0
    known = line(
        "set_override", actor=witness.actor, flag=flag, before={}, after={}, reason=witness.reason, batch=witness.batch
    )
    known.at = witness.at
    moved = insert_for_each(known, [(_told(*move), some) for move, some in moves.items()], OF_COMPANY)
    kept = [(after._asdict(), some) for (_, after), some in moves.items() if after is not None]
    if kept:
        row = Override(flag=flag, created_by=actor_user(witness.actor))
        row.created_at = row.updated_at = witness.at
        insert_for_each(row, kept, {"company_id": "c.id"}, REPLACE)
    gone = [pk for (_, after), some in moves.items() if after is None for pk in some]
    if gone:
        _delete(flag, gone)
    snapshots.mark_changed(*(pk for some in moves.values() for pk in some))
    features.forget_here()
    announcements.announce(flag.key)
    return moved


def _told(before: State | None, after: State | None) -> dict[str, Any]:
    """Return what history tells of a move, as of the same change of a single company."""
    old, new = difference(
        before._asdict() if before else {}, after._asdict() if after else {}, keep=("enabled",) if after else ()
    )
    return {"verb": "set_override" if after else "remove_override", "before": old, "after": new}


def _delete(flag: Flag, companies: Collection[UUID]) -> None:
    sql = f"delete from flags_override where flag_id = %s and company_id in (select value from {chosen()} as chosen)"
    with connection.cursor() as cursor:
        cursor.execute(sql, [flag.pk, as_parameter(companies)])
