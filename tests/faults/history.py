"""Writers, readers in several processes and a nemesis, all recorded: `python -m tests.faults.history --minutes 10`.

Prints one line a fault of the history, and how much was read and written; exits with 1 where there was any.
"""

import argparse
import itertools
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.faults.cast import CAST
from tests.faults.histories import KEYS, Lines, Read, Write, faults, number_of, spelt
from tests.faults.proxy import Proxy
from tests.faults.servers import Answer, Application, PostgresServer, eventually
from tests.redisserver import RedisServer

COMPANY = "/api/admin/tenants/acme"
HEALING_SECONDS = 10.0
"""For so long after a fault somebody may still be finding out that it is over."""


class Recording:
    """What several writers and readers did to applications on one database, until `over` is set."""

    def __init__(self, apps: list[Application], reader: str, writer: str, bound: float = 0.0) -> None:
        self.apps, self.reader, self.writer, self.bound = apps, reader, writer, bound
        self.troubles: list[tuple[float, float]] = []
        self.writes: list[Write] = []
        self.reads: list[Read] = []
        self.wrong: list[str] = []
        self.over = threading.Event()
        self.numbers = itertools.count(1)

    def prepare(self) -> None:
        """Make the flags, and give them their first number in every process's sight."""
        for key in KEYS:
            self._call(self.apps[0], "POST", "/api/admin/feature-flags", {"key": key, "enabled": False})
        self.write(self.apps[0])
        assert self.writes[0].saved, self.writes

    def write(self, app: Application) -> None:
        """Write a number of its own, as one change."""
        number = next(self.numbers)
        request_id = f"history-{os.getpid()}-{number}"
        rows = [{"key": key, "enabled": value, "reason": str(number)} for key, value in spelt(number).items()]
        began = time.monotonic()
        answer = self._call(app, "PUT", f"{COMPANY}/overrides", {"overrides": rows}, X_Request_ID=request_id)
        saved = answer.json["saved"] if answer.status == 503 else True if answer.status == 200 else None
        if answer.status not in (0, 200, 503):
            self.wrong.append(f"write: {answer}")
        self.writes.append(Write(number, request_id, began, time.monotonic(), saved))

    def read(self, app: Application) -> None:
        """Read the number that a check sees."""
        began = time.monotonic()
        answer = app.get("/api/features", Authorization=f"Bearer {self.reader}")
        if answer.status == 200:
            self.reads.append(Read(number_of(answer.json), began, time.monotonic(), answer.stale, str(app.port)))
        elif answer.status != 0 and not (answer.status == 503 and answer.json["code"] == "UNAVAILABLE"):
            self.wrong.append(f"read: {answer}")

    def go_on(self, what: Callable[[Application], None], pause: float) -> None:
        """Do it again and again on one application after the other."""
        for app in itertools.cycle(self.apps):
            if self.over.wait(pause):
                return
            what(app)

    def faults(self, postgres: PostgresServer) -> list[str]:
        """Return what is wrong with all of it, in words."""
        asked = "select request_id, flag, after from flags_change where request_id like 'history-%' order by at, id"
        lines: Lines = {}
        for name, key, after in postgres.admin(asked, database="headgate"):
            lines.setdefault(name, []).append((key, after["enabled"]))
        ended = eventually(lambda: self._last(), 15)
        found = faults(
            self.writes,
            self.reads,
            list(lines),
            ended,
            lines=lines,
            bound=self.bound,
            troubles=self.troubles,
        )
        return self.wrong + found

    def _last(self) -> int | None:
        answers = [app.get("/api/features", Authorization=f"Bearer {self.reader}") for app in self.apps]
        if any(answer.status != 200 or answer.stale for answer in answers):
            return None
        numbers = {number_of(answer.json) for answer in answers}
        return numbers.pop() if len(numbers) == 1 else -1

    def _call(self, app: Application, method: str, path: str, body: object, **headers: str) -> Answer:
        return app.call(method, path, body, Authorization=f"Bearer {self.writer}", **headers)


def nemesis(postgres: PostgresServer, redis: RedisServer, proxy: Proxy, app: Application) -> list[Callable[[], None]]:
    """Return what may happen; each lasts a moment and is over when it returns."""

    def for_a_moment(begin: Callable[[], None], end: Callable[[], None], seconds: float = 1.0) -> Callable[[], None]:
        def happen() -> None:
            begin()
            time.sleep(seconds)
            end()

        return happen

    def signal_worker(number: int) -> Callable[[], None]:
        def send() -> None:
            for pid in app.pids()[:1]:
                os.kill(pid, number)

        return send

    def thaw_workers() -> None:
        for pid in app.pids():
            os.kill(pid, signal.SIGCONT)

    return [
        for_a_moment(proxy.end_connections, lambda: None, 0.1),
        for_a_moment(redis.freeze, redis.thaw),
        for_a_moment(signal_worker(signal.SIGSTOP), thaw_workers),
        for_a_moment(postgres.freeze, postgres.thaw, 2.0),
        for_a_moment(lambda: redis.client.flushall(), lambda: None, 0.1),
        for_a_moment(signal_worker(signal.SIGKILL), lambda: None),
        for_a_moment(proxy.cut, proxy.heal),
        for_a_moment(postgres.kill, postgres.start, 0.2),
    ]


def record(
    recording: Recording,
    happenings: list[Callable[[], None]],
    seconds: float,
    seed: int,
    enough: Callable[[], bool] = lambda: True,
) -> None:
    """Read and write for so long, while one thing after the other goes wrong; each at least once, if time allows.

    Where that was not `enough`, since the machine is busy, go on until it is, for four times as long at most.
    """
    dice = random.Random(seed)
    deadline = time.monotonic() + seconds
    latest = deadline + 3 * seconds

    def is_over() -> bool:
        now = time.monotonic()
        return now > latest or (now > deadline and enough())

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(recording.go_on, recording.write, 0.01) for _ in range(3)]
        running += [pool.submit(recording.go_on, recording.read, 0.005) for _ in range(4)]
        try:
            while not is_over():
                for happen in dice.sample(happenings, len(happenings)):
                    time.sleep(dice.uniform(0.2, 0.8))
                    began = time.monotonic()
                    happen()
                    recording.troubles.append((began, time.monotonic() + HEALING_SECONDS))
                    if is_over():
                        break
        finally:
            recording.over.set()
        for one in running:
            one.result()


def main() -> int:
    """Do it on servers of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--freshness", choices=("exact", "streamed"), default="exact")
    options = parser.parse_args()
    with PostgresServer() as postgres, RedisServer() as redis, Proxy(postgres.port) as proxy:
        shared = {"CACHE_URL": redis.url, "FLAGS_FRESHNESS": options.freshness}
        first = Application(DATABASE_URL=postgres.url(proxy.port), **shared)
        second = Application(workers=1, DATABASE_URL=postgres.url(), **shared)
        first.manage("migrate", "--verbosity", "0", DATABASE_URL=postgres.url())
        cast = json.loads(first.manage("shell", "--no-imports", "-c", CAST).stdout.splitlines()[-1])
        with first, second:
            bound = 1.0 if options.freshness == "streamed" else 0.0
            recording = Recording([first, second], cast["reader"], cast["writer"], bound)
            recording.prepare()
            record(recording, nemesis(postgres, redis, proxy, first), 60 * options.minutes, options.seed)
            found = recording.faults(postgres)
    print(*found, sep="\n")
    saved = sum(write.saved is True for write in recording.writes)
    stale = sum(read.stale for read in recording.reads)
    print(f"{len(recording.reads)} reads ({stale} marked stale), {saved} of {len(recording.writes)} writes saved")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
