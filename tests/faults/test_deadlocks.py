"""Somebody changes flags past our verbs, in an order of their own: whoever gives way to them hears nothing of it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.faults.conftest import FLAG, Stage
from tests.faults.servers import eventually

pytestmark = pytest.mark.faults

KILL = {"reason": "a deadlock"}
WAITING = "select count(*) from pg_locks where not granted and locktype = 'transactionid'"


def by_console(stage: Stage) -> bool:
    return stage.press(f"/super-admin/feature-flags/{FLAG}/kill/", **KILL).status == 302


def by_api(stage: Stage) -> bool:
    asked = {"Authorization": f"Bearer {stage.cast['writer']}"}
    return stage.app.call("POST", f"/api/admin/feature-flags/{FLAG}/kill", KILL, **asked).status == 200


def by_api_under_a_key(stage: Stage) -> bool:
    asked = {"Authorization": f"Bearer {stage.cast['writer']}", "Idempotency-Key": "a-deadlock"}
    return stage.app.call("POST", f"/api/admin/feature-flags/{FLAG}/kill", KILL, **asked).status == 200


def by_command(stage: Stage) -> bool:
    return stage.app.manage("flag", "kill", FLAG, "--reason", KILL["reason"], check=True).returncode == 0


@pytest.fixture
def alive(stage: Stage):
    """Bring the flag back whatever came of it."""
    yield
    asked = {"Authorization": f"Bearer {stage.cast['writer']}"}
    stage.app.call("POST", f"/api/admin/feature-flags/{FLAG}/revive", {"reason": "mended"}, **asked)


def a_script_in_the_way(stage: Stage) -> psycopg.Connection:
    """Have changed one flag, and not yet another; it waits for that for longer than anybody."""
    script = psycopg.connect(host="127.0.0.1", port=stage.postgres.port, user="postgres", dbname="headgate")
    script.execute("set deadlock_timeout = '1min'")
    script.execute("update flags_flag set description = 'by a script' where key = 'api_access'")
    return script


def deadlocked(stage: Stage, change: Callable[[Stage], bool]) -> bool:
    """Have a change and a script wait for each other: the change for the version of all, the script for the flag."""
    with ThreadPoolExecutor(1) as pool, a_script_in_the_way(stage) as script:
        changing = pool.submit(change, stage)
        deadline = time.monotonic() + 60  # A command takes a while to start where much else is going on.
        while script.execute(WAITING).fetchone() == (0,):
            assert not changing.done(), "It did not wait."
            assert time.monotonic() < deadline
            time.sleep(0.01)
        script.execute("update flags_flag set description = 'by a script' where key = %s", [FLAG])
        script.commit()
        return changing.result(60)


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize("change", [by_console, by_api, by_api_under_a_key, by_command])
def test_it_is_done_at_the_second_attempt_whatever_the_door(stage: Stage, change):
    count = f"select count(*) from flags_change where flag = '{FLAG}' and verb = 'kill'"
    ((before,),) = stage.postgres.admin(count, database="headgate")
    assert deadlocked(stage, change)
    assert stage.postgres.admin(count, database="headgate") == [(before + 1,)]
    assert eventually(lambda: stage.check().json[FLAG] is False)
    state = f"select description, kill_reason from flags_flag where key = '{FLAG}'"
    assert stage.postgres.admin(state, database="headgate") == [("by a script", KILL["reason"])]
    if change is not by_command:
        assert "repeated after a deadlock verb=kill" in stage.app.said()
