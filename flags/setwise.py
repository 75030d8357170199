"""Statements about many companies at once: they travel as one parameter, an array or a JSON text, not as thousands.

Where many rows are written, they are written in the order of their companies and with ids in that order, so that each
page of an index is looked up once and not for each row: half the time of a hundred thousand lines of history.
"""

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import DateTimeField, Field, Model
from django.db.models.expressions import RawSQL

CHOSEN = {"postgresql": "(select unnest(%s::uuid[]) as value)", "sqlite": "json_each(%s)"}
NEW_ID = {"postgresql": "gen_random_uuid()", "sqlite": "lower(hex(randomblob(16)))"}

OF_A_KIND = {
    "postgresql": "select * from unnest(%s::uuid[], %s::int[]) as pairs (value, kind)",
    "sqlite": (
        "select json_extract(value, '$[0]') as value, json_extract(value, '$[1]') as kind from json_each(%s) limit -1"
    ),
}
# SQLite makes a subquery with a limit once, with an index; without, it would walk all of one for each row of another.
NUMBERED_ID = {
    "postgresql": "(%s || lpad(to_hex(row_number() over (order by c.id)), 12, '0'))::uuid",
    "sqlite": "%s || printf('%%012x', row_number() over (order by c.id))",
}
DIGITS_IN_COMMON = 20
"""So many hexadecimal digits of the ids of one statement are the same: those of a random id."""

OF_COMPANY = {"company_id": "c.id", "company_slug": "c.slug", "company_name": "c.name"}
"""What a line of history gets from its company `c`."""

Columns = Mapping[str, Any]
"""Values of some columns, by the names of their fields in the database."""


def chosen() -> str:
    """Return SQL for a table with one column `value`: the ids given as one parameter by `as_parameter`."""
    return CHOSEN[connection.vendor]


def new_id() -> str:
    """Return SQL for a UUID that nobody has used."""
    return NEW_ID[connection.vendor]


def as_parameter(ids: Collection[UUID]) -> Any:
    """Return ids as the one parameter that `chosen` takes."""
    return _array(ids) if connection.vendor == "postgresql" else json.dumps([one.hex for one in ids])


def among(ids: Collection[UUID]) -> RawSQL:
    """Return what a filter with `__in` takes instead of thousands of ids: the same ids as one parameter."""
    return RawSQL(f"select value from {chosen()} as chosen", (as_parameter(ids),))  # noqa: S608, S611


def insert_for_each(
    row: Model, kinds: Sequence[tuple[Columns, Collection[UUID]]], of_company: Mapping[str, str], conflict: str = ""
) -> int:
    """Write a copy of `row`, under an id of its own, for each of these companies. Returns how many were written.

    `kinds` are columns in which copies differ, the same ones in each, with the companies that have them so; no company
    has two. `of_company` are columns that each gets from its company `c`. One statement.
    """
    varied = {name: f"kind.{name}" for name in kinds[0][0]}
    values: list[Any] = []
    columns: dict[str, str] = {}
    for field in row._meta.concrete_fields:
        column = str(field.column)
        if field.primary_key:
            columns[column] = NUMBERED_ID[connection.vendor]
            values.append(uuid.uuid4().hex[:DIGITS_IN_COMMON])
        elif column in of_company or column in varied:
            columns[column] = of_company.get(column) or varied[column]
        else:
            columns[column] = "%s"
            values.append(field.get_db_prep_save(getattr(row, field.attname), connection))
    names = ", ".join(connection.ops.quote_name(column) for column in columns)
    fields = [field for field in row._meta.concrete_fields if field.column in varied]
    sources = f"({OF_A_KIND[connection.vendor]}) as chosen join ({_kinds(fields)}) as kind on kind.n = chosen.kind"
    sql = (
        f"insert into {row._meta.db_table} ({names}) select {', '.join(columns.values())} "  # noqa: S608
        f"from {sources} join tenants_company c on c.id = chosen.value where true order by c.id {conflict}"
    )
    groups = [companies for _, companies in kinds]
    with connection.cursor() as cursor:
        cursor.execute(sql, [*values, *_of_a_kind(groups), _said(fields, [said for said, _ in kinds])])
        return cursor.rowcount


def _array(ids: Collection[UUID]) -> str:
    # As a text, which is made in a third of the time that an array of thousands takes.
    return f"{{{','.join([one.hex for one in ids])}}}"


def _of_a_kind(groups: Sequence[Collection[UUID]]) -> list[Any]:
    """Return the parameters that OF_A_KIND takes: all ids of all groups, each with the number of its group."""
    if connection.vendor == "postgresql":
        numbers = ",".join([",".join([str(n)] * len(ids)) for n, ids in enumerate(groups)])
        return [_array([one for ids in groups for one in ids]), f"{{{numbers}}}"]
    return [json.dumps([(one.hex, n) for n, ids in enumerate(groups) for one in ids])]


def _kinds(fields: Sequence[Field]) -> str:
    """Return SQL for the values in which kinds differ, each with its number `n`, given as one parameter by `_said`."""
    if connection.vendor == "postgresql":
        typed = ", ".join(f"{field.column} {field.db_type(connection)}" for field in fields)
        return f"select * from json_to_recordset(%s::json) as said (n int, {typed})"  # noqa: S608
    names = ("n", *(field.column for field in fields))
    extracted = ", ".join(f"json_extract(value, '$.{name}') as {name}" for name in names)
    return f"select {extracted} from json_each(%s) limit -1"  # noqa: S608


def _said(fields: Sequence[Field], kinds: Sequence[Columns]) -> str:
    moments = {field.column for field in fields if isinstance(field, DateTimeField)}

    def plain(name: str, value: Any) -> Any:
        return value if value is None or name not in moments else str(connection.ops.adapt_datetimefield_value(value))

    return json.dumps([{"n": n} | {name: plain(name, said[name]) for name in said} for n, said in enumerate(kinds)])
