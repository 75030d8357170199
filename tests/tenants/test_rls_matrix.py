"""Everybody, by every verb, in every table of the catalogue: zero foreign rows, and no right that is not needed."""

import json
from contextlib import contextmanager
from itertools import product

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from flags.models import Flag, Override
from flags.policies import TABLES
from flags.releasemodels import DailyUsage, Gate, GateSignOff, IsolationAudit, Mail, Promotion, Release, Usage
from tenants import rls
from tenants.models import Company
from tests.factories import (
    ApiTokenFactory,
    ChangeFactory,
    ChannelDefaultFactory,
    FlagFactory,
    GrantFactory,
    OptInFactory,
    OverrideFactory,
    RequirementFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]

REFUSED = "42501"
CALLERS = ("nobody", "other company", "member", "coordinator", "admin", "super admin", "system")
VERBS = ("select", "for update", "insert", "update", "delete")
# What company people may read of their own company, by role. Of everything else: nothing.
ALL_READ = {"tenants_company", "tenants_nametrigram", "tenants_membership", "tenants_companysettings", "flags_version"}
READERS_READ = ALL_READ | {"flags_override", "flags_optin", "flags_grant", "flags_change", "flags_usage"}
CONSOLE_ONLY_READS = {"flags_version"}
CONSOLE_ONLY_ADDS = {"flags_change"}


def company_columns() -> dict[str, str]:
    """The tables that have a company, with the column that names it, from the catalogue."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select c.relname, a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid "
            "where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace and not a.attisdropped and "
            "(a.attname = 'company_id' or exists (select from pg_constraint k where k.conrelid = c.oid "
            " and k.contype = 'f' and k.confrelid = 'tenants_company'::regclass and a.attnum = any (k.conkey)))"
        )
        return {**dict(cursor.fetchall()), "tenants_company": "id", "flags_version": "scope"}


def fill(company: Company, person) -> None:
    """Give a company a row in every table that has a company."""
    now = timezone.now()
    flag = FlagFactory()
    OverrideFactory(company=company, flag=flag)
    OptInFactory(company=company, flag=flag)
    GrantFactory(company=company, flag=flag, user=person)
    ChangeFactory(company_id=company.pk, company_slug=company.slug)
    ApiTokenFactory(company=company)
    Usage.objects.create(company=company, flag=flag, day=now.date(), last_at=now)
    Mail.objects.create(company=company, to=person.email, subject="Hello", body="Hello")


@pytest.fixture
def filled(acme, globex, bob, carol):
    fill(acme, bob)
    fill(globex, carol)
    return acme, globex


@contextmanager
def acting_as(caller: str, acme: Company, globex: Company, user):
    bindings = {
        "nobody": rls.acting_as_nobody,
        "other company": lambda: rls.acting_as_company(globex.pk, None, "admin"),
        "super admin": lambda: rls.acting_as_super_admin(user.pk),
        "system": lambda: rls.acting_as_system("a test"),
    }
    with bindings.get(caller, lambda: rls.acting_as_company(acme.pk, user.pk, caller))():
        yield


def attempt(sql: str, params: list) -> int | str:
    """The number of rows a statement touched, or how it was refused. Nothing of it stays."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql, params)
            count = len(cursor.fetchall()) if cursor.description else cursor.rowcount
            transaction.set_rollback(True)
            return count
    except DatabaseError as error:
        return error.__cause__.sqlstate


def statement(verb: str, table: str, column: str) -> str:
    return {
        "select": f"select 1 from {table} where {column} = %s",
        "for update": f"select 1 from {table} where {column} = %s for update",
        "insert": f"insert into {table} ({column}) values (%s)",
        "update": f"update {table} set {column} = {column} where {column} = %s",
        "delete": f"delete from {table} where {column} = %s",
    }[verb]


def expected_of_company_people(verb: str, table: str, role: str, is_own: bool) -> set[int | str]:
    """Refused by right, or no row; reading their own they see what their role may."""
    if verb != "select":
        return {REFUSED}
    readable = ALL_READ if role == "member" else READERS_READ
    if table not in READERS_READ:
        return {REFUSED}
    return {"rows"} if is_own and table in readable else {0}


def expected_of_console(verb: str, table: str) -> set[int | str]:
    if verb != "select" and table in CONSOLE_ONLY_READS:
        return {REFUSED}
    if verb in ("for update", "update", "delete") and table in CONSOLE_ONLY_ADDS:
        return {REFUSED}
    return {"not refused"} if verb == "insert" else {"rows"}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("caller", CALLERS)
