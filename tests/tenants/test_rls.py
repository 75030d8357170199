"""Whom the database takes us for, and what it shows nobody."""

import pytest
from django.db import DatabaseError, ProgrammingError, connection, transaction

from flags.models import Flag, Grant
from tenants import rls
from tenants.models import Company
from tests.factories import GrantFactory

pytestmark = pytest.mark.django_db

postgres = pytest.mark.postgres


def who() -> tuple[str, ...]:
    """The role, company, person and role there that the database goes by."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select case when current_user = session_user then 'login' else current_user::text end, "
            "current_setting('app.company_id', true), current_setting('app.user_id', true), "
            "current_setting('app.member_role', true)"
        )
        return cursor.fetchone()


AS_TEST = ("headgate_console", "", "", "")


@postgres
def test_company_people_are_bound_to_company_person_and_role(acme, bob):
    with rls.acting_as_company(acme.id, bob.id, "admin"):
        assert who() == ("headgate_tenant", str(acme.id), str(bob.id), "admin")
    assert who() == AS_TEST


@postgres
def test_super_admins_are_bound_to_the_console(alice):
    with rls.acting_as_super_admin(alice.id):
        assert who() == ("headgate_console", "", str(alice.id), "")


@postgres
def test_bindings_nest_and_come_back(acme, globex):
    with rls.acting_as_company(acme.id, None, ""):
        with rls.acting_as_company(globex.id, None, ""):
            assert who()[1] == str(globex.id)
            with rls.acting_as_nobody():
                assert who() == ("login", "", "", "")
            assert who()[1] == str(globex.id)
        assert who()[1] == str(acme.id)


@postgres
@pytest.mark.parametrize("error", [ValueError, ProgrammingError])
def test_a_binding_comes_back_after_an_exception(acme, error):
    def fail():
        with rls.acting_as_company(acme.id, None, ""):
            if error is ValueError:
                raise ValueError
            Company.objects.raw("select nonsense").__iter__()

    with pytest.raises(error):
        fail()
    assert who() == AS_TEST


@postgres
def test_a_savepoint_that_is_rolled_back_keeps_the_binding(acme):
    with rls.acting_as_company(acme.id, None, "admin"):
        with transaction.atomic():
            transaction.set_rollback(True)
        assert who()[:2] == ("headgate_tenant", str(acme.id))


@postgres
def test_becoming_somebody_else_lasts_until_the_binding_around_it_ends(acme):
    with rls.acting_as_system("find out"):
        rls.become(rls.Binding(rls.TENANT_ROLE, acme.id))
        assert who()[:2] == ("headgate_tenant", str(acme.id))
    assert who() == AS_TEST
    assert rls.current().why == "a test"


@pytest.mark.django_db(transaction=True)
def test_nothing_is_left_on_the_connection(acme, bob):
    with rls.acting_as_company(acme.id, bob.id, "admin"):
        assert connection.in_atomic_block is (connection.vendor == "postgresql")
    assert not connection.in_atomic_block
    assert rls.current().company_id is None
    if connection.vendor == "postgresql":
        assert who()[1:3] == ("", "")


@pytest.mark.django_db(transaction=True)
def test_abandoning_undoes_the_writes_of_a_binding_on_postgresql(acme):
    with rls.acting_as_system("change our mind"):
        Company.objects.filter(pk=acme.pk).update(name="Changed")
        rls.abandon()
    acme.refresh_from_db()
    assert acme.name == ("Acme" if connection.vendor == "postgresql" else "Changed")


def test_on_any_database_the_binding_is_known_in_the_process(acme, bob):
    with rls.acting_as_company(acme.id, bob.id, "admin"):
        assert (rls.current().role, rls.current().company_id) == ("headgate_tenant", acme.id)
    assert rls.current().role == "headgate_console"


@postgres
@pytest.mark.parametrize("role", ["headgate_tenant", "headgate_console"])
def test_the_planner_expects_the_rows_that_there_are(role):
    """It would otherwise sort what it could walk, and read all of what it needs one of."""
    Flag.objects.bulk_create(Flag(key=f"planned_{n}", name=f"Planned {n}") for n in range(500))
    with rls.acting_as_nobody(), connection.cursor() as cursor:
        cursor.execute("analyze flags_flag")
    with rls.bound(rls.Binding(role)), connection.cursor() as cursor:
        cursor.execute("select count(*) from flags_flag")
        [there] = cursor.fetchone()
        cursor.execute("explain (format json) select * from flags_flag")
        [[plan]] = cursor.fetchone()
    assert there * 0.9 < plan["Plan"]["Plan Rows"] < there * 1.1


# What nobody sees


@postgres
def test_the_login_sees_no_company_unless_it_is_bound(acme, bob):
    """Even where it inherits the rights of the roles, as every login does before PostgreSQL 16."""
    with rls.acting_as_nobody(), connection.cursor() as cursor:
        cursor.execute("select pg_has_role('headgate_console', 'member')")
        assert cursor.fetchone() == (True,)
        for table in ("tenants_company", "tenants_membership", "tenants_companysettings", "flags_flag"):
            cursor.execute(f"select count(*) from {table}")
            assert (table, *cursor.fetchone()) == (table, 0)


@postgres
def test_the_login_writes_no_company_unless_it_is_bound(acme):
    with rls.acting_as_nobody(), connection.cursor() as cursor:
        cursor.execute("update tenants_company set name = 'Taken'")
        assert cursor.rowcount == 0
        with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
            Company.objects.create(slug="planted", name="Planted")


@postgres
def test_company_people_never_see_what_signs_people_in(acme, bob):
    for statement in (
        "select 1 from tenants_apitoken",
        "select 1 from tenants_refreshtoken",
        "select 1 from tenants_signinfailure",
        "select password from tenants_user",
        "select 1 from django_session",
        "select 1 from django_migrations",
    ):
        with (
            rls.acting_as_company(acme.id, bob.id, "admin"),
            pytest.raises(ProgrammingError, match="permission denied"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


@postgres
def test_history_cannot_be_rewritten_by_anybody_bound(acme, bob):
    for binding in (rls.acting_as_company(acme.id, bob.id, "admin"), rls.acting_as_system("a test")):
        for statement in ("delete from flags_change", "update flags_change set reason = ''", "truncate flags_change"):
            with (
                pytest.raises(DatabaseError, match="permission denied"),
                binding if statement.startswith("delete") else rls.acting_as_system("a test"),
                connection.cursor() as cursor,
            ):
                cursor.execute(statement)


def test_the_grants_of_a_person_end_with_their_membership():
    """Also when the rows are deleted by SQL: the trigger must see rows that its own login does not."""
    grant = GrantFactory()
    grant.company.memberships.filter(user=grant.user).delete()
    assert not Grant.objects.filter(pk=grant.pk).exists()
