"""What must be so for people and companies to be told apart, checked before anything is served."""

import sys
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import connections

from tenants import roles
from tenants.models import Company

MIDDLEWARE = "tenants.middleware.TenantMiddleware"
MUST_STAND_BEFORE = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
)
# The first releases with every fix to row-level security up to May 2026 (CVE-2024-10976, CVE-2025-8713 and before).
OLDEST_SOUND = {15: 18, 16: 14, 17: 10, 18: 4}


def middleware_is_in_place(**_kwargs: Any) -> list[CheckMessage]:
    """tenants.E001: TenantMiddleware is there, after those that it asks."""
    order = list(settings.MIDDLEWARE)
    if MIDDLEWARE not in order:
        return [
            Error(
                f"{MIDDLEWARE} is missing from MIDDLEWARE, so no request is bound to a company.",
                hint="Add it after AuthenticationMiddleware.",
                id="tenants.E001",
            )
        ]
    late = [name for name in MUST_STAND_BEFORE if name not in order or order.index(name) > order.index(MIDDLEWARE)]
    if not late:
        return []
    return [
        Error(
            f"{MIDDLEWARE} stands before {late[0]}, so it cannot know who is asking.",
            hint=f"Move it behind {late[-1]}.",
            id="tenants.E001",
        )
    ]


def database_keeps_companies_apart(databases: Sequence[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """tenants.E002, E003, W001, W002: the roles exist, the login is an ordinary one, the server has its fixes."""
    messages: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if connection.vendor == "postgresql":
            messages += _login(connection) + _version(roles.server_version(connection))
            if Company._meta.db_table in connection.introspection.table_names():
                messages += _roles(connection)  # Before that, migrate makes them where it may.
    return messages


def _roles(connection: Any) -> list[CheckMessage]:
    missing = sorted(set(roles.ROLES) - roles.existing(connection))
    closed = sorted(set(roles.ROLES) - roles.usable(connection) - set(missing))
    if not missing and not closed:
        return []
    what = f"lacks the role {missing[0]}" if missing else f"does not let this login become {closed[0]}"
    return [
        Error(
            f"The server of database {connection.alias!r} {what}, so no request can be bound to a company.",
            hint=roles.HOW_TO_CREATE,
            id="tenants.E002",
        )
    ]


def _powers(connection: Any) -> tuple[str, bool, bool]:
    """Return the login, and whether it is a superuser or may bypass row-level security."""
    with connection.cursor() as cursor:
        cursor.execute("select session_user, rolsuper, rolbypassrls from pg_roles where rolname = session_user")
        return cursor.fetchone()


def _login(connection: Any) -> list[CheckMessage]:
    login, is_super, bypasses = _powers(connection)
    if is_super or bypasses:
        power = "a superuser" if is_super else "allowed to bypass row-level security"
        # On your own machine it may be; and a superuser may well migrate.
        is_tolerable = settings.DEBUG or sys.argv[1:2] == ["migrate"]
        return [
            (Warning if is_tolerable else Error)(
                f"The login {login!r} is {power}. Requests are bound to lesser roles, but nothing else is.",
                hint="Serve with an ordinary one: `create role headgate login`, then docs/roles.sql for it.",
                id="tenants.W001" if is_tolerable else "tenants.E003",
            )
        ]
    return []


def _version(version: int) -> list[CheckMessage]:
    major, minor = divmod(version, 10000)
    oldest = OLDEST_SOUND.get(major)
    if oldest is None and major > max(OLDEST_SOUND):
        return []
    if oldest is not None and minor >= oldest:
        return []
    sound = ", ".join(f"{major}.{minor}" for major, minor in sorted(OLDEST_SOUND.items()))
    return [
        Warning(
            f"PostgreSQL {major}.{minor} has known holes in row-level security (CVE-2024-10976, CVE-2025-8713, …).",
            hint=f"Upgrade to one of {sound}, or newer.",
            id="tenants.W002",
        )
    ]
