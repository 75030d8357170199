"""The triggers on PostgreSQL: for each statement, with transition tables, and the functions they run."""

from flags.tracked import (
    CHANGED_SETTING,
    COMPANY_COLUMNS,
    COMPANY_TABLES,
    GLOBAL_SCOPE,
    GLOBAL_TABLES,
    NOTIFY_CHANNEL,
    TOKEN_COLUMNS,
    TOKENS_SCOPE,
)

TRIGGER_FUNCTIONS = (
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
FUNCTIONS = f"""
-- Without a search path of its own, since the planner writes only such a function out where it is called: a hundred
-- thousand calls take as long as all else that bumping does. Its callers have one, and it names nothing of ours.
create or replace function flags_next_version(last bigint) returns bigint language sql volatile as
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

revoke all on function {", ".join(TRIGGER_FUNCTIONS)} from public;
"""


def triggers() -> list[tuple[str, str, str]]:
    """Name, table and definition of every trigger on PostgreSQL."""
    inserted = "after insert on {t} referencing new table as changed_rows for each statement execute function "
    updated = (
        "after update on {t} referencing old table as before_rows new table as after_rows for each statement "
        "execute function "
    )
    deleted = "after delete on {t} referencing old table as changed_rows for each statement execute function "
    every = [
        (
            "flags_bump",
            table,
            "after insert or update or delete or truncate on {t} for each statement execute function "
            "flags_bump_global()",
        )
        for table in GLOBAL_TABLES
    ]
    every.append(("flags_bump_rank", "tenants_plan", f"{updated}flags_bump_if_ranks_changed()"))
    for table in COMPANY_TABLES:
        every += [
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
        every.append(("flags_bump_tokens", table, bump))
    return [
        *every,
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
