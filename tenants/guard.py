"""Turns "touched while nobody is bound" into an error while a request is served, on every database.

On PostgreSQL such a statement finds nothing, and on SQLite it finds every company's rows: the one hides a mistake and
the other is one. Statements outside requests (commands, migrations, a shell) are not looked at.
"""

import re
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from tenants import rls

# What to raise for a table that is touched unbound; None outside requests.
_refusal: ContextVar[Callable[[str], Exception] | None] = ContextVar("refusal", default=None)
_tables: set[str] = set()
_names = re.compile(r"(?!)")


class UnboundAccess(RuntimeError):
    """A table with companies' rows was touched while serving a request, and nobody was bound."""

    def __init__(self, table: str) -> None:
        self.table = table
        super().__init__(
            f"{table} was touched while serving a request, and nobody is bound, so whose rows are meant is unknown. "
            "Bind first: `with acting_as_company(…)`, `acting_as_super_admin(…)` or `acting_as_system('why')` of "
            "tenants.rls."
        )


class DatabaseWasAway(OperationalError):
    """The database did not say who asks when the request began. It may be back, but nothing is bound to them."""

    def __init__(self, table: str) -> None:
        super().__init__(f"The database was away when this request began, so {table} cannot be read for it. Try again.")


def watch(tables: Iterable[str]) -> None:
    """Add tables that nobody may touch unbound. Called while the application starts."""
    global _names
    _tables.update(tables)
    _names = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(_tables)))})\b", re.IGNORECASE)


class serving:
    """Look at every statement of this block, and of what it calls. Where a stream copies the context, there too.

    A context manager; a class, since every request enters it, and a generator costs three times as much.
    """

    __slots__ = ("_refusal", "_token")

    def __init__(self, refusal: Callable[[str], Exception] = UnboundAccess) -> None:
        self._refusal = refusal

    def __enter__(self) -> None:
        self._token = _refusal.set(self._refusal)

    def __exit__(self, *exception: object) -> None:
        _refusal.reset(self._token)


def refuse_unbound(execute: Any, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Run a statement, unless it names a watched table and nobody is bound. Raises what `serving` was told to."""
    refusal = _refusal.get()
    if refusal is not None and rls.current().role == rls.NOBODY.role and (found := _names.search(str(sql))):
        raise refusal(found[0])
    return execute(sql, params, many, context)


def stand_by(connection: BaseDatabaseWrapper, **_kwargs: Any) -> None:
    """Receive `connection_created`: look at all that this connection will run."""
    if refuse_unbound not in connection.execute_wrappers:
        # In front: whoever added a wrapper for a block takes the last one away again.
        connection.execute_wrappers.insert(0, refuse_unbound)
