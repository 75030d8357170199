"""Database triggers that no code path can forget: version bumps, append-only history, keys never reused.

Versions are bumped inside the writer's own transaction, on PostgreSQL by statement triggers with transition
tables and on SQLite by row triggers, so that `QuerySet.update`, `bulk_create` and psql count like any other
change. A version is the time in microseconds, or one more than the last: it is never used twice, not even
after a rollback or the restore of a backup. Everything here can be run again at any time, and is, after every
migrate: SQLite drops the triggers of a table that a migration rebuilds.
"""

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from flags import tallies

GLOBAL_SCOPE = "00000000-0000-0000-0000-000000000000"
# API tokens, and what is known of the companies they are bound to.
TOKENS_SCOPE = "00000000-0000-0000-0000-000000000001"

# Set on PostgreSQL for the rest of a transaction that has changed what answers rest on.
CHANGED_SETTING = "app.flags_changed"
# Whoever listens on it is woken when such a transaction is committed: once, since equal notifications become one.
NOTIFY_CHANNEL = "flags_changed"

GLOBAL_TABLES = ("flags_flag", "flags_requirement", "flags_channeldefault", "tenants_releasechannel", "tenants_plan")
# Not when it was last used: that is written all the time, and changes nothing.
TOKEN_COLUMNS = "id, name, kind, public_id, digest, company_id, scopes, expires_at, revoked_at"  # noqa: S105
COMPANY_COLUMNS = "id, slug, name, channel_id, plan_id, is_active"
COMPANY_TABLES = ("flags_override", "flags_optin", "flags_grant", "tenants_membership")

