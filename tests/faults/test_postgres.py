"""PostgreSQL in every kind of trouble: checks answer, say that they are stale, and everything heals by itself."""

import time

import psycopg
import pytest

from tests.faults.conftest import FLAG, Stage, asked_since, assert_all_answered, assert_marked, assert_refused
from tests.faults.servers import eventually

pytestmark = pytest.mark.faults

BREAK = {
    "killed": lambda stage: stage.postgres.kill(),
    "frozen": lambda stage: stage.postgres.freeze(),
    "cut": lambda stage: stage.to_postgres.cut(),
    "blackholed": lambda stage: stage.to_postgres.freeze(),
    "heard by nobody": lambda stage: setattr(stage.to_postgres, "mute", True),
    "slow": lambda stage: setattr(stage.to_postgres, "delay", 9.0),  # Longer than anybody waits.
    "garbling": lambda stage: setattr(stage.to_postgres, "garble", True),
}


@pytest.mark.parametrize("fault", BREAK)
def test_checks_go_on_changes_say_503_and_all_heals(stage: Stage, traffic, fault):
    with traffic() as during:
        time.sleep(0.3)
        BREAK[fault](stage)
        broken = stage.to_postgres.accepted
        began = time.monotonic()
        assert_refused(stage.write(False))
        page = stage.press(f"/super-admin/feature-flags/{FLAG}/kill/")
        assert (page.status, page.headers["X-Outcome"]) == (503, "not-saved")
        assert page.seconds < 10
        assert "Changes cannot be saved right now" in page.text
        asked = stage.browse("bob", "/api/features")
        assert (asked.status, asked.stale) == (200, True)
        assert stage.app.get("/healthz").status == 200
        ready = stage.app.get("/readyz")
        assert (ready.status, ready.json["checks"]["database"]) == (503, "unreachable")
        eventually(lambda: stage.check().stale)
        eventually(lambda: asked_since(during, began))
        ended = time.monotonic()
        attempts = stage.to_postgres.accepted - broken
    assert_all_answered(during.answers, within=4.5)
    assert_marked(during.answers, began, ended)
    # One attempt at a time in each worker, and the counts of use with a thread of their own: no herd.
    assert attempts <= 12 + 8 * (ended - began), (attempts, ended - began, len(during.answers))
    waited = [answer for answer in during.answers if answer.seconds > 1]
    assert len(waited) < len(during.answers) / 4
    stage.heal()
    eventually(stage.is_whole)
    eventually(lambda: stage.write(True).status == 200)
    assert stage.app.pids() == stage.pids_at_start


def test_while_somebody_has_locked_every_table_checks_go_on(stage: Stage, traffic):
    """A migration by hand, a restore, a careless VACUUM FULL: the server is there, and answers nothing we ask."""
    tables = "flags_version, flags_flag, flags_override, flags_change, tenants_apitoken, tenants_company, tenants_user"
    locking = {"host": "127.0.0.1", "port": stage.postgres.port, "user": "postgres", "dbname": "headgate"}
    with psycopg.connect(**locking) as other, traffic() as during:
        other.execute(f"lock table {tables} in access exclusive mode")
        began = time.monotonic()
        assert_refused(stage.write(False))
        eventually(lambda: asked_since(during, began))
        ended = time.monotonic()
        other.rollback()
        eventually(stage.is_whole)
    assert_all_answered(during.answers, within=4.5)
    assert_marked(during.answers, began, ended)
    eventually(lambda: stage.write(False).status == 200)


def test_a_restart_goes_unnoticed_but_for_the_mark(stage: Stage, traffic):
    with traffic() as during:
        time.sleep(0.3)
        stage.postgres.kill()
        eventually(lambda: during.answers[-1].stale)
        stage.postgres.start()
        eventually(stage.is_whole)
    assert_all_answered(during.answers, within=4.5)
    eventually(lambda: stage.write(False).status == 200)  # Each of the workers finds out for itself.
    eventually(lambda: stage.check().json[FLAG] is False)


def test_connections_ended_by_an_operator_are_replaced(stage: Stage, traffic):
    end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = 'headgate'"
    with traffic() as during:
        for _ in range(10):
            time.sleep(0.1)
            stage.postgres.admin(end)
    assert_all_answered(during.answers, within=3)
    eventually(stage.is_whole)


def test_a_database_that_takes_no_changes_answers_checks_freshly(stage: Stage):
    stage.postgres.admin(f"alter role {stage.postgres.LOGIN} set default_transaction_read_only = on")
    stage.to_postgres.end_connections()
    try:
        eventually(lambda: stage.app.get("/readyz").text.count("read-only"))
        ready = stage.app.get("/readyz")
        assert (ready.status, ready.json["status"]) == (200, "degraded")
        problem = assert_refused(stage.write(False))
        assert "takes no changes" in problem["detail"]
        answer = stage.check()
        assert (answer.status, answer.stale, answer.json[FLAG]) == (200, False, True)
    finally:
        stage.postgres.admin(f"alter role {stage.postgres.LOGIN} reset default_transaction_read_only")
        stage.to_postgres.end_connections()
    eventually(stage.is_whole)
    eventually(lambda: stage.write(False).status == 200)


def test_out_of_connections(stage: Stage, traffic):
    """The login may have no more of them: FATAL, as it is when the server has none left."""
    with traffic() as during:
        stage.postgres.admin(f"alter role {stage.postgres.LOGIN} connection limit 0")
        stage.to_postgres.end_connections()
        began = time.monotonic()
        try:
            assert_refused(stage.write(False))
            assert stage.check().stale
            assert stage.app.get("/readyz").json["checks"]["database"] == "unreachable"
            eventually(lambda: asked_since(during, began))
            ended = time.monotonic()
        finally:
            stage.postgres.admin(f"alter role {stage.postgres.LOGIN} connection limit -1")
    assert_all_answered(during.answers, within=3)
    assert_marked(during.answers, began, ended)
    eventually(stage.is_whole)
    eventually(lambda: stage.write(True).status == 200)
