"""The checks speak when they should, and only then."""

from io import StringIO

import pytest
from django.core.checks import ERROR, WARNING, run_checks
from django.core.management import call_command
from django.db import connection

from tenants import checks, rls, roles

TENANT = "tenants.middleware.TenantMiddleware"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"


def ids(messages) -> list[str]:
    return [message.id for message in messages]


def test_this_project_is_in_order():
    assert checks.middleware_is_in_place() == []


@pytest.mark.parametrize("change", ["missing", "before authentication", "no authentication"])
def test_e001_speaks_when_the_middleware_cannot_know_who_asks(settings, change):
    order = [name for name in settings.MIDDLEWARE if name != TENANT]
    if change == "before authentication":
        order.insert(order.index(AUTH), TENANT)
    elif change == "no authentication":
        order = [name for name in settings.MIDDLEWARE if name != AUTH]
    settings.MIDDLEWARE = order
    (message,) = checks.middleware_is_in_place()
    assert (message.id, message.level) == ("tenants.E001", ERROR)
    assert "AuthenticationMiddleware" in message.hint


def test_e001_is_among_the_checks_that_always_run(settings):
    settings.MIDDLEWARE = []
    assert "tenants.E001" in ids(run_checks())


def test_the_database_is_asked_only_when_it_is_named(django_assert_num_queries):
    assert checks.database_keeps_companies_apart() == []
    assert checks.database_keeps_companies_apart(databases=[]) == []


@pytest.mark.django_db
def test_the_test_database_is_in_order():
    with rls.acting_as_nobody():
        assert checks.database_keeps_companies_apart(databases=["default"]) == []


@pytest.mark.django_db
@pytest.mark.postgres
class TestOnPostgreSQL:
    @pytest.fixture(autouse=True)
    def _as_the_login(self):
        with rls.acting_as_nobody():
            yield

    def test_e002_names_a_missing_role_and_what_to_run(self, monkeypatch):
        monkeypatch.setattr(roles, "ROLES", ("headgate_tenant", "headgate_that_never_was"))
        (message,) = checks.database_keeps_companies_apart(databases=["default"])
        assert (message.id, message.level) == ("tenants.E002", ERROR)
        assert "lacks the role headgate_that_never_was" in message.msg
        assert "docs/roles.sql" in message.hint

    def test_e002_names_a_role_that_the_login_may_not_become(self, monkeypatch):
        monkeypatch.setattr(roles, "ROLES", ("pg_monitor",))
        (message,) = checks.database_keeps_companies_apart(databases=["default"])
        assert message.id == "tenants.E002"
        assert "does not let this login become pg_monitor" in message.msg

    def test_e002_does_not_keep_migrate_from_making_the_roles(self, monkeypatch):
        """It runs the checks first, and would otherwise refuse to do what it is told to do."""
        monkeypatch.setattr(roles, "ROLES", ("headgate_that_never_was",))
        monkeypatch.setattr(checks.Company._meta, "db_table", "not_there_yet")
        assert checks.database_keeps_companies_apart(databases=["default"]) == []

    @pytest.mark.parametrize(
        ("row", "words"),
        [(("root", True, True), "a superuser"), (("web", False, True), "allowed to bypass row-level security")],
    )
    def test_e003_names_a_login_that_row_level_security_does_not_hold(self, monkeypatch, settings, row, words):
        monkeypatch.setattr(checks, "_powers", lambda connection: row)
        for debug, expected in ((False, ("tenants.E003", ERROR)), (True, ("tenants.W001", WARNING))):
            settings.DEBUG = debug
            (message,) = checks.database_keeps_companies_apart(databases=["default"])
            assert (message.id, message.level) == expected
            assert words in message.msg
            assert row[0] in message.msg

    def test_a_superuser_may_migrate(self, monkeypatch):
        monkeypatch.setattr(checks, "_powers", lambda connection: ("root", True, True))
        monkeypatch.setattr(checks.sys, "argv", ["manage.py", "migrate"])
        (message,) = checks.database_keeps_companies_apart(databases=["default"])
        assert (message.id, message.level) == ("tenants.W001", WARNING)

    def test_w001_reads_the_powers_of_the_login(self):
        assert checks._powers(connection) == (connection.settings_dict["USER"], False, False)

    def test_check_says_it_all(self, monkeypatch):
        monkeypatch.setattr(checks, "OLDEST_SOUND", {connection.pg_version // 10000: 10_000})
        out = StringIO()
        call_command("check", databases=["default"], stdout=out, stderr=out)
        assert "tenants.W002" in out.getvalue()


@pytest.mark.parametrize(
    ("version", "speaks"),
    [
        (150018, False),
        (150017, True),
        (160014, False),
        (160013, True),
        (170009, True),
        (170010, False),
        (180003, True),
        (180004, False),
        (190000, False),  # Newer than anything known to have the holes.
        (140099, True),  # Its years of fixes are over.
    ],
)
def test_w002_names_servers_with_known_holes(version, speaks):
    messages = checks._version(version)
    assert ids(messages) == (["tenants.W002"] if speaks else [])
    if speaks:
        major, minor = divmod(version, 10000)
        assert f"PostgreSQL {major}.{minor}" in messages[0].msg
        assert "15.18, 16.14, 17.10, 18.4" in messages[0].hint
