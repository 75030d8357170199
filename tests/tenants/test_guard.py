"""A table with companies' rows, touched while nobody is bound, is an error wherever a request is served."""

import timeit

import pytest
from django.db import connection
from django.test import Client

from flags.models import Flag, Grant, Override
from flags.policies import TABLES, Protection, classify
from tenants import guard, rls
from tenants.guard import UnboundAccess
from tenants.models import Company, Membership, Plan
from tests.factories import CompanyFactory

pytestmark = pytest.mark.django_db
in_middleware = pytest.mark.urls("tests.tenants.urls_for_middleware")


@pytest.mark.parametrize("model", [Company, Membership, Flag, Override, Grant])
def test_an_unbound_statement_while_serving_names_the_table_and_the_way_out(model):
    with guard.serving(), rls.acting_as_nobody(), pytest.raises(UnboundAccess) as refused:
        model.objects.count()
    assert refused.value.table == model._meta.db_table
    assert model._meta.db_table in str(refused.value)
    assert "acting_as_company(" in str(refused.value)


@pytest.mark.parametrize(
    "statement",
    [
        "update tenants_company set name = 'Taken'",
        "delete from flags_override",
        'SELECT 1 FROM "FLAGS_GRANT"',
        "with x as (select 1 from flags_optin) select * from x",
    ],
)
def test_raw_statements_are_looked_at_too(statement):
    with (
        guard.serving(),
        rls.acting_as_nobody(),
        pytest.raises(UnboundAccess),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_whoever_is_bound_is_let_through(acme, bob):
    with guard.serving():
        with rls.acting_as_company(acme.pk, bob.pk, "admin"):
            Company.objects.count()
        with rls.acting_as_system("a look"):
            assert Company.objects.count() == 1
        with rls.acting_as_nobody():
            assert rls.fetch_as_system("select count(*) from tenants_company") == [(1,)]


def test_what_holds_no_companys_rows_is_open_and_so_is_everything_outside_requests():
    with rls.acting_as_nobody():
        with guard.serving():
            assert Plan.objects.count() == 3
        Company.objects.count()


def test_a_table_of_the_host_application_is_watched_once_it_is_classified(monkeypatch):
    monkeypatch.setattr(guard, "_tables", set(guard._tables))
    monkeypatch.setattr(guard, "_names", guard._names)
    monkeypatch.setitem(TABLES, "invoices", Protection("company"))
    classify("invoices", Protection("company", "company_id = (select flags_bound_company())"))
    with guard.serving(), rls.acting_as_nobody(), pytest.raises(UnboundAccess), connection.cursor() as cursor:
        cursor.execute("select 1 from invoices")


@in_middleware
@pytest.mark.parametrize("path", ["/companies", "/companies-stream"])
def test_a_view_for_strangers_cannot_read_companies_not_even_in_a_stream(path):
    CompanyFactory(slug="secret")
    with pytest.raises(UnboundAccess):
        b"".join(Client().get(path))


@in_middleware
def test_a_stranger_gets_an_error_and_no_row():
    response = Client(raise_request_exception=False).get("/companies")
    assert response.status_code == 500


@in_middleware
def test_a_view_for_strangers_that_says_why_it_looks_is_served(acme):
    assert Client().get("/companies-as-system").content == b"1"


@in_middleware
def test_the_streams_of_company_people_hold_their_rows(sign_in, bob, globex):
    found = b"".join(sign_in(bob).get("/companies-stream")).split()
    assert found == ([b"acme"] if connection.vendor == "postgresql" else [b"acme", b"globex"])


def test_nothing_is_watched_after_a_request(client):
    client.get("/login/")
    with rls.acting_as_nobody():
        Company.objects.count()


def test_a_new_connection_is_looked_at_once_and_in_front_of_what_others_wrap_around():
    with connection.execute_wrapper(lambda execute, *args: execute(*args)):
        guard.stand_by(connection)
    assert connection.execute_wrappers.count(guard.refuse_unbound) == 1


def test_it_costs_a_fraction_of_the_cheapest_query(acme, bob):
    def seconds(work) -> float:
        return min(timeit.repeat(work, number=300, repeat=7)) / 300

    def run(*_args) -> None:
        """Stand in for the database."""

    statement = str(Membership.objects.select_related("company", "user").query)
    with connection.cursor() as cursor:
        query = seconds(lambda: cursor.execute("select 1"))
    with guard.serving():
        bound = seconds(lambda: guard.refuse_unbound(run, statement, (), False, {}))
        with rls.acting_as_nobody():
            clean = statement.replace("tenants_", "others_")
            unbound = seconds(lambda: guard.refuse_unbound(run, clean, (), False, {}))
    assert bound < query / 2
    assert unbound < 1e-3
    print(f"bound {bound * 1e9:.0f} ns, unbound {unbound * 1e9:.0f} ns, a query {query * 1e9:.0f} ns")