POSTGRES_TRIGGER_FUNCTIONS = (
    "flags_bump_global()",
    "flags_bump_tokens()",
    "flags_bump_companies()",
    "flags_bump_updated_companies()",
    "flags_bump_moved_companies()",
    "flags_bump_listed_companies()",
    "flags_bump_everything()",
    "flags_bump_if_ranks_changed()",
    "flags_history_is_append_only()",
    "flags_retire_key()",
    "flags_refuse_retired_key()",
    "flags_end_grants()",
)
POSTGRES_FUNCTIONS = f"""
create or replace function flags_next_version(last bigint) returns bigint language sql volatile
 set search_path = pg_catalog, pg_temp as
$$ select greatest(last + 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint) $$;

create or replace function flags_tell_change() returns void language sql volatile
 set search_path = pg_catalog, pg_temp as
$$ select set_config('{CHANGED_SETTING}', 'yes', true), pg_notify('{NOTIFY_CHANNEL}', '') $$;

create or replace function flags_bump_global() returns trigger language plpgsql security definer
 set search_path = pg_catalog, public, pg_temp as $$
begin
  perform flags_tell_change();
  insert into flags_version as v (scope, n) values ('{GLOBAL_SCOPE}', flags_next_version(0))
  on conflict (scope) do update set n = flags_next_version(v.n);
  return null;
end $$;

create or replace function flags_bump_tokens() returns trigger language plpgsql security definer
 set search_path = pg_catalog, public, pg_temp as $$
begin
  insert into flags_version as v (scope, n) values ('{TOKENS_SCOPE}', flags_next_version(0))
  on conflict (scope) do update set n = flags_next_version(v.n);
  return null;
end $$;

create or replace function flags_bump_companies() returns trigger language plpgsql security definer
 set search_path = pg_catalog, public, pg_temp as $$
begin
  perform flags_tell_change();
  -- One order for everybody, so that two writers never wait for each other.
  insert into flags_version as v (scope, n)
  select touched.company_id, flags_next_version(0) from
    (select distinct company_id from changed_rows order by company_id) as touched
  on conflict (scope) do update set n = flags_next_version(v.n);
  return null;
end $$;

create or replace function flags_bump_updated_companies() returns trigger language plpgsql security definer
 set search_path = pg_catalog, public, pg_temp as $$
begin
  perform flags_tell_change();
  -- A row that moves from one company to another changes both.
  insert into flags_version as v (scope, n)
  select touched.company_id, flags_next_version(0) from
    (select company_id from before_rows union select company_id from after_rows order by company_id) as touched
  on conflict (scope) do update set n = flags_next_version(v.n);
  return null;
end $$;

create or replace function flags_bump_moved_companies() returns trigger language plpgsql security definer
 set search_path = pg_catalog, public, pg_temp as $$
begin
  perform flags_tell_change();
  insert into flags_version as v (scope, n)
  select moved.id, flags_next_version(0) from
    (select coalesce(a.id, b.id) as id from before_rows b full join after_rows a on a.id = b.id
     where a.id is null or b.id is null
        or (a.channel_id, a.plan_id, a.is_active) is distinct from (b.channel_id, b.plan_id, b.is_active)
     order by 1) as moved
  on conflict (scope) do update set n = flags_next_version(v.n);
  return null;
end $$;

create or replace function flags_bump_listed_companies() returns trigger language plpgsql security definer
 set search_path = pg_catalog, public, pg_temp as $$
begin
  perform flags_tell_change();
  insert into flags_version as v (scope, n)
  select listed.id, flags_next_version(0) from (select id from changed_rows order by id) as listed
  on conflict (scope) do update set n = flags_next_version(v.n);
  return null;
end $$;

create or replace function flags_bump_everything() returns trigger language plpgsql security definer
 set search_path = pg_catalog, public, pg_temp as $$
begin
  perform flags_tell_change();
  insert into flags_version (scope, n) values ('{GLOBAL_SCOPE}', 0) on conflict do nothing;
  update flags_version set n = flags_next_version(n);
  return null;
end $$;

create or replace function flags_bump_if_ranks_changed() returns trigger language plpgsql security definer
 set search_path = pg_catalog, public, pg_temp as $$
begin
  -- What a company knows of its plan is the rank.
  if exists (select from before_rows b join after_rows a on a.slug = b.slug where a.rank <> b.rank) then
    perform flags_tell_change();
    update flags_version set n = flags_next_version(n);
  end if;
  return null;
end $$;

create or replace function flags_history_is_append_only() returns trigger language plpgsql
 set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'History is append-only: % of flags_change is refused.', lower(tg_op)
    using errcode = 'insufficient_privilege';
end $$;

create or replace function flags_retire_key() returns trigger language plpgsql security definer
 set search_path = pg_catalog, public, pg_temp as $$
begin
  insert into flags_retiredkey (key, retired_at) values (old.key, clock_timestamp()) on conflict do nothing;
  return old;
end $$;

create or replace function flags_refuse_retired_key() returns trigger language plpgsql security definer
 set search_path = pg_catalog, public, pg_temp as $$
begin
  if tg_op = 'UPDATE' and new.key <> old.key then
    raise exception 'The key of a flag is permanent: % cannot become %.', old.key, new.key
      using errcode = 'check_violation';
  end if;
  if tg_op = 'INSERT' and exists (select from flags_retiredkey r where r.key = new.key) then
    raise exception 'The key % belonged to a flag that was deleted; it can never be used again.', new.key
      using errcode = 'check_violation';
  end if;
  return new;
end $$;

-- Not a definer: the tables' owner sees no grants, and whoever may delete a membership may delete them.
create or replace function flags_end_grants() returns trigger language plpgsql security invoker
 set search_path = pg_catalog, public, pg_temp as $$
begin
  delete from flags_grant where company_id = old.company_id and user_id = old.user_id;
  return old;
end $$;

revoke all on function {", ".join(POSTGRES_TRIGGER_FUNCTIONS)} from public;
"""


def _postgres_triggers() -> list[tuple[str, str, str]]:
    """Name, table and definition of every trigger on PostgreSQL."""
    inserted = "after insert on {t} referencing new table as changed_rows for each statement execute function "
    updated = (
        "after update on {t} referencing old table as before_rows new table as after_rows for each statement "
        "execute function "
    )
    deleted = "after delete on {t} referencing old table as changed_rows for each statement execute function "
    triggers = [
        (
            "flags_bump",
            table,
            "after insert or update or delete or truncate on {t} for each statement execute function "
            "flags_bump_global()",
        )
        for table in GLOBAL_TABLES
    ]
    triggers.append(("flags_bump_rank", "tenants_plan", f"{updated}flags_bump_if_ranks_changed()"))
    for table in COMPANY_TABLES:
        triggers += [
            ("flags_bump_insert", table, f"{inserted}flags_bump_companies()"),
            ("flags_bump_update", table, f"{updated}flags_bump_updated_companies()"),
            ("flags_bump_delete", table, f"{deleted}flags_bump_companies()"),
            (
                "flags_bump_truncate",
                table,
                "after truncate on {t} for each statement execute function flags_bump_everything()",
            ),
        ]
    company = "tenants_company"
    for table, events in (
        ("tenants_apitoken", f"insert or delete or truncate or update of {TOKEN_COLUMNS}"),
        (company, f"update of {COMPANY_COLUMNS}"),
    ):
        bump = f"after {events} on {{t}} for each statement execute function flags_bump_tokens()"
        triggers.append(("flags_bump_tokens", table, bump))
    return [
        *triggers,
        # A company that was asked for before it existed is remembered as nobody: making it must be seen, too.
        ("flags_bump_insert", company, f"{inserted}flags_bump_listed_companies()"),
        ("flags_bump_update", company, f"{updated}flags_bump_moved_companies()"),
        ("flags_bump_delete", company, f"{deleted}flags_bump_listed_companies()"),
        (
            "flags_append_only",
            "flags_change",
            "before update or delete on {t} for each row execute function flags_history_is_append_only()",
        ),
        (
            "flags_append_only_truncate",
            "flags_change",
            "before truncate on {t} for each statement execute function flags_history_is_append_only()",
        ),
        ("flags_retire_key", "flags_flag", "before delete on {t} for each row execute function flags_retire_key()"),
        (
            "flags_key_is_permanent",
            "flags_flag",
            "before insert or update of key on {t} for each row execute function flags_refuse_retired_key()",
        ),
        (
            "flags_end_grants",
            "tenants_membership",
            "before delete on {t} for each row execute function flags_end_grants()",
        ),
    ]


