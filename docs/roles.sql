-- The database roles of Headgate, for a server where its login may not create roles. Run as a superuser, once, in the
-- database that DATABASE_URL names, and run `manage.py migrate` afterwards:
--
--     psql -v login=headgate -d headgate -f docs/roles.sql
--
-- `login` is the login of DATABASE_URL. It must exist; it needs neither SUPERUSER nor BYPASSRLS, and better has neither.
-- Safe to run again. `manage.py check --database default` says whether all is well.

\set ON_ERROR_STOP on
\if :{?login}
\else
  \warn 'Name the login of DATABASE_URL: psql -v login=headgate -d headgate -f docs/roles.sql'
  \quit
\endif

-- Company people work as the one, super admins and Headgate itself as the other; nobody logs in as either.
select 'create role ' || role || ' nologin nosuperuser nobypassrls'
  from unnest(array['headgate_tenant', 'headgate_console']) as role
 where not exists (select from pg_roles where rolname = role) \gexec

-- From 16 on, rights that are not asked for (SET ROLE) are not had.
select 'grant headgate_tenant, headgate_console to ' || quote_ident(:'login')
       || case when current_setting('server_version_num')::int >= 160000 then ' with inherit false, set true' else '' end
\gexec

-- Since 15 nobody may create tables in a database that is not theirs. The functions that answer in SQL belong to
-- headgate_console, and migrate lets it make them for a moment: hence the grant option.
select 'grant usage, create on schema public to ' || quote_ident(:'login') || ' with grant option' \gexec
