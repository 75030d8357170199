"""Refuses to serve what would be unsafe: what `manage.py check --deploy --database default` calls an error.

What only a database can tell waits for it where it is away: `/readyz` says "unverified" until then.
"""

import logging

from django.core.checks import ERROR, CheckMessage, Tags, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.db import Error as DatabaseError

from tenants import patience

logger = logging.getLogger(__name__)

_is_verified = False


def refuse_what_is_unsafe() -> None:
    """Raise ImproperlyConfigured with everything that must not be served, each with its remedy."""
    faults = _faults(Tags.security) + _faults(Tags.caches)
    try:
        is_safe(faults)
    except DatabaseError as error:
        logger.error("database not verified at start error=%s", type(error).__name__)
    finally:
        let_go_of_connections()  # Whoever forks after this must not share them.
    if faults:
        listed = "\n".join(f"- {fault.msg} {fault.hint or ''} ({fault.id})" for fault in faults)
        raise ImproperlyConfigured(f"Headgate does not start like this:\n{listed}")


def let_go_of_connections() -> None:
    """Close every connection of this thread, and the pools they come from."""
    connections.close_all()
    for connection in connections.all(initialized_only=True):
        if connection.alias in getattr(connection, "_connection_pools", ()):
            connection.close_pool()  # type: ignore[attr-defined]


def is_safe(faults: list[CheckMessage] | None = None) -> bool:
    """Say whether the database keeps companies apart; asks once, and then knows. Adds what it finds to `faults`.

    Raises django.db.Error while the database is away.
    """
    global _is_verified
    if not _is_verified:
        with patience.at_most(2 * patience.QUICK_SECONDS):
            found = _faults(Tags.database)
        _is_verified = not found
        for fault in found:
            logger.error("unsafe database fault=%s", fault)
        if faults is not None:
            faults += found
    return _is_verified


def _faults(tag: str) -> list[CheckMessage]:
    messages = run_checks(tags=[tag], include_deployment_checks=True, databases=[DEFAULT_DB_ALIAS])
    return [message for message in messages if message.level >= ERROR and not message.is_silenced()]