# The clock ticks in milliseconds here; what is left to microseconds is chance, so that a number that was rolled back
# is not given out again in the same tick.
SQLITE_NOW = "cast((julianday('now') - 2440587.5) * 86400000 as integer) * 1000 + abs(random() % 1000)"
SQLITE_NEXT = f"max(n + 1, {SQLITE_NOW})"


def _sqlite_bump(scope: str) -> str:
    return (
        f"insert into flags_version (scope, n) values ({scope}, {SQLITE_NOW}) "
        f"on conflict (scope) do update set n = {SQLITE_NEXT};"
    )


def _sqlite_triggers() -> list[tuple[str, str, str]]:
    """Name, table and definition of every trigger on SQLite. UUIDs are 32 hex digits there."""
    every_rule = _sqlite_bump(f"'{GLOBAL_SCOPE.replace('-', '')}'")
    bumps: list[tuple[str, str, str, str]] = []  # Table, event, condition, what to do.
    for table in GLOBAL_TABLES:
        bumps += [(table, event, "", every_rule) for event in ("insert", "update", "delete")]
    for table in COMPANY_TABLES:
        old, new = _sqlite_bump("old.company_id"), _sqlite_bump("new.company_id")
        bumps += [(table, "insert", "", new), (table, "update", "", f"{old} {new}"), (table, "delete", "", old)]
    company = "tenants_company"
    moved = " or ".join(f"old.{column} is not new.{column}" for column in ("id", "channel_id", "plan_id", "is_active"))
    old, new = _sqlite_bump("old.id"), _sqlite_bump("new.id")
    bumps += [
        (company, "insert", "", new),
        (company, "update", f"when {moved}", f"{old} {new}"),
        (company, "delete", "", old),
    ]
    token = _sqlite_bump(f"'{TOKENS_SCOPE.replace('-', '')}'")
    bumps += [("tenants_apitoken", event, "", token) for event in ("insert", "delete")]
    triggers = [
        (f"flags_bump_{event}_{table}", table, f"after {event} on {table} {condition} begin {bump} end")
        for table, event, condition, bump in bumps
    ]
    for table, columns in (("tenants_apitoken", TOKEN_COLUMNS), (company, COMPANY_COLUMNS)):
        changed = f"after update of {columns} on {table} begin {token} end"
        triggers.append((f"flags_bump_tokens_{table}", table, changed))
    # What a company knows of its plan is the rank.
    every_company = f"update flags_version set n = {SQLITE_NEXT};"
    triggers.append(
        (
            "flags_bump_rank",
            "tenants_plan",
            f"after update on tenants_plan when old.rank is not new.rank begin {every_company} end",
        )
    )
    refused = "select raise(abort, 'History is append-only: {} of flags_change is refused.');"
    # `insert or replace` deletes without a delete trigger.
    again = "insert on flags_change when exists (select 1 from flags_change c where c.id = new.id)"
    for event, when in (("update", "update on flags_change"), ("delete", "delete on flags_change"), ("replace", again)):
        triggers.append(
            (
                f"flags_append_only_{event}",
                "flags_change",
                f"before {when} begin {refused.format(event)} end",
            )
        )
    triggers += [
        (
            "flags_retire_key",
            "flags_flag",
            "before delete on flags_flag begin insert or ignore into flags_retiredkey (key, retired_at) "
            "values (old.key, strftime('%Y-%m-%d %H:%M:%f', 'now')); end",
        ),
        (
            "flags_key_is_free",
            "flags_flag",
            "before insert on flags_flag when exists (select 1 from flags_retiredkey r where r.key = new.key) begin "
            "select raise(abort, 'This key belonged to a flag that was deleted; it can never be used again.'); end",
        ),
        (
            "flags_key_is_permanent",
            "flags_flag",
            "before update of key on flags_flag when new.key <> old.key begin "
            "select raise(abort, 'The key of a flag is permanent.'); end",
        ),
        (
            "flags_end_grants",
            "tenants_membership",
            "before delete on tenants_membership begin "
            "delete from flags_grant where company_id = old.company_id and user_id = old.user_id; end",
        ),
    ]
    return triggers


