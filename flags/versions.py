"""Which state of the rules is the present one. The one small query that a warm request pays.

`exact` (the default) reads both version rows from the database each time it is asked. `streamed` (flags.watching) is
told of changes instead, stands behind the same function, and leaves to the query what it cannot answer.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from flags.tracked import CHANGED_SETTING, GLOBAL_SCOPE, TOKENS_SCOPE
from tenants import patience

NIL = UUID(GLOBAL_SCOPE)
TOKENS = UUID(TOKENS_SCOPE)
QUERY = (
    "select coalesce((select n from flags_version where scope = %s), 0), "
    "coalesce((select n from flags_version where scope = %s), 0)"
)
# The triggers leave a note for the rest of the transaction, so that a change by `update` or raw SQL is known too.
POSTGRES_QUERY = f"{QUERY}, current_setting('{CHANGED_SETTING}', true)"

WITH_TOKENS = f"{QUERY}, coalesce((select n from flags_version where scope = %s), 0)"

_ahead: ContextVar[tuple[UUID | None, tuple[int, int]] | None] = ContextVar("ahead", default=None)


class Unsettled:
    """Stands among a transaction's on-commit callbacks while it has changed rules; gone where that is taken back."""


Source = Callable[[UUID | None, BaseDatabaseWrapper], tuple[int, int] | None]
_source: Source | None = None


def be_told_by(source: Source | None) -> None:
    """Let `source` answer first, from memory; None: ask the database each time."""
    global _source
    _source = source


def may_lag(company_id: UUID, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Whether what `current` says is from memory now, and so may be older than what this process has read since."""
    return _source is not None and _source(company_id, connections[using]) is not None


def as_stored(scope: UUID, vendor: str) -> UUID | str:
    """Return a UUID as the database keeps it: SQLite has no such type and keeps 32 hex digits."""
    return scope if vendor == "postgresql" else scope.hex


def current(company_id: UUID | None, using: str = DEFAULT_DB_ALIAS) -> tuple[int, int] | None:
    """Return the present versions of the rules and of one company's differences: (global, company).

    A scope that nobody has changed yet is at version 0. None means that this very transaction has changed rules, or
    may have: what it sees has no version yet. Raises django.db.Error when the database is away.
    """
    ahead = _ahead.get()
    if ahead is not None and ahead[0] == company_id and using == DEFAULT_DB_ALIAS:
        _ahead.set(None)  # Whoever asks a second time wants to know anew.
        return ahead[1]
    connection = connections[using]
    is_postgres = connection.vendor == "postgresql"
    if connection.in_atomic_block and not is_postgres:
        return None  # A transaction on SQLite is there to write, and cannot tell us what it wrote.
    if connection.run_on_commit and any(isinstance(entry[1], Unsettled) for entry in connection.run_on_commit):
        return None
    if _source is not None and using == DEFAULT_DB_ALIAS:
        told = _source(company_id, connection)
        if told is not None:
            return told
    nil = as_stored(NIL, connection.vendor)
    company = nil if company_id is None else as_stored(company_id, connection.vendor)
    with patience.at_most(patience.QUICK_SECONDS), _cursor(connection) as cursor:
        cursor.execute(POSTGRES_QUERY if is_postgres else QUERY, (nil, company))
        rules, own, *note = cursor.fetchone()
    return None if any(note) else (rules, 0 if company_id is None else own)


def _cursor(connection: BaseDatabaseWrapper) -> Any:
    """Return a cursor to ask for versions: prepared, where the database can and no transaction is at stake."""
    prepared = None if connection.in_atomic_block else getattr(connection, "prepared_cursor", None)
    return (prepared or connection.cursor)()


class Ahead:
    """The versions that a request read before it did anything else: those of all API tokens, the rules, one company.

    Within its block the first check that asks `current` for the company has them from here. `tokens` is None where
    they are not to be had. A context manager; a class, since generators cost three times as much.
    """

    __slots__ = ("_mark", "_seen", "tokens")

    def __init__(self, tokens: int | None, seen: tuple[UUID | None, tuple[int, int]] | None) -> None:
        self.tokens = tokens
        self._seen = seen

    def __enter__(self) -> "Ahead":
        self._mark = _ahead.set(self._seen)
        return self

    def __exit__(self, *exception: object) -> None:
        _ahead.reset(self._mark)


def with_tokens(company_id: UUID | None, exactly: bool) -> Ahead:
    """Read the version of all API tokens, and those that the first check will ask `current` for, in one statement.

    Inside a transaction, which may have changed tokens, there is none. Only for a request that does nothing before its
    first check. `exactly` asks the database whatever the freshness. Raises django.db.Error when the database is away.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.in_atomic_block:
        return Ahead(None, None)
    found = None if exactly else _told_with_tokens(company_id, connection)
    if found is None:
        found = _read_with_tokens(company_id, connection)
    rules, own, tokens = found
    return Ahead(tokens, (company_id, (rules, 0 if company_id is None else own)))


def _read_with_tokens(company_id: UUID | None, connection: BaseDatabaseWrapper) -> tuple[int, int, int]:
    scopes = (NIL, NIL if company_id is None else company_id, TOKENS)
    # The first statement of a request is as good a question as any to a connection that may be dead.
    connection.health_check_done = True  # type: ignore[attr-defined]
    try:
        with _cursor(connection) as cursor:
            cursor.execute(WITH_TOKENS, [as_stored(scope, connection.vendor) for scope in scopes])
            return cursor.fetchone()
    except (InterfaceError, OperationalError):
        connection.close()
        raise


def _told_with_tokens(company_id: UUID | None, connection: BaseDatabaseWrapper) -> tuple[int, int, int] | None:
    """Return the three versions from memory, where whoever tells us of changes has all of them."""
    if _source is None:
        return None
    seen, tokens = _source(company_id, connection), _source(TOKENS, connection)
    return None if seen is None or tokens is None or tokens[1] < 0 else (*seen, tokens[1])
