"""The database without a server: killed in a write, busy, read-only, and shared by two processes."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.cast import CAST
from tests.faults.conftest import FLAG, assert_refused
from tests.faults.servers import Answer, Application, eventually

pytestmark = pytest.mark.faults


class Small:
    """The application on a file, and ways to ask it."""

    def __init__(self, app: Application, file: Path, cast: dict[str, str]) -> None:
        self.app, self.file, self.cast = app, file, cast

    def check(self) -> Answer:
        return self.app.get("/api/features", Authorization=f"Bearer {self.cast['reader']}")

    def warm(self) -> None:
        """Let each worker answer once, as good as surely: its first answer takes it longer than any other."""
        assert {self.check().status for _ in range(6)} == {200}

    def write(self, enabled: bool, reason: str = "a test", **headers: str) -> Answer:
        path, body = f"/api/admin/tenants/acme/overrides/{FLAG}", {"enabled": enabled, "reason": reason}
        return self.app.call("PUT", path, body, Authorization=f"Bearer {self.cast['writer']}", **headers)

    def rows(self, sql: str) -> list[tuple]:
        with contextlib.closing(sqlite3.connect(self.file, timeout=5)) as connection:
            # The checks of our tables use what Django brings along.
            connection.create_function("REGEXP", 2, lambda pattern, text: re.search(pattern, text) is not None)
            return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """Two workers on one file."""
    file = tmp_path_factory.mktemp("sqlite") / "db.sqlite3"
    app = Application(preload=True, DATABASE_URL=f"sqlite:///{file}")
    app.manage("migrate", "--verbosity", "0")
    cast = json.loads(app.manage("shell", "--no-imports", "-c", CAST).stdout.splitlines()[-1])
    with app:
        small = Small(app, file, cast)
        assert small.write(True).status == 201
        yield small


def test_a_worker_killed_at_any_moment_of_a_write_leaves_both_or_neither(small: Small):
    acknowledged = []
    for number in range(4):
        enabled, request_id = number % 2 == 0, f"killed-{number}-on-sqlite"
        small.warm()
        with ThreadPoolExecutor(1) as pool:
            write = pool.submit(small.write, enabled, reason=request_id, X_Request_ID=request_id)
            time.sleep(number * 0.008)
            for pid in small.app.pids():
                os.kill(pid, signal.SIGKILL)
            if write.result().status == 200:
                acknowledged.append((request_id, enabled))
        eventually(lambda: small.app.get("/healthz").status == 200, 10)
    assert small.rows("pragma integrity_check") == [("ok",)]
    lines = dict(small.rows("select request_id, after from flags_change where request_id like 'killed-%' order by at"))
    for request_id, enabled in acknowledged:
        assert request_id in lines, "It was acknowledged, and is lost."
        assert json.loads(lines[request_id])["enabled"] is enabled
    if lines:
        (state,) = small.rows("select enabled from flags_override")
        assert bool(state[0]) is json.loads(list(lines.values())[-1])["enabled"]


def test_a_file_that_is_busy_for_too_long_is_503_and_checks_go_on(small: Small):
    small.warm()
    with contextlib.closing(sqlite3.connect(small.file)) as other:
        other.execute("begin immediate")
        other.execute("update tenants_company set name = name")
        with ThreadPoolExecutor(1) as pool:
            write = pool.submit(small.write, False)
            while not write.done():
                answer = small.check()
                assert (answer.status, answer.stale) == (200, False)
                assert answer.seconds < 4.5  # Less than a writer waits.
                time.sleep(0.1)
            assert_refused(write.result())
        other.rollback()
    assert small.write(True).status == 200


def test_two_processes_see_each_others_changes(small: Small):
    with Application(workers=1, DATABASE_URL=f"sqlite:///{small.file}") as other:
        for enabled in (False, True, False, True):
            assert small.write(enabled).status == 200
            answer = other.get("/api/features", Authorization=f"Bearer {small.cast['reader']}")
            assert (answer.status, answer.json[FLAG]) == (200, enabled)
