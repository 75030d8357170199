"""Who the database thinks is asking: the only module that knows its roles and settings.

Within a transaction, PostgreSQL is told the role (`headgate_tenant` for company people, `headgate_console` for
super admins and for Headgate itself) and the company and person that ask. Everything is transaction-local: it ends
with the transaction, whatever happens in it. SQLite has neither roles nor policies; there the binding is kept
only in this process, and querysets are scoped by company.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, transaction

TENANT_ROLE = "headgate_tenant"
CONSOLE_ROLE = "headgate_console"

# Policies make estimates high; what is short to answer would then be compiled first, for up to a second (jit).
BIND = (
    "select set_config('role', %s, true), set_config('app.company_id', %s, true), "
    "set_config('app.user_id', %s, true), set_config('app.member_role', %s, true), set_config('jit', 'off', true)"
)


@dataclass(frozen=True, slots=True)
class Binding:
    """On whose behalf the database works. `role` is a database role, or "none" for the login itself."""

    role: str = "none"
    company_id: UUID | None = None
    user_id: UUID | None = None
    member_role: str = ""
    why: str = ""

    def as_params(self) -> tuple[str, str, str, str]:
        """Return the four settings that BIND takes."""
        return (self.role, str(self.company_id or ""), str(self.user_id or ""), self.member_role)


NOBODY = Binding()
SYSTEM = Binding(CONSOLE_ROLE)
_current: ContextVar[Binding] = ContextVar("binding", default=NOBODY)


def current() -> Binding:
    """Return the binding in force here."""
    return _current.get()


def _apply(using: str, also: str = "", params: tuple[Any, ...] = ()) -> None:
    connection = connections[using]
    if connection.vendor == "postgresql" and connection.in_atomic_block and not connection.needs_rollback:
        with connection.cursor() as cursor:
            cursor.execute(BIND + also, (*_current.get().as_params(), *params))


@contextmanager
def bound(
    binding: Binding, using: str = DEFAULT_DB_ALIAS, *, also: str = "", params: tuple[Any, ...] = ()
) -> Iterator[None]:
    """Work on behalf of `binding`, and of whoever it was before afterwards.

    On PostgreSQL this opens a transaction (a savepoint inside one), because a local setting lives no longer, and asks
    for `also` with its `params` in the same round trip: further columns of a SELECT, each after a comma.
    On SQLite it opens none: a transaction as long as a request would make readers queue behind one writer.
    """
    token = _current.set(binding)
    try:
        if connections[using].vendor == "postgresql":
            with transaction.atomic(using=using):
                _apply(using, also, params)
                yield
        else:
            yield
    finally:
        _current.reset(token)
        _apply(using)


def become(binding: Binding, using: str = DEFAULT_DB_ALIAS) -> None:
    """Go on as somebody else until the enclosing `bound` ends, which puts back who it was before it.

    For finding out who asks and then working for them in one transaction.
    """
    _current.set(binding)
    _apply(using)


def abandon(using: str = DEFAULT_DB_ALIAS) -> None:
    """Let the enclosing `bound` undo its writes instead of keeping them.

    Only PostgreSQL: on SQLite `bound` opens no transaction, and a refused write has undone itself.
    """
    if connections[using].vendor == "postgresql":
        transaction.set_rollback(True, using=using)


def acting_as_nobody(using: str = DEFAULT_DB_ALIAS) -> AbstractContextManager[None]:
    """Work without any binding: rows of companies are out of reach. Costs nothing where nothing was bound.

    A context manager.
    """
    return nullcontext() if _current.get() == NOBODY else bound(NOBODY, using)


def acting_as_company(company_id: UUID | None, user_id: UUID | None, member_role: str):
    """Bind to one company as one of its people sees it. A context manager."""
    return bound(Binding(TENANT_ROLE, company_id, user_id, member_role))


def acting_as_super_admin(user_id: UUID | None):
    """Bind as a super admin: every company's rows. A context manager."""
    return bound(Binding(CONSOLE_ROLE, user_id=user_id))


def acting_as_system(why: str, *, also: str = "", params: tuple[Any, ...] = ()):
    """Bind as Headgate itself, for commands, jobs and look-ups before anybody is known. A context manager.

    `why` is said in words, so that every place that steps outside one company can be found and judged. `also` and
    `params` are those of `bound`.
    """
    return bound(Binding(CONSOLE_ROLE, why=why), also=also, params=params)


def seeing_every_company(why: str) -> AbstractContextManager[None]:
    """Read as Headgate itself, unless whoever is bound sees every company's rows anyway. A context manager.

    `why` is said in words. Inside a request of the console it costs nothing.
    """
    return nullcontext() if _current.get().role == CONSOLE_ROLE else bound(Binding(CONSOLE_ROLE, why=why))


def fetch_as_system(sql: str, params: tuple = (), using: str = DEFAULT_DB_ALIAS) -> list[tuple[Any, ...]]:
    """Run one SELECT as Headgate itself and return its rows, in one round trip, leaving the binding as it was.

    For reading rules, which every company's answers rest on and nobody but super admins may list.
    """
    connection = connections[using]
    asker = _current.get()
    token = _current.set(SYSTEM)
    try:
        with connection.cursor() as cursor:
            if connection.vendor != "postgresql":
                cursor.execute(sql, params)
                return cursor.fetchall()
            before = BIND.replace("select", "select /* as system */", 1)
            cursor.execute(f"{before}; {sql}; {BIND}", (*SYSTEM.as_params(), *params, *asker.as_params()))
            # Three statements in one round trip; the middle one's rows are wanted.
            cursor.nextset()
            return cursor.fetchall()
    finally:
        _current.reset(token)
