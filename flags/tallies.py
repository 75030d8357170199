"""Counts that pages show, kept by triggers: a flag's overrides, a channel's active companies.

Counting a million rows for each page would cost more than the page. Every statement adds what it changed, inside the
writer's own transaction, so that `QuerySet.update`, `bulk_create`, cascades and psql count too, and what is rolled back
does not.

On PostgreSQL nobody waits for a count: a change is a row of its own, and the sum of a count's rows is the count.
Whoever adds one folds those in that nobody else has in hand at this moment (SKIP LOCKED), which keeps them few. A
single row for each count would make writers of one flag queue, and two of several flags deadlock. SQLite has one
writer at a time, and one row for each count.
"""

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tenants import rls, roles

TABLE = "flags_tally"
OVERRIDES_ON, OVERRIDES_OFF, COMPANIES = "overrides_on", "overrides_off", "companies"

_WHICH = f"case when {{row}}enabled then '{OVERRIDES_ON}' else '{OVERRIDES_OFF}' end"
# What rows of a table count as: what and name, for the rows that count at all.
COUNTED = {
    "flags_override": f"select {_WHICH.format(row='')} as what, flag_id as name from {{rows}}",
    "tenants_company": f"select '{COMPANIES}' as what, channel_id as name from {{rows}} where is_active",
}

# A transaction that sees an old state must not fold in what others have since: the server would end it.
_FOLD = f"""
  with changed as (
    select what, name, sum(d)::bigint as n from (%s) as each_one group by 1, 2 having sum(d) <> 0
  ), held as (
    select t.id from {TABLE} t join changed c on c.what = t.what and c.name = t.name
    where current_setting('transaction_isolation') = 'read committed' for update of t skip locked
  ), gone as (
    delete from {TABLE} where id in (select id from held) returning what, name, n
  )
  insert into {TABLE} (what, name, n)
  select what, name, sum(n)
  from (select what, name, n from changed union all select what, name, n from gone) as all_of_it
  group by 1, 2 having sum(n) <> 0;
"""


def _function(table: str) -> str:
    return f"flags_tally_{table.partition('_')[2]}"


def _postgres_function(table: str) -> str:
    plus = f"select what, name, 1 as d from ({COUNTED[table].format(rows='after_rows')}) as added"
    minus = f"select what, name, -1 as d from ({COUNTED[table].format(rows='before_rows')}) as taken"
    kinds = "', '".join((OVERRIDES_ON, OVERRIDES_OFF) if table == "flags_override" else (COMPANIES,))
    return f"""
create or replace function {_function(table)}() returns trigger language plpgsql security definer
 set search_path = pg_catalog, public, pg_temp as $$
begin
  if tg_op = 'INSERT' then {_FOLD % plus}
  elsif tg_op = 'DELETE' then {_FOLD % minus}
  elsif tg_op = 'TRUNCATE' then delete from {TABLE} where what in ('{kinds}');
  else {_FOLD % f"{plus} union all {minus}"}
  end if;
  return null;
end $$;
revoke all on function {_function(table)}() from public;
"""


POSTGRES_FUNCTIONS = "".join(map(_postgres_function, COUNTED))
POSTGRES_FUNCTION_NAMES = tuple(f"{_function(table)}()" for table in COUNTED)


def postgres_triggers() -> list[tuple[str, str, str]]:
    """Name, table and definition of every trigger on PostgreSQL."""
    rows = {
        "insert": "referencing new table as after_rows",
        "update": "referencing old table as before_rows new table as after_rows",
        "delete": "referencing old table as before_rows",
        "truncate": "",
    }
    return [
        (
            f"flags_tally_{event}",
            table,
            f"after {event} on {table} {tables} for each statement execute function {_function(table)}()",
        )
        for table in COUNTED
        for event, tables in rows.items()
    ]


def sqlite_triggers() -> list[tuple[str, str, str]]:
    """Name, table and definition of every trigger on SQLite."""
    found = []
    for table, which, name, counts, columns in (
        ("flags_override", _WHICH, "{row}flag_id", "1", "enabled, flag_id"),
        ("tenants_company", f"'{COMPANIES}'", "{row}channel_id", "{row}is_active", "is_active, channel_id"),
    ):
        plus, minus = (
            _sqlite_add(which.format(row=row), name.format(row=row), counts.format(row=row), by)
            for row, by in (("new.", 1), ("old.", -1))
        )
        for event, work in (("insert", plus), (f"update of {columns}", f"{minus} {plus}"), ("delete", minus)):
            trigger = f"flags_tally_{event.partition(' ')[0]}_{table}"
            found.append((trigger, table, f"after {event} on {table} begin {work} end"))
    return found


def _sqlite_add(what: str, name: str, counts: str, by: int) -> str:
    same = f"what = {what} and name = {name}"
    return (
        f"insert into {TABLE} (what, name, n) select {what}, {name}, 0 "
        f"where {counts} and not exists (select 1 from {TABLE} where {same}); "
        f"update {TABLE} set n = n + {by} where {counts} and {same};"
    )


def recount(connection: BaseDatabaseWrapper) -> None:
    """Count everything anew, for changes that no trigger has seen. Writers wait for it; readers do not."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"lock table {', '.join(COUNTED)} in share mode")
        parts = [
            f"select what, name, count(*) from ({sql.format(rows=table)}) as c group by 1, 2"
            for table, sql in COUNTED.items()
        ]
        counting = " union all ".join(parts)
        if roles.ready(connection):
            # The tables' owner is under their policies, too.
            with rls.bound(rls.SYSTEM, connection.alias):
                cursor.execute(counting)
        else:
            cursor.execute(counting)
        found = cursor.fetchall()
        cursor.execute(f"delete from {TABLE}")
        cursor.executemany(f"insert into {TABLE} (what, name, n) values (%s, %s, %s)", found)
