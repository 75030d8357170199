"""The two database roles of row-level security, and what each may touch. PostgreSQL only.

`headgate_tenant` works for company people, `headgate_console` for super admins and for Headgate itself. Neither logs
in nor owns anything: the login becomes one of them for the length of a transaction (tenants.rls).

From PostgreSQL 16 on the login does not inherit their rights. Before, that was a property of the login as a whole, and
one without it cannot even use the schema of its own database; so a policy for `headgate_console` must ask for
`current_user = 'headgate_console'`, not only say TO.
"""

from django.apps import apps
from django.db import InternalError, ProgrammingError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import IntegrityError

from tenants.rls import CONSOLE_ROLE, TENANT_ROLE

ROLES = (TENANT_ROLE, CONSOLE_ROLE)
ATTEMPTS = 10
HOW_TO_CREATE = (
    "Have a superuser run `psql -v login=<your login> -d <your database> -f docs/roles.sql`, then run migrate again."
)

APP_LABELS = ("tenants", "flags")
# Sessions are written while somebody signs in or out, which is Headgate's own work.
CONSOLE_ALSO = ("django_session",)
CONSOLE_MAY = {
    "flags_change": "select, insert",
    "flags_version": "select",
    "flags_retiredkey": "select",
    "flags_tally": "select",
}
EVERYTHING = "select, insert, update, delete"
# They read. What they may change, a company's own choices and settings, Headgate changes for them once it has checked.
TENANT_MAY = {
    "tenants_company": "select",
    "tenants_nametrigram": "select",
    "tenants_releasechannel": "select",
    "tenants_plan": "select",
    "tenants_membership": "select",
    "tenants_companysettings": "select",
    "flags_flag": "select",
    "flags_requirement": "select",
    "flags_channeldefault": "select",
    "flags_override": "select",
    "flags_optin": "select",
    "flags_grant": "select",
    "flags_version": "select",
    "flags_change": "select",
    "flags_usage": "select",
    "flags_release": "select",
}
# Whom they work with, but never a password, not even its digest.
TENANT_MAY_NOT_READ = {"tenants_user": {"password"}}


def server_version(connection: BaseDatabaseWrapper) -> int:
    """Return the version of a PostgreSQL server as a number: 150018 for 15.18."""
    return connection.pg_version  # type: ignore[attr-defined]


def existing(connection: BaseDatabaseWrapper) -> set[str]:
    """Return which of the two roles the server has."""
    with connection.cursor() as cursor:
        cursor.execute("select rolname from pg_roles where rolname = any(%s)", [list(ROLES)])
        return {name for (name,) in cursor.fetchall()}


def usable(connection: BaseDatabaseWrapper) -> set[str]:
    """Return which of the two roles the login may become with SET ROLE."""
    privilege = "set" if server_version(connection) >= 160000 else "member"
    with connection.cursor() as cursor:
        cursor.execute(
            "select rolname from pg_roles where rolname = any(%s) and pg_has_role(session_user, oid, %s)",
            [list(ROLES), privilege],
        )
        return {name for (name,) in cursor.fetchall()}


def ready(connection: BaseDatabaseWrapper) -> bool:
    """Say whether work can be bound to somebody: always but on a PostgreSQL that lacks the roles."""
    return connection.vendor != "postgresql" or usable(connection) == set(ROLES)


def create(connection: BaseDatabaseWrapper) -> bool:
    """Create the roles where they are missing and let the login become them. Returns whether it now may.

    Roles belong to the whole server, so other databases may be doing the same at this moment: that is no error.
    A login without the right to do it changes nothing.
    """
    for role in ROLES:
        if role not in existing(connection):
            _attempt(
                connection, f"create role {role} nologin nosuperuser nocreatedb nocreaterole nobypassrls noinherit"
            )
        if role in existing(connection) - usable(connection):
            options = " with inherit false, set true" if server_version(connection) >= 160000 else ""
            _attempt(connection, f"grant {role} to session_user{options}")
    return ready(connection)


def _attempt(connection: BaseDatabaseWrapper, statement: str) -> None:
    """Run a statement about roles. Somebody else having done it, or not being allowed to, is fine."""
    for attempt in range(ATTEMPTS):
        try:
            with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
                cursor.execute(statement)
        except IntegrityError:
            return  # Somebody else made the role between our look and our statement.
        except ProgrammingError as error:
            if getattr(error.__cause__, "sqlstate", "") not in ("42710", "42501"):  # There already; not allowed.
                raise
            return
        except InternalError as error:
            # Two sessions changed one catalogue row at once. The loser may try again.
            if "concurrently updated" not in str(error) or attempt == ATTEMPTS - 1:
                raise
        else:
            return


def _tables(connection: BaseDatabaseWrapper) -> set[str]:
    """Return the tables of the models of both apps, without asking either for them by name."""
    models = [
        model
        for label in APP_LABELS
        if apps.is_installed(label)
        for model in apps.get_app_config(label).get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    ]
    return {model._meta.db_table for model in models}


def grant(connection: BaseDatabaseWrapper) -> bool:
    """Give each role exactly what it may do, on the tables that exist so far. Safe to run again.

    Returns False, having done nothing, where the roles are missing or the login may not become them.
    """
    if connection.vendor != "postgresql" or not ready(connection):
        return False
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        there = set(connection.introspection.table_names(cursor))
        _grant_schema(cursor)
        for table in sorted(_tables(connection).union(CONSOLE_ALSO) & there):
            cursor.execute(f'revoke all on "{table}" from {TENANT_ROLE}, {CONSOLE_ROLE}')
            cursor.execute(f'grant {CONSOLE_MAY.get(table, EVERYTHING)} on "{table}" to {CONSOLE_ROLE}')
            if table in TENANT_MAY:
                cursor.execute(f'grant {TENANT_MAY[table]} on "{table}" to {TENANT_ROLE}')
            if table in TENANT_MAY_NOT_READ:
                described = connection.introspection.get_table_description(cursor, table)
                columns = [f'"{column.name}"' for column in described if column.name not in TENANT_MAY_NOT_READ[table]]
                cursor.execute(f'grant select ({", ".join(columns)}) on "{table}" to {TENANT_ROLE}')
    return True


def _grant_schema(cursor) -> None:
    """Let the roles look into the schema. In `public` everybody may, unless an operator has taken that away."""
    for role in ROLES:
        cursor.execute(
            "select quote_ident(current_schema()), has_schema_privilege(%s, current_schema(), 'usage')", [role]
        )
        schema, may_look = cursor.fetchone()
        if not may_look:
            cursor.execute(f"grant usage on schema {schema} to {role}")


def after_migrate(using: str, verbosity: int = 1, stdout=None, **_kwargs) -> None:
    """Receive `post_migrate`: new tables need their grants."""
    connection = connections[using]
    if connection.vendor == "postgresql" and not grant(connection) and verbosity and stdout is not None:
        stdout.write(f"  This login may not work as {' or '.join(ROLES)}. {HOW_TO_CREATE}\n")
