"""The roles on a real server, made and granted by a login that may and by one that may not."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.apps import apps
from django.db import connection, connections

from tenants import rls, roles, sync
from tenants.models import ReleaseChannel

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]


@pytest.fixture
def other_roles(monkeypatch, request):
    """Names that no server has, and that are gone afterwards."""
    names = tuple(f"headgate_{abs(hash(request.node.nodeid)) % 10**10}_{kind}" for kind in ("tenant", "console"))
    monkeypatch.setattr(roles, "ROLES", names)
    yield names
    with rls.acting_as_nobody(), connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"drop role if exists {name}")


def privileges(role: str, table: str) -> set[str]:
    with connection.cursor() as cursor:
        kinds = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
        cursor.execute(
            "select kind from unnest(%s::text[]) as kind where has_table_privilege(%s, %s, kind)",
            [list(kinds), role, table],
        )
        return {kind.lower() for (kind,) in cursor.fetchall()}


@pytest.mark.django_db(transaction=True)
def test_a_login_that_may_makes_the_roles_and_may_become_them(other_roles):
    with rls.acting_as_nobody():
        assert roles.existing(connection) == set()
        assert roles.create(connection) is True
        assert roles.usable(connection) == set(other_roles)
        with connection.cursor() as cursor:
            cursor.execute(
                "select bool_or(rolcanlogin or rolsuper or rolbypassrls or rolcreaterole or rolcreatedb) "
                "from pg_roles where rolname = any(%s)",
                [list(other_roles)],
            )
            assert cursor.fetchone() == (False,)
            for role in other_roles:
                cursor.execute(f"set local role {role}")
                cursor.execute("reset role")


@pytest.mark.django_db(transaction=True)
def test_making_them_again_changes_nothing(other_roles):
    with rls.acting_as_nobody():
        assert roles.create(connection)
        assert roles.create(connection)


@pytest.mark.django_db(transaction=True)
def test_many_databases_may_make_them_at_once(other_roles):
    def create(_):
        try:
            return roles.create(connections["default"])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(create, range(8)))


@pytest.mark.django_db(transaction=True)
def test_a_login_that_may_not_changes_nothing_and_does_not_fail(other_roles):
    with rls.acting_as_nobody(), connection.cursor() as cursor:
        cursor.execute("create role headgate_powerless nologin nosuperuser")
        cursor.execute("grant headgate_powerless to current_user")
        try:
            cursor.execute("set local role headgate_powerless")
            assert roles.create(connection) is False
            assert roles.existing(connection) == set()
        finally:
            cursor.execute("reset role")
            cursor.execute("drop role headgate_powerless")


def test_without_the_roles_migrating_says_what_to_run_and_goes_on(other_roles, capsys):
    class Output:
        written = ""

        def write(self, text):
            self.written += text

    output = Output()
    roles.after_migrate("default", verbosity=1, stdout=output)
    assert "docs/roles.sql" in output.written
    ReleaseChannel.objects.filter(slug="nothing").delete()
    sync.after_migrate("default")


def test_each_role_has_exactly_what_it_may_do():
    """The whole table, so that a grant that slips in is seen."""
    tenant = {
        "tenants_company": {"select"},
        "tenants_nametrigram": {"select"},
        "tenants_releasechannel": {"select"},
        "tenants_plan": {"select"},
        "tenants_membership": {"select"},
        "tenants_companysettings": {"select"},
        "flags_flag": {"select"},
        "flags_requirement": {"select"},
        "flags_channeldefault": {"select"},
        "flags_override": {"select"},
        "flags_optin": {"select"},
        "flags_grant": {"select"},
        "flags_version": {"select"},
        "flags_change": {"select"},
        "flags_usage": {"select"},
        "flags_release": {"select"},
    }
    console = {
        "flags_change": {"select", "insert"},
        "flags_version": {"select"},
        "flags_retiredkey": {"select"},
        "flags_tally": {"select"},
        "django_migrations": set(),
        "django_content_type": set(),
        "auth_permission": set(),
    }
    everything = {"select", "insert", "update", "delete"}
    for table in connection.introspection.table_names():
        ours = table.startswith(("tenants_", "flags_")) or table == "django_session"
        assert (table, privileges("headgate_tenant", table)) == (table, tenant.get(table, set()))
        expected = console.get(table, everything if ours else set())
        assert (table, privileges("headgate_console", table)) == (table, expected)


def test_company_people_read_of_each_other_all_but_the_password():
    with connection.cursor() as cursor:
        cursor.execute(
            "select column_name from information_schema.columns where table_name = 'tenants_user' "
            "and has_column_privilege('headgate_tenant', 'tenants_user', column_name, 'select')"
        )
        readable = {name for (name,) in cursor.fetchall()}
    fields = {field.column for field in apps.get_model("tenants", "User")._meta.concrete_fields}
    assert readable == fields - {"password"}


def test_granting_again_takes_back_what_should_not_be_there():
    with rls.acting_as_nobody():
        with connection.cursor() as cursor:
            cursor.execute("grant select, delete on tenants_apitoken to headgate_tenant")
            cursor.execute("grant select (password) on tenants_user to headgate_tenant")
        assert roles.grant(connection) is True
        assert privileges("headgate_tenant", "tenants_apitoken") == set()
        with connection.cursor() as cursor:
            cursor.execute("select has_column_privilege('headgate_tenant', 'tenants_user', 'password', 'select')")
            assert cursor.fetchone() == (False,)


def test_tables_that_do_not_exist_yet_are_left_for_later(monkeypatch):
    monkeypatch.setitem(roles.TENANT_MAY, "flags_to_come", "select")
    monkeypatch.setattr(roles, "CONSOLE_ALSO", ("table_to_come",))
    with rls.acting_as_nobody():
        assert roles.grant(connection) is True


def test_tests_prove_something():
    settings = connection.settings_dict
    parameters = {"host": settings["HOST"], "port": settings["PORT"] or None, "user": settings["USER"]}
    if settings["PASSWORD"]:
        parameters["password"] = settings["PASSWORD"]
    with psycopg.connect(dbname=settings["NAME"], **parameters) as plain:
        row = plain.execute("select rolsuper, rolbypassrls from pg_roles where rolname = current_user").fetchone()
    assert row == (False, False)
