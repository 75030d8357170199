"""How long after a change was acknowledged another process answers with it. By `exact`, by `streamed`, and by an epoch.

The epoch is what `streamed` could be instead: one listener a host, which counts changes in shared memory, and workers
that read the count when a request begins. It is here to compare with (docs/adr/0013).
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from django.db import connection

from tests.benchmarks import stage
from tests.benchmarks.measuring import Row, Run, Times
from tests.benchmarks.otherworker import AT, KEY, READY, SEEN, STOP
from tests.flags.freshness import Board
from tests.flags.otherprocess import ROOT, url_of

LOST_SECONDS = 5.0


def rows(run: Run) -> Iterator[Row]:
    """Each way, with readers that do nothing else, and with readers that never rest."""
    stage.database()
    company_id = stage.a_company()
    stage.act_as_console()
    _write(company_id, False)
    modes = ["exact", "streamed", *(["epoch"] if connection.vendor == "postgresql" else [])]
    cores = os.cpu_count() or 1
    for mode in modes:
        for busy, readers in ((False, 1), (True, 1), (True, 2 * cores)):
            lags = _lags(company_id, mode, busy, readers, run.about(200, 30))
            how = f"{readers} {'busy' if busy else 'idle'} reader{'s' if readers > 1 else ''}"
            note = f"half of them within {lags.median * 1e3:.2f} ms, the last after {max(lags.rounds) * 1e3:.1f} ms"
            bar = 250 if mode == "streamed" else None
            yield Row(f"{mode}, {how}: 99 % within", lags.percentile(99) * 1e3, "ms", bar, note=note)
            if mode == "streamed":
                yield Row(f"{mode}, {how}: all within", max(lags.rounds) * 1e3, "ms", 1000)


def _lags(company_id: UUID, mode: str, busy: bool, readers: int, times: int) -> Times:
    """Write so often, and return for each the seconds until the slowest reader answered with it."""
    lags = []
    with _readers(company_id, mode, busy, readers) as board:
        for n in range(1, times + 1):
            _write(company_id, bool(n % 2))
            acknowledged = time.monotonic_ns()
            _until(lambda n=n: all(board[SEEN + place] >= n for place in range(readers)), LOST_SECONDS)
            lags.append(max(0, max(board[AT + place] for place in range(readers)) - acknowledged) / 1e9)
            time.sleep(0.005 + (n * 7919 % 30) / 1000)  # In no step with anything that is done by the clock.
    return Times(lags)


def _write(company_id: UUID, enabled: bool) -> None:
    # No signal, and one statement: what is measured is how word of it travels.
    company = company_id if connection.vendor == "postgresql" else company_id.hex
    moment = "now()" if connection.vendor == "postgresql" else "current_timestamp"
    new_id = "gen_random_uuid()" if connection.vendor == "postgresql" else "lower(hex(randomblob(16)))"
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into flags_override (id, company_id, flag_id, enabled, reason, paused, version, created_at, "
            f"updated_at) values ({new_id}, %s, %s, %s, '', %s, 1, {moment}, {moment}) "
            "on conflict (company_id, flag_id) do update set enabled = excluded.enabled",
            [company, KEY, enabled, False],
        )


def _until(condition: Callable[[], bool], seconds: float, processes: Sequence[subprocess.Popen] = ()) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end or any(process.poll() is not None for process in processes):
            raise TimeoutError("a reader has not seen the change")
        time.sleep(0.0002)


@contextmanager
def _readers(company_id: UUID, mode: str, busy: bool, number: int) -> Iterator[Board]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "board"
        board = Board(path)
        _write(company_id, False)
        roles = [f"{mode}:{place}:{int(busy)}" for place in range(number)] + ["listener:19:0"] * (mode == "epoch")
        processes = [_start(path, company_id, role, "streamed" if mode == "streamed" else "exact") for role in roles]
        try:
            _until(lambda: sum(board[READY + place] for place in range(18)) == len(roles), 60, processes)
            yield board
        finally:
            board[STOP] = 1
            for process in processes:
                process.terminate()
                process.wait(10)
            board.close()


def _start(path: Path, company_id: UUID, role: str, freshness: str) -> subprocess.Popen:
    environment = {"DATABASE_URL": url_of(connection.settings_dict), "FLAGS_FRESHNESS": freshness}
    command = [sys.executable, "-m", "tests.benchmarks.otherworker", str(path), str(company_id), role]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment})