def test_nobody_touches_a_row_that_is_not_theirs(filled, alice, bob, caller, verb):
    acme, globex = filled
    columns = company_columns()
    assert len(columns) >= 11
    surprises = {}
    for table, column in columns.items():
        for company in filled:
            with acting_as(caller, acme, globex, alice if caller == "super admin" else bob):
                got = attempt(statement(verb, table, column), [company.pk])
            is_own = company == (globex if caller == "other company" else acme)
            if caller == "nobody":
                # The login signs people in and reads versions, unbound; triggers write those as it.
                expected = {0} if verb != "insert" else {REFUSED}
                if table == "flags_version":
                    expected = {"rows", "not refused"}
            elif caller in ("super admin", "system"):
                expected = expected_of_console(verb, table)
            else:
                role = "admin" if caller == "other company" else caller
                expected = expected_of_company_people(verb, table, role, is_own)
            if isinstance(got, int) and got > 0:
                said = {got, "rows", "not refused"}
            elif got not in (REFUSED, 0):
                said = {"not refused"}
            else:
                said = {got}
            if not said & expected:
                surprises[table, company.slug] = (got, expected)
    assert surprises == {}


@pytest.mark.parametrize("caller", ["nobody", "member", "coordinator", "admin"])
def test_tables_that_all_companies_rest_on_show_nobody_what_is_internal_and_take_no_write(filled, bob, caller):
    acme, globex = filled
    internal = FlagFactory(is_internal=True)
    ChannelDefaultFactory(flag=internal)
    RequirementFactory(flag=internal, requires=FlagFactory())
    now = timezone.now()
    release = Release.objects.create(flag=internal, channel_id="pilot", entered_at=now, started_at=now)
    gate = Gate.objects.create(release=release, channel_id="general", check_kind="sign_off", title="Gate", rank=1)
    GateSignOff.objects.create(gate=gate, by_name="Alice", at=now)
    Promotion.objects.create(release=release, kind="start", at=now, by_name="Alice")
    IsolationAudit.objects.create(at=now, mode="both", by_name="Alice", passed=True, complete=True)
    DailyUsage.objects.create(flag=internal, day=now.date(), last_at=now)
    shared = [table for table, protection in TABLES.items() if protection.kind == "shared"]
    where = {
        "flags_flag": "key",
        "flags_channeldefault": "flag_id",
        "flags_requirement": "flag_id",
        "flags_release": "flag_id",
        "flags_dailyusage": "flag_id",
    }
    for table in shared:
        condition, params = (f"{where[table]} = %s", [internal.key]) if table in where else ("true", [])
        count = f"select 1 from {table} where {condition}"
        assert attempt(count, params) > 0, table
        with acting_as(caller, acme, globex, bob):
            assert attempt(count, params) in (0, REFUSED), table
            for verb in ("update {t} set {c} = {c}", "delete from {t}"):
                sql = verb.format(t=table, c=where.get(table, "id"))
                assert attempt(sql, []) in ((0,) if caller == "nobody" else (REFUSED,)), (table, verb)


@pytest.mark.parametrize("role", ["member", "coordinator", "admin"])
def test_internal_flags_are_nowhere_in_sql_for_company_people(filled, bob, role):
    acme, _ = filled
    internal = FlagFactory(is_internal=True, default_enabled=True)
    OverrideFactory(company=acme, flag=internal, enabled=True)
    GrantFactory(company=acme, user=bob, flag=internal)
    ChangeFactory(company_id=acme.pk, company_slug=acme.slug, flag=internal.key)
    with rls.acting_as_company(acme.pk, bob.pk, role):
        for sql in (
            "select 1 from flags_flag where key = %s",
            "select 1 from flags_override where flag_id = %s",
            "select 1 from flags_grant where flag_id = %s",
            "select 1 from flags_change where flag = %s",
            "select 1 from list_feature_flags() where feature_key = %s",
        ):
            assert attempt(sql, [internal.key]) == 0, sql
        # It decides who sees a flag, never what it evaluates to.
        assert attempt("select 1 where is_feature_enabled(%s)", [internal.key]) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "select 1 from flags_override o join flags_grant g using (company_id)",
        "select 1 where exists (select from flags_override)",
        "with o as materialized (select company_id from flags_override) select 1 from o",
        "select count(*) from flags_override group by company_id",
        "select company_id from flags_override union all select company_id from flags_optin",
        "select 1 from flags_override tablesample system (100)",
    ],
)
def test_no_shape_of_a_query_gets_at_foreign_rows(filled, carol, sql):
    _, globex = filled
    Override.objects.filter(company=globex).delete()
    with rls.acting_as_company(globex.pk, carol.pk, "admin"):
        own = attempt(sql, [])
    assert own == (1 if "union" in sql else 0)  # Its one choice; nothing of Acme.
    with rls.acting_as_system("a test"):
        assert attempt(sql, []) > 0