def _has_tallies(connection: BaseDatabaseWrapper) -> bool:
    """Say whether the table of counts is there: not yet while migrating forward, not any more on the way back."""
    return tallies.TABLE in connection.introspection.table_names()


def install(connection: BaseDatabaseWrapper) -> None:
    """Put every trigger in its place. Safe to run again."""
    counts = _has_tallies(connection)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(POSTGRES_FUNCTIONS)
            for name, table, definition in _postgres_triggers():
                cursor.execute(f"create or replace trigger {name} {definition.format(t=table)}")
            if counts:
                cursor.execute(tallies.POSTGRES_FUNCTIONS)
                for name, _table, definition in tallies.postgres_triggers():
                    cursor.execute(f"create or replace trigger {name} {definition}")
        else:
            for name, _table, definition in _sqlite_triggers() + (tallies.sqlite_triggers() if counts else []):
                cursor.execute(f"drop trigger if exists {name}")
                cursor.execute(f"create trigger {name} {definition}")


def uninstall(connection: BaseDatabaseWrapper) -> None:
    """Take every trigger away, before the tables go that they write to. Safe to run again."""
    uninstall_tallies(connection)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for function in POSTGRES_TRIGGER_FUNCTIONS:
                cursor.execute(f"drop function if exists {function} cascade")
        else:
            for name, _table, _definition in _sqlite_triggers():
                cursor.execute(f"drop trigger if exists {name}")


def uninstall_tallies(connection: BaseDatabaseWrapper) -> None:
    """Take the triggers away that count, before the table of counts goes. Safe to run again."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for function in tallies.POSTGRES_FUNCTION_NAMES:
                cursor.execute(f"drop function if exists {function} cascade")
        else:
            for name, _table, _definition in tallies.sqlite_triggers():
                cursor.execute(f"drop trigger if exists {name}")


def bump_everything(connection: BaseDatabaseWrapper) -> None:
    """Give every scope a new version, for changes that no trigger has seen."""
    next_version = "flags_next_version(n)" if connection.vendor == "postgresql" else SQLITE_NEXT
    with connection.cursor() as cursor:
        cursor.execute(f"update flags_version set n = {next_version}")


def remove_history_guard(connection: BaseDatabaseWrapper) -> None:
    """Let history be erased, which only `flush` does. `install` puts the guard back."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for name in ("flags_append_only", "flags_append_only_truncate"):
                cursor.execute(f"drop trigger if exists {name} on flags_change")
        else:
            for event in ("update", "delete", "replace"):
                cursor.execute(f"drop trigger if exists flags_append_only_{event}")
            cursor.execute("drop trigger if exists flags_retire_key")


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the name of each trigger that should be there and is not, as `table.trigger`."""
    counts = _has_tallies(connection)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            counting = tallies.postgres_triggers() if counts else []
            wanted = {(table, name) for name, table, _ in _postgres_triggers() + counting}
            cursor.execute(
                "select c.relname, t.tgname from pg_trigger t join pg_class c on c.oid = t.tgrelid "
                "where not t.tgisinternal and t.tgenabled <> 'D'"
            )
        else:
            counting = tallies.sqlite_triggers() if counts else []
            wanted = {(table, name) for name, table, _ in _sqlite_triggers() + counting}
            cursor.execute("select tbl_name, name from sqlite_master where type = 'trigger'")
        found = set(cursor.fetchall())
    return sorted(f"{table}.{name}" for table, name in wanted - found)


def after_migrate(using: str, **_kwargs) -> None:
    """Receive `post_migrate`: reinstall, since a rebuilt SQLite table has lost its triggers."""
    connection = connections[using]
    if "flags_version" in connection.introspection.table_names():
        were_missing = missing(connection)
        with transaction.atomic(using=using):
            install(connection)
            if were_missing:
                bump_everything(connection)
            if any(".flags_tally_" in name for name in were_missing):
                tallies.recount(connection)
