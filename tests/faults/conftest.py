"""The stage for faults: PostgreSQL, Redis and the application of the tests' own, with a bad network in between.

All of it is started once. Each test breaks something, and finds everything whole and warm again at its beginning.
"""

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests import redisserver
from tests.conftest import lacking
from tests.faults.cast import CAST
from tests.faults.proxy import Proxy
from tests.faults.servers import Answer, Application, PostgresServer, binary, eventually

HERE = Path(__file__).parent
FLAG = "driver_management"
CSRF = "c" * 32
FROZEN_SECONDS = float(os.environ.get("FROZEN_SECONDS", "2.5"))
"""For how long a worker is stopped: longer than any answer may be behind."""
PATIENT = int(30 + FROZEN_SECONDS)
"""A `timeout` of the server's that outlasts that."""


@dataclass
class Stage:
    """All there is to break, and ways to ask."""

    postgres: PostgresServer
    redis: redisserver.RedisServer
    to_postgres: Proxy
    to_redis: Proxy
    app: Application
    cast: dict[str, str] = field(default_factory=dict)
    pids_at_start: list[int] = field(default_factory=list)

    def check(self, timeout: float = 20) -> Answer:
        """Ask for Acme's features, as a program does."""
        return self.app.call("GET", "/api/features", timeout=timeout, Authorization=f"Bearer {self.cast['reader']}")

    def browse(self, who: str, path: str) -> Answer:
        """Open a page, signed in."""
        return self.app.get(path, Cookie=f"headgate_session={self.cast[who]}")

    def write(
        self, enabled: bool, flag: str = FLAG, company: str = "acme", reason: str = "a test", **headers: str
    ) -> Answer:
        """Give a company its own answer, as a program does. With a reason of its own it is a change in any case."""
        path = f"/api/admin/tenants/{company}/overrides/{flag}"
        headers["Authorization"] = f"Bearer {self.cast['writer']}"
        return self.app.call("PUT", path, {"enabled": enabled, "reason": reason}, **headers)

    def press(self, path: str, headers: Mapping[str, str] | None = None, **fields: str) -> Answer:
        """Send a form of the console's, as a super admin."""
        cookie = f"headgate_session={self.cast['alice']}; headgate_csrf={CSRF}"
        headers = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        body = urlencode(fields).encode()
        return self.app.call("POST", path, body, Cookie=cookie, X_CSRFToken=CSRF, **headers)

    def history(self, request_id: str) -> list[tuple]:
        """Return verb and new state of what history says that a request did."""
        asked = f"select verb, after from flags_change where request_id = '{request_id}'"
        return self.postgres.admin(asked, database="headgate")

    def heal(self) -> None:
        """Undo whatever a test did to any of them."""
        if self.app.process is None or self.app.process.poll() is not None:
            self.app.stop()
            self.app.start()
        for pid in self.app.pids():
            os.kill(pid, signal.SIGCONT)
        for proxy in (self.to_postgres, self.to_redis):
            proxy.heal()
        self.postgres.thaw()
        if not self.postgres.answers():
            self.postgres.kill()
            self.postgres.start()
        self.redis.thaw()
        if self.redis.process.poll() is not None:
            self.redis.start()

    def is_whole(self) -> bool:
        """Whether the application is ready, and every check fresh."""
        if self.app.get("/readyz").status != 200:
            return False
        answers = [self.check() for _ in range(8)]  # From both workers, as good as surely.
        return all(answer.status == 200 and not answer.stale for answer in answers)

    def warm(self) -> None:
        """Let each worker answer everybody once, the others being stopped meanwhile."""
        pids = self.app.pids()
        for pid in pids:
            others = [other for other in pids if other != pid]
            for other in others:
                os.kill(other, signal.SIGSTOP)
            try:
                eventually(lambda: self.app.get("/readyz").json["status"] == "ok")
                eventually(lambda: self.write(True).status in (200, 201))  # It may have just learnt that all is well.
                for ask in (self.check, lambda: self.browse("bob", "/api/features")):
                    eventually(lambda ask=ask: _is_fresh(ask()))
            finally:
                for other in others:
                    os.kill(other, signal.SIGCONT)


def _is_fresh(answer: Answer) -> bool:
    return answer.status == 200 and answer.json[FLAG] is True and not answer.stale


