"""Database triggers that no code path can forget: version bumps, append-only history, keys never reused.

Versions are bumped inside the writer's own transaction, on PostgreSQL by statement triggers with transition
tables and on SQLite by row triggers, so that `QuerySet.update`, `bulk_create` and psql count like any other
change. A version is the time in microseconds, or one more than the last: it is never used twice, not even
after a rollback or the restore of a backup. Everything here can be run again at any time, and is, after every
migrate: SQLite drops the triggers of a table that a migration rebuilds.
"""

from itertools import groupby
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from flags import placing, postgrestriggers, sqlitetriggers, tallies
from tenants import trigrams


def _has_tallies(connection: BaseDatabaseWrapper) -> bool:
    """Say whether the table of counts is there: not yet while migrating forward, not any more on the way back."""
    return tallies.TABLE in connection.introspection.table_names()


def install(connection: BaseDatabaseWrapper) -> None:
    """Put every trigger in its place. Safe to run again."""
    counts = _has_tallies(connection)
    if connection.vendor == "postgresql":
        _install_on_postgres(connection, counts)
        return
    with connection.cursor() as cursor:
        for name, _table, definition in sqlitetriggers.triggers() + (tallies.sqlite_triggers() if counts else []):
            cursor.execute(f"drop trigger if exists {name}")
            cursor.execute(f"create trigger {name} {definition}")


def _install_on_postgres(connection: BaseDatabaseWrapper, counts: bool) -> None:
    """Lock no table whose triggers are as they should be, and any other in a transaction of its own."""
    wanted = [(table, name, text.format(t=table)) for name, table, text in postgrestriggers.triggers()]
    with connection.cursor() as cursor:
        cursor.execute(postgrestriggers.FUNCTIONS)
        if counts:
            cursor.execute(tallies.POSTGRES_FUNCTIONS)
            wanted += [(table, name, text) for name, table, text in tallies.postgres_triggers()]
        standing = _standing(cursor)
    lacking = []
    for table, name, text in sorted(wanted):
        found, marked = standing.get((table, name), ("", None))
        if marked != placing.mark(text, found):
            lacking.append((table, name, text))
    for table, triggers in groupby(lacking, key=lambda one: one[0]):
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            placing.wait_briefly(cursor)
            for _, name, text in triggers:
                cursor.execute(f"create or replace trigger {name} {text}")
                found, _ = _standing(cursor)[table, name]
                cursor.execute(f"comment on trigger {name} on {table} is '{placing.mark(text, found)}'")


def _standing(cursor: Any) -> dict[tuple[str, str], tuple[str, str | None]]:
    """Return, by table and name, each trigger as the catalogue says it, and the mark it bears."""
    cursor.execute(
        "select c.relname, t.tgname, pg_get_triggerdef(t.oid) || t.tgenabled::text, "
        "obj_description(t.oid, 'pg_trigger') "
        "from pg_trigger t join pg_class c on c.oid = t.tgrelid "
        "where not t.tgisinternal and c.relnamespace = current_schema()::regnamespace"
    )
    return {(table, name): (found, marked) for table, name, found, marked in cursor.fetchall()}


def uninstall(connection: BaseDatabaseWrapper) -> None:
    """Take every trigger away, before the tables go that they write to. Safe to run again."""
    uninstall_tallies(connection)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for function in postgrestriggers.TRIGGER_FUNCTIONS:
                cursor.execute(f"drop function if exists {function} cascade")
        else:
            for name, _table, _definition in sqlitetriggers.triggers():
                cursor.execute(f"drop trigger if exists {name}")


def uninstall_tallies(connection: BaseDatabaseWrapper) -> None:
    """Take the triggers away that count, before the table of counts goes. Safe to run again."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for function in tallies.POSTGRES_FUNCTION_NAMES:
                cursor.execute(f"drop function if exists {function} cascade")
        else:
            for name, _table, _definition in tallies.sqlite_triggers():
                cursor.execute(f"drop trigger if exists {name}")


def bump_everything(connection: BaseDatabaseWrapper) -> None:
    """Give every scope a new version, for changes that no trigger has seen."""
    next_version = "flags_next_version(n)" if connection.vendor == "postgresql" else sqlitetriggers.NEXT
    with connection.cursor() as cursor:
        cursor.execute(f"update flags_version set n = {next_version}")


def remove_history_guard(connection: BaseDatabaseWrapper) -> None:
    """Let history be erased, which only `flush` does. `install` puts the guard back."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for name in ("flags_append_only", "flags_append_only_truncate"):
                cursor.execute(f"drop trigger if exists {name} on flags_change")
        else:
            for event in ("update", "delete", "replace"):
                cursor.execute(f"drop trigger if exists flags_append_only_{event}")
            cursor.execute("drop trigger if exists flags_retire_key")


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the name of each trigger that should be there and is not, as `table.trigger`."""
    counts = _has_tallies(connection)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            counting = tallies.postgres_triggers() if counts else []
            wanted = {(table, name) for name, table, _ in postgrestriggers.triggers() + counting}
            cursor.execute(
                "select c.relname, t.tgname from pg_trigger t join pg_class c on c.oid = t.tgrelid "
                "where not t.tgisinternal and t.tgenabled <> 'D'"
            )
        else:
            counting = tallies.sqlite_triggers() if counts else []
            wanted = {(table, name) for name, table, _ in sqlitetriggers.triggers() + counting}
            cursor.execute("select tbl_name, name from sqlite_master where type = 'trigger'")
        found = set(cursor.fetchall())
    return sorted([*(f"{table}.{name}" for table, name in wanted - found), *trigrams.missing(connection)])


def after_migrate(using: str, **_kwargs) -> None:
    """Receive `post_migrate`: reinstall, since a rebuilt SQLite table has lost its triggers.

    Where some were missing nobody sees the new ones before the versions that make up for them.
    """
    connection = connections[using]
    if "flags_version" in connection.introspection.table_names():
        were_missing = missing(connection)
        if not were_missing:
            install(connection)
            return
        with transaction.atomic(using=using):
            install(connection)
            bump_everything(connection)
            if any(".flags_tally_" in name for name in were_missing):
                tallies.recount(connection)
