"""The twelve rules once more, in SQL, for PostgreSQL's own clients: reports, other services, a person with psql.

`flags_decide_all` is one statement that answers every flag for one asker; the others are ways to call it. It agrees
with flags.evaluation on every combination of facts, reason included; a parity test holds the two together.
"""

from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper

from flags.evaluation import bucket

DECIDE_ALL = """
create or replace function flags_bucket(key text, company uuid) returns integer
 language sql immutable strict parallel safe set search_path = pg_catalog, pg_temp as
$$ select ((('x' || substr(md5(key || ':' || company::text), 1, 8))::bit(32)::bigint) % 100)::integer $$;

create or replace function flags_decide_all(company uuid, person uuid, super_admin boolean, moment timestamptz)
 returns table (key text, enabled boolean, reason text)
 -- Compiling the plan to machine code takes a hundred times as long as running it.
 language sql stable security definer set search_path = pg_catalog, public, pg_temp set jit = off as $$
with recursive
asker as (
  select c.id, c.channel_id, p.rank
  from tenants_company c join tenants_plan p on p.slug = c.plan_id
  where c.id = company and c.is_active
),
facts as (
  select f.key, f.default_enabled, f.needs_grant, f.archived_at is not null as archived,
    f.killed_at is not null or (f.is_killswitch and not f.default_enabled) as killed,
    case when f.archived_at is null then o.enabled end as override,
    f.archived_at is null and minimum.rank is not null and a.rank < minimum.rank as below_plan,
    case when f.archived_at is null and f.is_self_service then i.enabled end as choice,
    case when f.archived_at is null then d.enabled end as on_channel,
    d.percentage,
    a.id as company_id
  from flags_flag f
  left join asker a on true
  left join tenants_plan minimum on minimum.slug = f.minimum_plan_id
  left join flags_override o on o.company_id = a.id and o.flag_id = f.key and not o.paused
    and (o.expires_at is null or moment < o.expires_at)
  left join flags_optin i on i.company_id = a.id and i.flag_id = f.key
  left join flags_channeldefault d on d.flag_id = f.key and d.channel_id = a.channel_id
),
own as (
  -- Rules 6 to 10: what the flag says by itself.
  select facts.*,
    case
      when override is not null then override
      when below_plan then false
      when choice is not null then choice
      when on_channel is null then default_enabled
      when not on_channel then false
      when percentage >= 100 then true
      else flags_bucket(facts.key, company_id) < percentage
    end as answer,
    case
      when override is not null then 'override'
      when below_plan then 'plan'
      when choice is not null then 'opt_in'
      when on_channel is null then case when archived then 'archived' else 'default' end
      when not on_channel or percentage >= 100 then 'channel'
      else 'rollout'
    end as why
  from facts
),
needs (key, required) as (
  select flag_id, requires_id from flags_requirement
  union
  -- An archived flag requires nothing: it gives its last default.
  select needs.key, r.requires_id from needs join flags_requirement r on r.flag_id = needs.required
  join flags_flag f on f.key = r.flag_id and f.archived_at is null
),
blocked as (
  select distinct needs.key from needs left join own on own.key = needs.required
  where own.key is null or own.killed or not own.answer
),
company_answer as (
  -- Rules 2 to 5, before what the flag says by itself.
  select own.key, own.needs_grant, own.archived,
    case
      when own.killed then false
      when super_admin then true
      when own.company_id is null then false
      when blocked.key is not null and not own.archived then false
      else own.answer
    end as answer,
    case
      when own.killed then 'killed'
      when super_admin then 'super_admin'
      when own.company_id is null then 'no_company'
      when blocked.key is not null and not own.archived then 'prerequisite'
      else own.why
    end as why
  from own left join blocked on blocked.key = own.key
),
granted as (
  select g.flag_id, g.enabled
  from flags_grant g
  join asker a on a.id = g.company_id
  join tenants_membership m on m.company_id = g.company_id and m.user_id = g.user_id
  where g.user_id = person and (g.expires_at is null or moment < g.expires_at)
),
asked as (
  -- Rules 11 and 12, which only ever take away.
  select c.*, g.enabled as granted,
    c.answer and not c.archived and c.why not in ('killed', 'super_admin', 'no_company') as counts
  from company_answer c left join granted g on g.flag_id = c.key
)
select asked.key::text,
  case
    when counts and granted is false then false
    when counts and needs_grant and granted is null then false
    else answer
  end,
  case
    when counts and granted is false then 'grant_denied'
    when counts and needs_grant and granted is null then 'grant_missing'
    else why
  end
from asked
$$;
"""