@pytest.fixture(scope="session")
def servers() -> Iterator[tuple[PostgresServer, redisserver.RedisServer]]:
    """A PostgreSQL and a Redis to be broken."""
    for name, found in (("PostgreSQL", binary("initdb")), ("redis-server", redisserver.PROGRAM), ("pgrep", "pgrep")):
        if not found or not shutil.which(found):
            lacking(name)
    with PostgresServer() as postgres, redisserver.RedisServer() as redis:
        yield postgres, redis


@pytest.fixture(scope="session")
def whole_stage(servers) -> Iterator[Stage]:
    """Everything, started once."""
    postgres, redis = servers
    with Proxy(postgres.port) as to_postgres, Proxy(redis.port) as to_redis:
        cache = f"redis://127.0.0.1:{to_redis.port}/0"
        app = Application(timeout=PATIENT, DATABASE_URL=postgres.url(to_postgres.port), CACHE_URL=cache)
        app.manage("migrate", "--verbosity", "0", DATABASE_URL=postgres.url())
        cast = json.loads(app.manage("shell", "--no-imports", "-c", CAST).stdout.splitlines()[-1])
        with app:
            yield Stage(postgres, redis, to_postgres, to_redis, app, cast)


@pytest.fixture
def unbroken(whole_stage: Stage) -> Stage:
    """Everything whole, for tests that break nothing of it."""
    whole_stage.heal()
    eventually(whole_stage.is_whole, 20)
    return whole_stage


@pytest.fixture
def stage(unbroken: Stage) -> Iterator[Stage]:
    """Everything whole, and warm in every worker."""
    unbroken.warm()
    unbroken.pids_at_start = unbroken.app.pids()
    yield unbroken
    unbroken.heal()


@pytest.fixture(scope="session")
def started_neighbour(whole_stage: Stage) -> Iterator[Application]:
    """One more instance, with nothing between it and the servers."""
    with Application(workers=1, DATABASE_URL=whole_stage.postgres.url(), CACHE_URL=whole_stage.redis.url) as app:
        yield app


@pytest.fixture
def neighbour(stage: Stage, started_neighbour: Application) -> Application:
    """One more instance, whole and warm."""
    asked = {"Authorization": f"Bearer {stage.cast['reader']}"}
    eventually(lambda: _is_fresh(started_neighbour.get("/api/features", **asked)))
    return started_neighbour


class Traffic:
    """Programs that go on asking from other threads while something is broken. A context manager."""

    def __init__(self, stage: Stage, threads: int = 3, timeout: float = 20) -> None:
        self.stage, self.threads, self.timeout = stage, threads, timeout
        self.answers: list[Answer] = []
        self._over = threading.Event()

    def __enter__(self) -> "Traffic":
        self._pool = ThreadPoolExecutor(self.threads)
        self._running = [self._pool.submit(self._ask) for _ in range(self.threads)]
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        for running in self._running:
            running.result(self.timeout + 10)
        self._pool.shutdown()

    def _ask(self) -> None:
        while not self._over.is_set():
            self.answers.append(self.stage.check(self.timeout))
            self._over.wait(0.02)


@pytest.fixture
def traffic(stage: Stage):
    """Return a function that makes traffic."""
    return lambda **kwargs: Traffic(stage, **kwargs)


def assert_all_answered(answers: list[Answer], within: float) -> None:
    """Be sure that every check had its answer, the right one, in time."""
    assert answers
    wrong = [answer for answer in answers if answer.status != 200 or answer.json.get(FLAG) is not True]
    assert wrong == []
    slowest = max(answers, key=lambda answer: answer.seconds)
    assert slowest.seconds < within, slowest


def asked_since(during: Traffic, moment: float) -> bool:
    """Whether somebody has asked and been answered since."""
    return any(answer.begun > moment for answer in during.answers[-20:])


def assert_marked(answers: list[Answer], since: float, until: float) -> None:
    """Be sure that every check that was made in between, all of it, says that its answer is from the past."""
    between = [answer for answer in answers if since < answer.begun and answer.ended < until]
    assert between
    assert [answer for answer in between if not answer.stale] == []


def assert_refused(answer: Answer, within: float = 10.0) -> Any:
    """Be sure that a change was refused as it should be; returns the problem."""
    assert answer.status == 503, answer
    assert answer.seconds < within, answer
    assert answer.headers["Retry-After"]
    assert answer.json["code"] == "UNAVAILABLE"
    assert answer.json["saved"] is False
    return answer.json
