"""Rows in large pieces, for a database to measure on."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

from django.db import connection
from django.db.models import Model

PIECE = 50_000
"""How many rows are written in a transaction."""

Tell = Callable[[str, int, int], None]
"""Hears what is being loaded, how much of it there is by now, and how much there will be."""


def as_id() -> Callable[[UUID], Any]:
    """Return what makes of an id what the database keeps."""
    return (lambda pk: pk) if connection.vendor == "postgresql" else (lambda pk: pk.hex)


def new_id() -> Any:
    """Return an id nobody has, as the database keeps it."""
    return as_id()(uuid4())


def moment(value: Any) -> Any:
    """Return a moment as the database keeps it."""
    return connection.ops.adapt_datetimefield_value(value)


def insert(model: type[Model], columns: Sequence[str], rows: Sequence[tuple]) -> int:
    """Write rows as fast as the database takes them, leaving out those that are there. Returns how many were new."""
    table, names = model._meta.db_table, ", ".join(columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # COPY knows neither conflicts nor row-level security, so it fills a table in between.
            cursor.execute(f"create temporary table loaded as select {names} from {table} with no data")  # noqa: S608
            with cursor.copy(f"copy loaded ({names}) from stdin") as copy:
                for row in rows:
                    copy.write_row(row)
            cursor.execute(f"insert into {table} ({names}) select {names} from loaded on conflict do nothing")  # noqa: S608
            found = cursor.rowcount
            cursor.execute("drop table loaded")
            return found
        marks = ", ".join(["%s"] * len(columns))
        cursor.executemany(f"insert or ignore into {table} ({names}) values ({marks})", rows)  # noqa: S608
        return cursor.rowcount
