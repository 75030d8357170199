"""Whoever used a connection before, kept, pooled or through PgBouncer: the next one starts as nobody."""

import random
from contextlib import contextmanager

import psycopg
import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.db.backends.signals import connection_created

from flags import changes
from flags.models import Override
from tenants import rls
from tenants.models import Company
from tests.conftest import lacking
from tests.factories import FlagFactory, GrantFactory, OverrideFactory
from tests.tenants import bouncer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

ROUNDS = 120


@contextmanager
def database(alias: str, **changed):
    """Another way to the test database, for the length of a block; without the role that tests take."""
    settings = {**connection.settings_dict, **changed}
    settings["OPTIONS"] = {**connection.settings_dict["OPTIONS"], **changed.get("OPTIONS", {})}
    connections.settings[alias] = settings
    receivers, connection_created.receivers = connection_created.receivers, []
    connection_created.sender_receivers_cache.clear()
    try:
        connections[alias].connect()
        yield connections[alias]
    finally:
        connection_created.receivers = receivers
        connection_created.sender_receivers_cache.clear()
        connections[alias].close()
        if getattr(connections[alias], "pool", None):
            connections[alias].close_pool()
        del connections[alias]
        del connections.settings[alias]


@pytest.fixture
def theirs(acme, globex):
    """Each company's one override, which its people alone may see."""
    flag = FlagFactory()
    return {company.pk: OverrideFactory(company=company, flag=flag).pk for company in (acme, globex)}


def state(alias: str) -> tuple[int, bool, str, int]:
    """The server's process, whether it works as the login, the company that it knows, how many overrides it shows."""
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "select pg_backend_pid(), current_user = session_user, "
            "coalesce(current_setting('app.company_id', true), ''), (select count(*) from flags_override)"
        )
        return cursor.fetchone()


def work(alias: str, company_id, theirs: dict, dice: random.Random) -> int:
    """Look as a company, and end well, by an exception, or by an error of the database. Returns the server process."""
    end = dice.choice(["well", "exception", "error", "savepoint"])
    try:
        with rls.bound(rls.Binding(rls.TENANT_ROLE, company_id, None, "admin"), alias):
            assert list(Override.objects.using(alias).values_list("pk", flat=True)) == [theirs[company_id]]
            pid, is_login, known, count = state(alias)
            assert (is_login, known, count) == (False, str(company_id), 1)
            if end == "exception":
                raise ZeroDivisionError
            if end == "error":
                Company.objects.using(alias).create(slug="planted", name="Planted")
            if end == "savepoint":
                with pytest.raises(DatabaseError), transaction.atomic(alias):
                    Company.objects.using(alias).create(slug="planted", name="Planted")
                assert state(alias)[2] == str(company_id)
    except (ZeroDivisionError, DatabaseError):
        assert end in ("exception", "error")
    return pid


def alternate(aliases: list[str], theirs: dict, *, reopen: bool) -> set[int]:
    """Let companies take turns on these connections, one starting before the other has ended."""
    dice = random.Random(4)
    companies = list(theirs)
    pids = set()
    for turn in range(ROUNDS):
        alias = aliases[turn % len(aliases)]
        with transaction.atomic(alias):
            assert state(alias)[1:] == (True, "", 0)
            if len(aliases) > 1:  # While this one is nobody, in the midst of a transaction, another is somebody.
                pids.add(work(aliases[(turn + 1) % len(aliases)], dice.choice(companies), theirs, dice))
            assert state(alias)[1:] == (True, "", 0)
        pids.add(work(alias, dice.choice(companies), theirs, dice))
        if reopen:
            connections[alias].close()
            connections[alias].connect()
    return pids


def test_a_kept_connection_starts_as_nobody_each_time(theirs):
    with database("kept"):
        assert len(alternate(["kept"], theirs, reopen=False)) == 1


def test_a_pooled_connection_starts_as_nobody_each_time(theirs):
    pool = {"pool": {"min_size": 1, "max_size": 1, "timeout": 5}}
    with database("pooled", OPTIONS=pool, CONN_MAX_AGE=0):
        assert len(alternate(["pooled"], theirs, reopen=True)) == 1


