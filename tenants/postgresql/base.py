"""Django's PostgreSQL, with an end to every wait that a request may not afford (tenants.patience)."""

from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg import errors

from tenants import patience

REFUSED_SECONDS = 1.0
SILENT_SECONDS = 0.5


class PatientConnection(psycopg.Connection):
    """A connection that is given up, with OperationalError, when an answer takes longer than may be waited here."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for one answer of the server."""
        limit = patience.limit()
        if limit is None or timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, limit)
        except errors._WaitTimeout:
            # The answer may come yet, and must not be taken for that to another question.
            self.pgconn.finish()
            patience.breaker.opened(SILENT_SECONDS)
            raise psycopg.OperationalError(f"the database has not answered for {limit} s") from None


class _Driver:
    """psycopg, save for the class of its connections."""

    connect = PatientConnection.connect

    def __getattr__(self, name: str) -> Any:
        return getattr(psycopg, name)


class DatabaseWrapper(base.DatabaseWrapper):
    """Waits no longer than tenants.patience allows, and lets one request at a time find out whether the server is back.

    Where no limit was set it is Django's own in everything.
    """

    Database = _Driver()  # type: ignore[assignment]

    def __init__(self, settings_dict: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(settings_dict, *args, **kwargs)
        pool = settings_dict.get("OPTIONS", {}).get("pool")
        if isinstance(pool, dict):
            pool.setdefault("connection_class", PatientConnection)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Connect, unless somebody has just tried in vain."""
        if patience.limit() is None:
            return super().get_new_connection(conn_params)
        if not patience.breaker.admits():
            raise psycopg.OperationalError("the database could not be reached a moment ago")
        try:
            connection = super().get_new_connection(conn_params)
        except psycopg.Error:
            patience.breaker.opened(REFUSED_SECONDS)
            raise
        patience.breaker.closed()
        return connection