CALLERS = """
create or replace function flags_decide(flag_key text, company uuid, person uuid default null,
  super_admin boolean default false, moment timestamptz default clock_timestamp())
 returns table (enabled boolean, reason text)
 language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select coalesce(d.enabled, false), coalesce(d.reason, 'unknown_flag')
  from (select 1) as always
  left join flags_decide_all(company, person, super_admin, moment) d on d.key = flag_key
$$;

create or replace function flags_bound_company() returns uuid
 language sql stable parallel safe set search_path = pg_catalog, pg_temp as
$$ select nullif(current_setting('app.company_id', true), '')::uuid $$;

create or replace function flags_bound_person() returns uuid
 language sql stable parallel safe set search_path = pg_catalog, pg_temp as
$$ select nullif(current_setting('app.user_id', true), '')::uuid $$;

create or replace function flags_reading_company() returns uuid
 language sql stable parallel safe set search_path = pg_catalog, pg_temp as
$$ select case when current_setting('app.member_role', true) in ('admin', 'coordinator', 'server')
   then nullif(current_setting('app.company_id', true), '')::uuid end $$;

-- What a caller is bound to is read here, not taken as an argument: nobody can ask for another company.
create or replace function flags_decide_bound(is_console boolean)
 returns table (key text, enabled boolean, reason text)
 language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select d.key, d.enabled, d.reason
  from flags_decide_all(flags_bound_company(), flags_bound_person(),
    is_console and flags_bound_company() is null and flags_bound_person() is not null, clock_timestamp()) d
  join flags_flag f on f.key = d.key
$$;

create or replace function is_feature_enabled(flag_key text) returns boolean
 language sql stable set search_path = pg_catalog, public, pg_temp as $$
  select coalesce((select d.enabled from flags_decide_bound(current_user = 'headgate_console') d
    where d.key = flag_key), false)
$$;

-- Joined with flags_flag under the caller's own rights: what a caller may not see is not in the list.
create or replace function list_feature_flags()
 returns table (feature_key text, display_name text, category text, enabled boolean, reason text)
 language sql stable set search_path = pg_catalog, public, pg_temp as $$
  select f.key::text, f.name::text, f.category::text, d.enabled, d.reason
  from flags_flag f join flags_decide_bound(current_user = 'headgate_console') d on d.key = f.key
  where f.archived_at is null
  order by f.category, f.name, f.key
$$;
"""

DEFINERS = (
    "flags_decide_all(uuid, uuid, boolean, timestamptz)",
    "flags_decide(text, uuid, uuid, boolean, timestamptz)",
    "flags_decide_bound(boolean)",
)
FOR_TENANTS = (
    "flags_decide_bound(boolean)",
    "flags_bound_company()",
    "flags_bound_person()",
    "flags_reading_company()",
    "flags_bucket(text, uuid)",
    "is_feature_enabled(text)",
    "list_feature_flags()",
)
FOR_THE_CONSOLE = (*FOR_TENANTS, *DEFINERS)


def teach_sqlite(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Receive `connection_created`: let SQLite order companies by their place in a rollout, as PostgreSQL can."""
    if connection.vendor == "sqlite":
        connection.connection.create_function(
            "flags_bucket", 2, lambda key, company: bucket(key, str(UUID(company))), deterministic=True
        )
