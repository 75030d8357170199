"""One number, written over and over and read by other processes: `python -m tests.flags.freshness`.

The number stands twice, as the defaults of fourteen flags and as a company's overrides of fourteen others, and each
write changes both in one transaction. A reader that sees two different numbers has read half a change; one that sees a
number smaller than the last that was acknowledged before it began has read the past. Where a bound of staleness is
promised instead (`streamed`), the last that was acknowledged so long ago is what counts.
"""

import json
import mmap
import os
import random
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from uuid import UUID

import django
from django.conf import settings
from django.db import connection, transaction

from tests.flags.otherprocess import ROOT, url_of

BITS = 14
RULES = [f"rule_{bit}" for bit in range(BITS)]
OWN = [f"own_{bit}" for bit in range(BITS)]
STARTED, ACKNOWLEDGED, STOP, READERS_READY = range(4)


class Board:
    """A few numbers that processes share through a file. One writer each; reading and writing one is atomic."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(b"\0" * 4096)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 4096)
        self._numbers = memoryview(self._map).cast("Q")

    def __getitem__(self, place: int) -> int:
        return self._numbers[place]

    def __setitem__(self, place: int, number: int) -> None:
        self._numbers[place] = number

    def close(self) -> None:
        self._numbers.release()
        self._map.close()


def bits(number: int) -> list[bool]:
    return [bool(number >> bit & 1) for bit in range(BITS)]


def number(answers: list[bool]) -> int:
    return sum(answer << bit for bit, answer in enumerate(answers))


# The writer: the test itself


def lay_out(company_id: UUID) -> None:
    """Make the flags, and the company's overrides, that say 0 in both places."""
    from flags.models import Flag, Override

    flags = [Flag(key=key, name=key) for key in (*RULES, *OWN)]
    Flag.objects.bulk_create(flags, ignore_conflicts=True)
    Flag.objects.filter(key__in=RULES).update(default_enabled=False)
    Override.objects.filter(company=company_id, flag__in=OWN).delete()
    Override.objects.bulk_create(Override(company_id=company_id, flag_id=key, enabled=False) for key in OWN)


def write(company_id: UUID, value: int, before: int) -> None:
    """Change the number from `before` to `value` in both places, each time by other means."""
    from flags.models import Flag, Override

    for keys, model, column in ((RULES, Flag, "default_enabled"), (OWN, Override, "enabled")):
        for key, now, was in zip(keys, bits(value), bits(before), strict=True):
            if now == was:
                continue
            rows = model.objects.filter(pk=key) if model is Flag else model.objects.filter(flag=key, company=company_id)
            means = random.randrange(3)
            if means == 0:
                row = rows.get()
                setattr(row, column, now)
                row.save()
            elif means == 1:
                rows.update(**{column: now})
            else:
                with connection.cursor() as cursor:
                    where = "key = %s" if model is Flag else "flag_id = %s"
                    cursor.execute(f"update {model._meta.db_table} set {column} = %s where {where}", [now, key])


def keep_writing(board: Board, company_id: UUID, seconds: float) -> int:
    """Write number after number; now and then one that is taken back. Returns how many were acknowledged."""
    value, end = 0, time.monotonic() + seconds
    while time.monotonic() < end and value < 2**BITS - 2:
        if random.random() < 0.1:
            with transaction.atomic():
                write(company_id, 2**BITS - 1, value)
                transaction.set_rollback(True)
        board[STARTED] = value + 1
        with transaction.atomic():
            write(company_id, value + 1, value)
        value += 1
        board[ACKNOWLEDGED] = value
    return value


class Reader:
    """A process that reads until it is told to stop."""

    def __init__(
        self, board: Path, place: int, company_id: UUID, settings_dict: dict, sabotage: str = "", **environment: str
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.flags.freshness", str(board), str(place), str(company_id), sabotage],
            cwd=ROOT,
            env={
                **os.environ,
                "DATABASE_URL": url_of(settings_dict),
                "DJANGO_SETTINGS_MODULE": "tests.settings",
                **environment,
            },
            stdout=subprocess.PIPE,
            text=True,
        )

    def result(self) -> dict[str, int]:
        """Wait for it to stop, and return how often it saw what."""
        output, _ = self.process.communicate(timeout=30)
        return json.loads(output)


