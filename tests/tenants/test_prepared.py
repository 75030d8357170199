"""The question that every request asks is parsed and planned once for each connection, and seen like any other."""

from uuid import uuid4

import pytest
from django.db import OperationalError, connection, connections
from django.test.utils import CaptureQueriesContext

from tests.tenants.test_rls_connections import database

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

QUESTION = "select %s::uuid, 7"


def ask(alias: str = "default"):
    """Return the row that the server answers, and the names of what it has prepared for this connection."""
    asked = uuid4()
    with connections[alias].prepared_cursor() as cursor:
        cursor.execute(QUESTION, (asked,))
        assert cursor.fetchone() == (asked, 7)
    with connections[alias].cursor() as cursor:
        cursor.execute("select name from pg_prepared_statements")
        return [name for (name,) in cursor.fetchall()]


def test_it_is_prepared_once():
    first = ask()
    assert len(first) == 1
    assert [ask() for _ in range(3)] == [first] * 3


def test_nothing_else_is():
    with connection.cursor() as cursor:
        for _ in range(10):
            cursor.execute("select %s", [1])
        cursor.execute("select count(*) from pg_prepared_statements")
        assert cursor.fetchone() == (0,)


def test_it_is_seen_like_any_other_statement():
    with CaptureQueriesContext(connection) as queries:
        ask()
    assert "::uuid, 7" in queries[0]["sql"]

    def refuse(execute, sql, params, many, context):
        raise OperationalError("the database is away")

    with connection.execute_wrapper(refuse), pytest.raises(OperationalError, match="is away"):
        ask()


def test_a_server_that_does_not_know_it_is_asked_in_full_and_so_is_the_next():
    assert ask()
    with connection.cursor() as cursor:
        # As PgBouncer does, which gives the next statement to another server; psycopg does not look into a DO.
        cursor.execute("do $$ begin execute 'deallocate all'; end $$")
    assert [ask() for _ in range(2)] == [[], []]


def test_behind_pgbouncer_nothing_is_prepared():
    with database("bounced", DISABLE_SERVER_SIDE_CURSORS=True):
        assert [ask("bounced") for _ in range(2)] == [[], []]