def test_a_view_or_a_function_with_its_owners_rights_shows_no_more(filled, carol):
    _, globex = filled
    with rls.acting_as_nobody(), connection.cursor() as cursor:
        cursor.execute("create view all_overrides as select company_id from flags_override")
        cursor.execute(
            "create function count_overrides() returns bigint language sql security definer "
            "set search_path = pg_catalog, public, pg_temp as 'select count(*) from flags_override'"
        )
        cursor.execute("grant select on all_overrides to headgate_tenant")
    with rls.acting_as_company(globex.pk, carol.pk, "admin"), connection.cursor() as cursor:
        cursor.execute("select count(*), count_overrides() from all_overrides")
        assert cursor.fetchone() == (1, 0)  # A view asks as whoever reads it, a definer as nobody.


def test_unique_keys_and_foreign_keys_of_a_company_are_no_oracle(filled, carol):
    """They look past row-level security; so whoever could ask may write nothing, and each names the company."""
    acme, globex = filled
    theirs = Override.objects.get(company=acme)
    columns = company_columns()
    with rls.acting_as_company(globex.pk, carol.pk, "admin"):
        for table, key in (("flags_override", theirs.flag_id), ("flags_optin", theirs.flag_id), ("flags_grant", "x")):
            sql = f"insert into {table} (company_id, flag_id) values (%s, %s) on conflict do nothing"
            assert attempt(sql, [acme.pk, key]) == attempt(sql, [globex.pk, "no_such_flag"]) == REFUSED
    with connection.cursor() as cursor:
        for table in sorted(columns.keys() - {"tenants_company", "flags_version", "tenants_apitoken", "flags_change"}):
            for name, constraint in connection.introspection.get_constraints(cursor, table).items():
                if constraint["unique"] and not constraint["primary_key"]:
                    assert "company_id" in constraint["columns"] or constraint["columns"] == ["user_id"], (table, name)


@pytest.fixture
def many_overrides(acme):
    """Fifty thousand: 500 companies, each with a hundred."""
    flags = Flag.objects.bulk_create(Flag(key=f"flag_{n}", name=f"Flag {n}") for n in range(100))
    companies = Company.objects.bulk_create(Company(slug=f"company-{n}", name=f"Company {n}") for n in range(499))
    Override.objects.bulk_create(
        (Override(company=c, flag=f, enabled=True) for c in [acme, *companies] for f in flags), batch_size=5000
    )
    with rls.acting_as_nobody(), connection.cursor() as cursor:
        cursor.execute("analyze flags_override")
        cursor.execute("analyze flags_flag")


def scans(plan: dict) -> list[dict]:
    """Every node of a plan, subplans included."""
    return [plan, *(node for inner in plan.get("Plans", []) for node in scans(inner))]


def test_reading_ones_own_stays_an_index_scan_among_fifty_thousand(many_overrides, acme, bob):
    reading = (
        "select * from flags_override",
        "select * from flags_override where flag_id = 'flag_7'",
        "select count(*) from flags_override where enabled",
        "select f.key from flags_flag f join flags_override o on o.flag_id = f.key",
    )
    for role, sql in product(("member", "admin"), reading):
        with rls.acting_as_company(acme.pk, bob.pk, role), connection.cursor() as cursor:
            cursor.execute(f"explain (analyze, timing off, format json) {sql}")
            (plan,) = cursor.fetchone()[0]
        plan = plan if isinstance(plan, dict) else json.loads(plan)
        on_overrides = [node for node in scans(plan["Plan"]) if node.get("Relation Name") == "flags_override"]
        assert on_overrides, (role, sql)
        for node in on_overrides:
            assert node["Node Type"] in ("Index Scan", "Index Only Scan", "Bitmap Heap Scan"), (role, sql, node)
            assert node.get("Rows Removed by Filter", 0) <= 100, (role, sql, node)
