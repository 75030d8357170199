"""How tests meet PostgreSQL: as an ordinary login, since a superuser passes every test of row-level security."""

from typing import Any

import psycopg
from django.db import connection, connections, transaction
from psycopg import sql

from tenants.rls import CONSOLE_ROLE, TENANT_ROLE

TEST_LOGIN = "headgate_tests"
# What Django fills from the models after each flush, always alike.
LEFT_ALONE = ("django_migrations", "django_content_type", "auth_permission")
ATTEMPTS = 10


def use_ordinary_login(settings: dict[str, Any]) -> None:
    """Change the settings of a database that names a superuser to a login without powers, making it if need be.

    Its password is the one that was configured. A login that is ordinary already is left alone.
    """
    with psycopg.connect(**_connection_parameters(settings), autocommit=True) as admin:
        powers = "select rolsuper or rolbypassrls from pg_roles where rolname = current_user"
        if not admin.execute(powers).fetchone()[0]:
            return
        attributes = "login nosuperuser nobypassrls createdb createrole"
        _if_missing(admin, TEST_LOGIN, f"create role {TEST_LOGIN} {attributes}")
        if settings.get("PASSWORD"):
            _patiently(
                admin, sql.SQL("alter role {} password {}").format(sql.Identifier(TEST_LOGIN), settings["PASSWORD"])
            )
        # Nobody will miss what tests committed, should the server fall over.
        _patiently(admin, f"alter role {TEST_LOGIN} set synchronous_commit = off")
        for role in (TENANT_ROLE, CONSOLE_ROLE):
            # Made here too, and not by the migration only: from 16 on a login may pass on just what it made itself.
            _if_missing(admin, role, f"create role {role} nologin nosuperuser nobypassrls")
            if not admin.execute("select pg_has_role(%s, %s, 'member')", (TEST_LOGIN, role)).fetchone()[0]:
                options = " with inherit false, set true" if admin.info.server_version >= 160000 else ""
                _patiently(admin, f"grant {role} to {TEST_LOGIN}{options}")
    settings["USER"] = TEST_LOGIN


def powers_of_login(alias: str = "default") -> dict[str, bool]:
    """Return what the login of a connection may do that would make tests prove nothing."""
    with connections[alias].cursor() as cursor:
        cursor.execute("select rolsuper, rolbypassrls from pg_roles where rolname = session_user")
        return dict(zip(("superuser", "bypassrls"), cursor.fetchone(), strict=True))


def _connection_parameters(settings: dict[str, Any]) -> dict[str, Any]:
    named = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    return {"dbname": "postgres"} | {ours: settings[theirs] for ours, theirs in named.items() if settings.get(theirs)}


def _if_missing(admin: psycopg.Connection, role: str, statement: str) -> None:
    if admin.execute("select from pg_roles where rolname = %s", [role]).fetchone() is None:
        _patiently(admin, statement)


def _patiently(admin: psycopg.Connection, statement: str | sql.Composed) -> None:
    """Run a statement about roles, which every test process on this server may be running at this moment."""
    for attempt in range(ATTEMPTS):
        try:
            admin.execute(statement)
        except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            return
        except psycopg.errors.InternalError_:  # "tuple concurrently updated"
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return


def delete_everything(statements: Any = ()) -> None:
    """Empty the tables row by row, as their owner, where Django would truncate them.

    Stands in for `execute_sql_flush` after a test with transactions of its own. A truncation gives every table and
    index new files, which takes a hundred times as long as deleting the few rows of a test. `statements` are Django's.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "select oid::regclass::text, relforcerowsecurity from pg_class "
            "where relkind = 'r' and relnamespace = 'public'::regnamespace and relname <> all(%s) order by oid",
            [list(LEFT_ALONE)],
        )
        tables = cursor.fetchall()
        cursor.execute(
            "".join(f"alter table {name} disable trigger user, no force row level security;" for name, _ in tables)
        )
        cursor.execute("".join(f"delete from {name};" for name, _ in tables) + "set constraints all immediate")
        forced = {True: "force", False: "no force"}
        cursor.execute(
            "".join(
                f"alter table {name} enable trigger user, {forced[force]} row level security;" for name, force in tables
            )
        )
