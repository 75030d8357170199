"""What searches for companies read on PostgreSQL (`tenants.names`), kept by a trigger: whoever changes a company.

The trigger works as whoever writes, who may write both tables or none. What is there before the trigger is filled in
after migrating, some companies at a time, so that nobody waits long; it can be interrupted and goes on next time.
"""

from typing import Any
from uuid import UUID

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tenants import rls, roles
from tenants.names import APART, LETTERS

TABLE = "tenants_nametrigram"
TRIGGER = "tenants_keep_trigrams"
PIECE = 250

# Every three letters of name and slug, without those on either side of what parts words.
_TRIGRAMS = f"""
  insert into {TABLE} (company_id, trigram, name, text)
  select {{row}}.id, each_one.trigram, {{row}}.name, spelled.text
  from {{source}}
  cross join lateral (select lower({{row}}.name || chr(10) || {{row}}.slug) as text) as spelled
  cross join lateral (
    select distinct substr(spelled.text, place, {LETTERS}) as trigram
    from generate_series(1, length(spelled.text) - {LETTERS - 1}) as place
  ) as each_one
  where translate(each_one.trigram, '{APART}', '') = each_one.trigram
"""  # noqa: S608

FUNCTION = f"""
create or replace function {TRIGGER}() returns trigger language plpgsql security invoker
 set search_path = pg_catalog, public, pg_temp as $$
begin
  if tg_op <> 'INSERT' then delete from {TABLE} where company_id = old.id; end if;
  if tg_op <> 'DELETE' then
    -- TRUNCATE may have left some behind.
    delete from {TABLE} where company_id = new.id;
    {_TRIGRAMS.format(row="new", source="(select) as this")};
  end if;
  return null;
end $$;
revoke all on function {TRIGGER}() from public;
"""  # noqa: S608
_EACH = f"for each row execute function {TRIGGER}()"
TRIGGERS = {
    f"{TRIGGER}_added": f"after insert or delete on tenants_company {_EACH}",
    # What changes neither costs nothing, however many companies it changes.
    f"{TRIGGER}_renamed": "after update of id, name, slug on tenants_company for each row "
    "when ((old.id, old.name, old.slug) is distinct from (new.id, new.name, new.slug)) "
    f"execute function {TRIGGER}()",
}


def install(connection: BaseDatabaseWrapper) -> None:
    """Put the triggers in their place. Safe to run again; nothing but on PostgreSQL."""
    if _has_table(connection):
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute(FUNCTION)
            for name, definition in TRIGGERS.items():
                cursor.execute(f"create or replace trigger {name} {definition}")


def uninstall(connection: BaseDatabaseWrapper) -> None:
    """Take the triggers away, before the table goes that they write to. Safe to run again."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"drop function if exists {TRIGGER}() cascade")


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the name of each trigger that should be there and is not, as `table.trigger`."""
    if not _has_table(connection):
        return []
    with connection.cursor() as cursor:
        cursor.execute("select tgname from pg_trigger where tgrelid = 'tenants_company'::regclass and tgenabled <> 'D'")
        found = {name for (name,) in cursor.fetchall()}
    return sorted(f"tenants_company.{name}" for name in TRIGGERS.keys() - found)


def fill(connection: BaseDatabaseWrapper) -> int:
    """Keep what is not kept yet of the companies there are, and return of how many that was. Safe to interrupt."""
    filled, last = 0, UUID(int=0)
    while pks := _fill_some(connection, last):
        filled, last = filled + len(pks), pks[-1]
    return filled


def _fill_some(connection: BaseDatabaseWrapper, after: UUID) -> list[UUID]:
    """Fill in the next companies in one transaction. Who would rename one of them waits for its end."""
    unfilled = f"id > %s and not exists (select from {TABLE} t where t.company_id = c.id)"
    of_these = "(select id, name, slug from tenants_company where id = any(%s)) as c"
    binding = rls.SYSTEM if roles.ready(connection) else rls.NOBODY
    with rls.bound(binding, connection.alias), connection.cursor() as cursor:
        cursor.execute(
            f"select id from tenants_company c where {unfilled} order by id limit {PIECE} for share",  # noqa: S608
            [after],
        )
        pks = [pk for (pk,) in cursor.fetchall()]
        cursor.execute(f"{_TRIGRAMS.format(row='c', source=of_these)} on conflict do nothing", [pks])
    return pks


def _has_table(connection: BaseDatabaseWrapper) -> bool:
    return connection.vendor == "postgresql" and TABLE in connection.introspection.table_names()


def after_migrate(using: str, **_kwargs: Any) -> None:
    """Receive `post_migrate`: reinstall, and fill in what was there before."""
    connection = connections[using]
    if _has_table(connection):
        were_missing = missing(connection)
        install(connection)
        if were_missing:
            # Names may have changed unseen.
            with transaction.atomic(using=using), connection.cursor() as cursor:
                cursor.execute(f"truncate {TABLE}")
        fill(connection)
