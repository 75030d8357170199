"""One flag's override for many companies at once: a few statements, however many companies there are.

Called by the write modules inside `writing`. What a company has here must be what the caller says it has (`before`), so
that history tells the truth; the writers' lock, which the caller holds, keeps it so.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Model

from flags import announcements, features, snapshots
from flags.models import Flag, Override
from flags.recording import Actor, actor_user, line
from flags.setwise import as_parameter, chosen, new_id

State = Mapping[str, Any]
NOTHING: State = {}
"""The state of a company without an override."""

STATE = ("enabled", "reason", "expires_at", "paused")

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


def move_many(flag: Flag, companies: Collection[UUID], before: State, after: State, witness: Witness) -> int:
    """Take these companies' overrides of a flag from one state to another, a line of history each. Returns how many.

    NOTHING stands for no override on either side. What would change nothing is the caller's to leave out.
    """
    if not companies:
        return 0
    known = line(
        "set_override" if after else "remove_override",
        actor=witness.actor,
        flag=flag,
        before=before,
        after=after,
        reason=witness.reason,
        batch=witness.batch,
        keep=("enabled",) if after else (),
    )
    known.at = witness.at
    of_company = {"company_id": "c.id", "company_slug": "c.slug", "company_name": "c.name"}
    moved = _insert_for_each(known, of_company, companies)
    if after:
        row = Override(flag=flag, created_by=actor_user(witness.actor), **after)
        row.created_at = row.updated_at = witness.at
        _insert_for_each(row, {"company_id": "c.id"}, companies, REPLACE)
    else:
        _delete_for_each(flag, companies)
    snapshots.mark_changed(*companies)
    features.forget_here()
    announcements.announce(flag.key)
    return moved


def _insert_for_each(row: Model, of_company: Mapping[str, str], companies: Collection[UUID], conflict: str = "") -> int:
    """Write a copy of `row` for each of these companies. `of_company`: columns that each gets from its company `c`."""
    values: list[Any] = []
    columns: dict[str, str] = {}
    for field in row._meta.concrete_fields:
        column = str(field.column)
        if field.primary_key:
            columns[column] = new_id()
        elif column in of_company:
            columns[column] = of_company[column]
        else:
            columns[column] = "%s"
            values.append(field.get_db_prep_save(getattr(row, field.attname), connection))
    names = ", ".join(connection.ops.quote_name(column) for column in columns)
    sql = (
        f"insert into {row._meta.db_table} ({names}) select {', '.join(columns.values())} "
        f"from {chosen()} as chosen join tenants_company c on c.id = chosen.value where true {conflict}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*values, as_parameter(companies)])
        return cursor.rowcount


def _delete_for_each(flag: Flag, companies: Collection[UUID]) -> None:
    sql = f"delete from flags_override where flag_id = %s and company_id in (select value from {chosen()} as chosen)"
    with connection.cursor() as cursor:
        cursor.execute(sql, [flag.pk, as_parameter(companies)])