def test_clients_of_pgbouncer_in_transaction_mode_never_meet(theirs):
    if not bouncer.installed():
        lacking("pgbouncer")
    through = {"HOST": "127.0.0.1", "NAME": "bounced", "DISABLE_SERVER_SIDE_CURSORS": True, "CONN_HEALTH_CHECKS": False}
    with bouncer.running(connection.settings_dict) as port:
        with (
            database("one", PORT=port, **through),
            database("two", PORT=port, **through),
            database("three", PORT=port, **through),
        ):
            pids = alternate(["one", "two", "three"], theirs, reopen=False)
        assert len(pids) == 2  # Three clients on two servers: each has had them after another.


def test_a_setting_that_outlived_its_transaction_would_be_seen(theirs, acme):
    """That these tests can fail: what is set for the session is there in the next transaction."""
    with database("kept"), connections["kept"].cursor() as cursor:
        cursor.execute("select set_config('app.company_id', %s, false)", [str(acme.pk)])
        with pytest.raises(AssertionError):
            alternate(["kept"], theirs, reopen=False)


# Somebody who knows nothing of Django


@pytest.fixture
def reporting(theirs):
    """A login that may only become company people's role, and knows SQL."""
    settings = connection.settings_dict
    with psycopg.connect(
        dbname=settings["NAME"],
        host=settings["HOST"],
        port=settings["PORT"] or 5432,
        user=settings["USER"],
        password=settings["PASSWORD"],
        autocommit=True,
    ) as plain:
        yield plain


def begin(plain: psycopg.Connection, role: str, company=None, person=None, member_role: str = "coordinator") -> None:
    plain.execute(f"set local role {role}")
    for name, value in (("company_id", company), ("user_id", person), ("member_role", member_role)):
        plain.execute("select set_config(%s, %s, true)", [f"app.{name}", str(value or "")])


def test_a_reporting_login_asks_for_features_in_sql(reporting, acme, globex, alice):
    changes.set_override(acme, "api_access", True, actor=alice, reason="contract 881")
    seen = {}
    for company in (acme, globex):
        with reporting.transaction():
            begin(reporting, "headgate_tenant", company.pk)
            seen[company.slug] = reporting.execute(
                "select is_feature_enabled('api_access'), is_feature_enabled('no_such_flag'), "
                "(select reason from list_feature_flags() where feature_key = 'api_access'), "
                "(select count(*) from list_feature_flags() where feature_key = 'inspector'), "
                "(select count(*) from flags_override where reason = 'contract 881')"
            ).fetchone()
    assert seen == {"acme": (True, False, "override", 0, 1), "globex": (False, False, "default", 0, 0)}


def test_a_reporting_login_that_names_a_person_gets_their_answers(reporting, acme, bob, dan, alice):
    changes.set_default("trip_management", True, actor=alice)
    changes.edit_flag("trip_management", actor=alice, needs_grant=True)
    GrantFactory(company=acme, user=dan, flag_id="trip_management", flag=None)
    with reporting.transaction():
        begin(reporting, "headgate_tenant", acme.pk, bob.pk)
        assert reporting.execute("select is_feature_enabled('trip_management')").fetchone() == (False,)
    with reporting.transaction():
        begin(reporting, "headgate_tenant", acme.pk, dan.pk)
        assert reporting.execute("select is_feature_enabled('trip_management')").fetchone() == (True,)


def test_a_reporting_login_without_a_company_gets_no_feature_and_no_row(reporting):
    with reporting.transaction():
        begin(reporting, "headgate_tenant")
        assert reporting.execute("select bool_or(enabled), min(reason) from list_feature_flags()").fetchone() == (
            False,
            "no_company",
        )
        assert reporting.execute("select count(*) from flags_override").fetchone() == (0,)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from flags_decide('api_access', %s)",
        "select * from flags_decide_all(%s, null, true, now())",
        "insert into flags_override (company_id) values (%s)",
        "copy flags_override (company_id) from stdin",
        "truncate flags_override",
        "create table public.mine (id uuid)",
    ],
)
def test_only_the_console_may_ask_for_any_company_and_company_people_may_write_nothing(reporting, acme, sql):
    with reporting.transaction(force_rollback=True):
        begin(reporting, "headgate_tenant", acme.pk)
        params = [acme.pk] if "%s" in sql else None
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reporting.execute(sql, params)


def test_the_console_may_ask_for_any_company(reporting, acme):
    with reporting.transaction():
        begin(reporting, "headgate_console")
        assert reporting.execute(
            "select enabled, reason from flags_decide('api_access', %s)", [acme.pk]
        ).fetchone() == (
            False,
            "default",
        )