def contest(
    path: Path, company_id, readers: int, seconds: float, sabotage: str = "", **environment: str
) -> tuple[int, dict[str, int]]:
    """Let readers read while we write. Return how many writes were acknowledged, and what the readers saw in all."""
    board = Board(path)
    others = [
        Reader(path, place, company_id, connection.settings_dict, sabotage, **environment) for place in range(readers)
    ]
    try:
        while not all(board[READERS_READY + 1 + place] for place in range(readers)):
            assert all(other.process.poll() is None for other in others), "a reader could not start"
            time.sleep(0.02)
        keep_writing(board, company_id, seconds)
        board[STOP] = 1
        results = [other.result() for other in others]
    finally:
        board[STOP] = 1
        for other in others:
            other.process.kill()
            other.process.communicate()
    acknowledged = board[ACKNOWLEDGED]
    board.close()
    together = {name: sum(result[name] for result in results) for name in results[0]}
    return acknowledged, together | {"behind_us": max(result["behind_us"] for result in results)}


# The readers


def read(board: Board, place: int, company_id: UUID) -> dict[str, int]:
    """Read as fast as possible, with the process's memory emptied now and then."""
    from flags import snapshots
    from flags.features import features_for

    seen = {"reads": 0, "too_old": 0, "never_written": 0, "torn": 0, "not_exact": 0, "different": 0, "behind_us": 0}
    streamed = settings.FLAGS_FRESHNESS == "streamed"
    bound = settings.FLAGS_MAX_STALENESS_MS / 1000 if streamed else 0.0
    last = None
    history = deque([(time.monotonic(), board[ACKNOWLEDGED])])
    while not board[STOP]:
        if random.random() < (0.0005 if streamed else 0.02):
            snapshots.clear()
        now, newest = time.monotonic(), board[ACKNOWLEDGED]
        if newest != history[-1][1]:
            history.append((now, newest))
        while len(history) > 1 and history[1][0] <= now - bound:
            history.popleft()
        # What was acknowledged so long ago, as far as this process saw it.
        acknowledged = history[0][1] if history[0][0] <= now - bound else 0
        features = features_for(None, company_id)
        rules, own = number([features[key] for key in RULES]), number([features[key] for key in OWN])
        started = board[STARTED]
        seen["reads"] += 1
        seen["torn"] += rules != own
        seen["too_old"] += min(rules, own) < acknowledged
        seen["never_written"] += max(rules, own) > started
        seen["not_exact"] += features.stale
        seen["different"] += rules != last
        last = rules
        if own < newest:
            missed = next(at for at, value in history if value > own)
            seen["behind_us"] = max(seen["behind_us"], int((time.monotonic() - missed) * 1e6))
        board[READERS_READY + 1 + place] = 1
    return seen


def sabotage(how: str) -> None:
    """Break one promise on purpose, so that the test can be seen to notice."""
    from flags import snapshots, versions

    if how == "keep versions for a while":
        exact, kept = versions.current, {}

        def late(company_id, **kwargs):
            at, found = kept.get(company_id, (0.0, None))
            if time.monotonic() - at > 0.05:
                found = exact(company_id, **kwargs)
                kept[company_id] = time.monotonic(), found
            return found

        versions.current = late
    elif how == "mix what was read apart":
        find = snapshots._find

        def mixed(company_id, known, seen, at):
            rules = snapshots._file_rules(snapshots.load(None, rules=True))
            time.sleep(0.002)
            facts = snapshots._file_facts(company_id, snapshots.load(company_id, rules=False))
            return snapshots.Known(rules, facts[0], snapshots._compile(rules, facts, at))

        assert find
        snapshots._find = mixed


def main(path: str, place: str, company_id: str, how: str) -> None:
    """Be one of the readers."""
    django.setup()
    sabotage(how)
    print(json.dumps(read(Board(Path(path)), int(place), UUID(company_id))))


if __name__ == "__main__":
    main(*sys.argv[1:])
