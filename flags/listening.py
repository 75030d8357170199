"""How a watcher learns from the database which versions have changed: by asking, and by being woken to ask.

Versions are times and are not committed in their order, so "everything after the last one" would miss some. The watcher
says what it knows instead, and the database answers with what differs.
"""

import json
import threading
from collections.abc import Mapping
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from flags.tracked import NOTIFY_CHANNEL
from flags.versions import as_stored
from tenants.rls import fetch_as_system

SECONDS_BETWEEN_GLANCES = 0.05  # A glance at SQLite's change counter takes microseconds.

DIFFERING = (
    "select k.scope, coalesce(v.n, 0) from unnest(%s::uuid[], %s::bigint[]) as k(scope, n) "
    "left join flags_version v on v.scope = k.scope where coalesce(v.n, 0) <> k.n"
)
AMONG = "select scope, n from flags_version where scope in (select value from json_each(%s))"


class Postgres:
    """One connection that both asks and listens. What it says it knows travels as text that is made once."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        # A pool is for those who give back; this connection is kept for as long as the thread.
        options = {name: value for name, value in connection.settings_dict["OPTIONS"].items() if name != "pool"}
        connection.settings_dict = {**connection.settings_dict, "OPTIONS": options}
        self._known: Mapping[UUID, int] = {}
        self._params: tuple[str, str] = ("{}", "{}")
        # Behind a pooler in transaction mode the server that listens is soon somebody else's. Asking is enough.
        if not connection.settings_dict["DISABLE_SERVER_SIDE_CURSORS"]:
            with connection.cursor() as cursor:
                cursor.execute(f"listen {NOTIFY_CHANNEL}")

    def differing(self, known: Mapping[UUID, int]) -> dict[UUID, int]:
        """Return the present version of each of these scopes whose version is another; 0 where there is none."""
        if known is not self._known:
            self._params = (f"{{{','.join(map(str, known))}}}", f"{{{','.join(map(str, known.values()))}}}")
            self._known = known
        return dict(fetch_as_system(DIFFERING, self._params))

    def wait(self, seconds: float, woken: threading.Event) -> None:
        """Wait so long, or until somebody commits a change. Raises django.db.Error when the connection ends."""
        with self._connection.wrap_database_errors:
            for _notification in self._connection.connection.notifies(timeout=seconds, stop_after=1):
                pass


class SQLite:
    """Looks at the file's change counter often, and at the rows when it has moved."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._known: Mapping[UUID, int] = {}
        self._counted = -1

    def _count(self) -> int:
        with self._connection.cursor() as cursor:
            return cursor.execute("pragma data_version").fetchone()[0]

    def differing(self, known: Mapping[UUID, int]) -> dict[UUID, int]:
        """Return the present version of each of these scopes whose version is another; 0 where there is none."""
        counted = self._count()
        if known is self._known and counted == self._counted:
            return {}
        stored = {as_stored(scope, "sqlite"): scope for scope in known}
        found = dict(fetch_as_system(AMONG, (json.dumps(list(stored)),)))
        self._known, self._counted = known, counted
        return {scope: n for name, scope in stored.items() if (n := found.get(name, 0)) != known[scope]}

    def wait(self, seconds: float, woken: threading.Event) -> None:
        """Wait so long, or less: to be woken by others there is no way, so look again soon."""
        woken.wait(min(seconds, SECONDS_BETWEEN_GLANCES))


def open_ears() -> Postgres | SQLite:
    """Connect this thread to the database, and listen. Raises django.db.Error while it is away."""
    connection = connections[DEFAULT_DB_ALIAS]
    return Postgres(connection) if connection.vendor == "postgresql" else SQLite(connection)
