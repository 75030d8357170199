"""Which state of the rules is the present one. The one small query that a warm request pays.

`exact` (the default) reads both version rows from the database each time it is asked. A mode that is told of
changes instead takes this module's place behind the same function.
"""

from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections

from flags.triggers import CHANGED_SETTING, GLOBAL_SCOPE

NIL = UUID(GLOBAL_SCOPE)
QUERY = (
    "select coalesce((select n from flags_version where scope = %s), 0), "
    "coalesce((select n from flags_version where scope = %s), 0)"
)
# The triggers leave a note for the rest of the transaction, so that a change by `update` or raw SQL is known too.
POSTGRES_QUERY = f"{QUERY}, current_setting('{CHANGED_SETTING}', true)"


def as_stored(scope: UUID, vendor: str) -> UUID | str:
    """Return a UUID as the database keeps it: SQLite has no such type and keeps 32 hex digits."""
    return scope if vendor == "postgresql" else scope.hex


def current(company_id: UUID | None, using: str = DEFAULT_DB_ALIAS) -> tuple[int, int] | None:
    """Return the present versions of the rules and of one company's differences: (global, company).

    A scope that nobody has changed yet is at version 0. None means that this very transaction has changed rules, or
    may have: what it sees has no version yet. Raises django.db.Error when the database is away.
    """
    connection = connections[using]
    is_postgres = connection.vendor == "postgresql"
    if connection.in_atomic_block and not is_postgres:
        return None  # A transaction on SQLite is there to write, and cannot tell us what it wrote.
    nil = as_stored(NIL, connection.vendor)
    company = nil if company_id is None else as_stored(company_id, connection.vendor)
    with connection.cursor() as cursor:
        cursor.execute(POSTGRES_QUERY if is_postgres else QUERY, (nil, company))
        rules, own, *note = cursor.fetchone()
    return None if any(note) else (rules, 0 if company_id is None else own)
