"""Django's PostgreSQL, with an end to every wait that a request may not afford (tenants.patience).

And with statements that the server has prepared, for the one question that every request asks.
"""

import os
import sys
from typing import Any

import psycopg
from django.db.backends.postgresql import base, operations
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


class PreparedCursor(psycopg.Cursor):
    """Has the server parse and plan a statement once for each connection, and send its rows in binary.

    Through a PgBouncer in transaction mode the next statement may meet a server that knows of none: from then on this
    connection has none prepared.
    """

    def execute(self, query: Any, params: Any = None, **_kwargs: Any) -> Any:
        """Run a statement."""
        try:
            return super().execute(query, params, prepare=True, binary=True)
        except (errors.InvalidSqlStatementName, errors.DuplicatePreparedStatement):
            if self.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                raise
            self.connection.prepare_threshold = None
            return super().execute(query, params, prepare=False, binary=True)


class DatabaseOperations(operations.DatabaseOperations):
    """Django's, which knows no text of a statement that the server had prepared."""

    def last_executed_query(self, cursor: Any, sql: Any, params: Any) -> Any:
        """Return a statement as logs and tests show it."""
        return super().last_executed_query(cursor, sql, params) or str(sql)


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
    ops_class = DatabaseOperations

    def __init__(self, settings_dict: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(settings_dict, *args, **kwargs)
        pool = settings_dict.get("OPTIONS", {}).get("pool")
        if isinstance(pool, dict):
            pool.setdefault("connection_class", PatientConnection)

    def get_connection_params(self) -> dict[str, Any]:
        """Return what to connect with. Statements that ask for it may be prepared, except behind a PgBouncer."""
        params = super().get_connection_params()
        if params["prepare_threshold"] is None and not self.settings_dict["DISABLE_SERVER_SIDE_CURSORS"]:
            params["prepare_threshold"] = sys.maxsize  # No statement is met so often: only what asks is prepared.
        return params

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

    def prepared_cursor(self) -> Any:
        """Return a cursor for a small SELECT that is asked all the time. Wrappers and logs see it like any other.

        Only outside transactions, where nothing is lost with a statement that the server turns out not to know.
        """
        self.ensure_connection()
        with self.wrap_database_errors:
            cursor = PreparedCursor(self.connection)
        return self._prepare_cursor(cursor)  # type: ignore[attr-defined]


_of_parents: list[Any] = []  # Kept, so that nobody tidies them up: their sockets are still in use, by the parent.


def _after_fork() -> None:
    """Leave the parent's pools to the parent. A pool's threads are not in a child, which makes one of its own."""
    pools = DatabaseWrapper._connection_pools  # type: ignore[attr-defined]
    _of_parents.extend(pools.values())
    pools.clear()


os.register_at_fork(after_in_child=_after_fork)
