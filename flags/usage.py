"""Counts who asked for what and how it went, without a write on anybody's way.

A request hands over what it asked when it is done, as it is: one append to a queue, whatever the number of flags. A
thread of this process counts it and adds the counts to the database in batches, every few seconds, when much has
gathered, and at exit. A crash loses the last few seconds. The counts are evidence for gates, not accounts: they are
kept per flag, company and day.
"""

import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import ItemsView, Mapping
from datetime import UTC, date, datetime
from typing import Any

from django.conf import settings
from django.db import connection, connections, transaction

from tenants.rls import acting_as_system

logger = logging.getLogger(__name__)

HANDED_BEFORE_COUNTING = 500
HANDED_AT_MOST = 5_000
GATHERED_BEFORE_FLUSH = 5_000
GATHERED_AT_MOST = 50_000

# Who is gone by now, company or flag, is not counted.
PER_COMPANY = """
insert into flags_usage (company_id, flag_id, day, "on", "off", errors, last_at, last_error_at)
select c.id, f.key, {day}, %s, %s, %s, {moment}, {moment}
from tenants_company c, flags_flag f where c.id = %s and f.key = %s
on conflict (company_id, flag_id, day) do update set
"""
PER_DAY = """
insert into flags_dailyusage (flag_id, day, "on", "off", errors, last_at, last_error_at, last_on_at)
select f.key, {day}, %s, %s, %s, {moment}, {moment}, {moment} from flags_flag f where f.key = %s
on conflict (flag_id, day) do update set {later_on_at},
"""
ADD = """
  "on" = {table}."on" + excluded."on", "off" = {table}."off" + excluded."off",
  errors = {table}.errors + excluded.errors, {later_at}, {later_error_at}
"""
# The later of two moments, of which one may be missing: SQLite's greatest of something and nothing is nothing.
LATER = "{name} = {greatest}(coalesce({table}.{name}, excluded.{name}), coalesce(excluded.{name}, {table}.{name}))"


class Tally:
    """What has gathered for one company, flag and day."""

    __slots__ = ("errors", "last_at", "last_error_at", "last_on_at", "off", "on")

    def __init__(self) -> None:
        self.on = self.off = self.errors = 0
        self.last_at: datetime = datetime.min.replace(tzinfo=UTC)
        self.last_error_at: datetime | None = None
        self.last_on_at: datetime | None = None

    def count(self, enabled: bool, moment: datetime, failed: bool) -> None:
        """Count one answer. An error is held against what was on."""
        if enabled:
            self.on += 1
            self.last_on_at = _later(self.last_on_at, moment)
        else:
            self.off += 1
        if failed and enabled:
            self.errors += 1
            self.last_error_at = _later(self.last_error_at, moment)
        self.last_at = max(self.last_at, moment)

    def add(self, other: "Tally") -> None:
        """Take over what another tally has counted."""
        self.on += other.on
        self.off += other.off
        self.errors += other.errors
        self.last_at = max(self.last_at, other.last_at)
        self.last_error_at = _later(self.last_error_at, other.last_error_at)
        self.last_on_at = _later(self.last_on_at, other.last_on_at)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one and other else one or other


Name = tuple[str, str, date]
Handed = tuple[str, float, ItemsView[str, bool], bool]
"""A company's id, when, what was answered, and whether it ended in a server error."""

_handed: deque[Handed] = deque()  # Appending to it takes no lock.
_lock = threading.Lock()
_writing = threading.Lock()
_gathered: dict[Name, Tally] = {}
_enough = threading.Event()
_thread: threading.Thread | None = None


def count(company_id: str, answers: ItemsView[str, bool], *, failed: bool = False) -> None:
    """Count one request's (or one job's) answers to a company. `failed`: it ended in a server error.

    They are looked at when they are counted: what is answered late, while a response streams, may still come in.
    """
    if not answers or not settings.FLAGS_USAGE_SECONDS:
        return
    _handed.append((company_id, time.time(), answers, failed))
    if len(_handed) >= HANDED_BEFORE_COUNTING:
        if len(_handed) >= HANDED_AT_MOST:
            _gather()  # The thread does not keep up: whoever brings more counts it himself.
        if not _enough.is_set():
            _enough.set()
    if _thread is None:
        _start()


def _gather() -> None:
    """Count what was handed over. What there is no room for is left out."""
    with _lock:
        while _handed:
            company_id, at, answers, failed = _handed.popleft()
            moment = datetime.fromtimestamp(at, UTC)
            for key, enabled in list(answers):  # At one stroke: whoever answers may not be done.
                tally = _tally((company_id, key, moment.date()))
                if tally is not None:
                    tally.count(enabled, moment, failed)


def _tally(name: Name) -> Tally | None:
    tally = _gathered.get(name)
    if tally is None and len(_gathered) < GATHERED_AT_MOST:
        tally = _gathered[name] = Tally()
    return tally


def waiting() -> int:
    """Return how many requests and counts are not written down yet."""
    return len(_handed) + len(_gathered)


def flush() -> int:
    """Write what has gathered, and return how many rows that were. What cannot be written is kept for the next time.

    Waits for another thread that is writing: when this returns at exit, nothing is under way any more.
    """
    with _writing:
        return _flush()


def _flush() -> int:
    _gather()
    with _lock:
        taken = dict(_gathered)
        _gathered.clear()
    if not taken:
        return 0
    try:
        _write(taken)
    except Exception as error:
        logger.warning("usage kept back error=%s rows=%s", type(error).__name__, len(taken))
        with _lock:
            for name, tally in taken.items():
                if name in _gathered:
                    _gathered[name].add(tally)
                elif len(_gathered) < GATHERED_AT_MOST:
                    _gathered[name] = tally
        return 0
    return len(taken)


def hold_still() -> None:
    """Let nobody write down usage until this transaction ends. For taking rows away that counts rest on.

    Whoever writes holds counts and wants the flags and companies they are of; who takes a flag away holds the flag and
    wants its counts. So the latter waits for the former first, before holding anything that they may want.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("lock table flags_usage, flags_dailyusage in share row exclusive mode")


def _write(taken: Mapping[Name, Tally]) -> None:
    postgres = connection.vendor == "postgresql"
    by_day: dict[tuple[str, date], Tally] = {}
    per_company, per_day = [], []
    # One order for everybody, so that two processes never wait for each other.
    for (company_id, key, day), tally in sorted(taken.items()):
        by_day.setdefault((key, day), Tally()).add(tally)
        company = company_id if postgres else company_id.replace("-", "")
        per_company.append(
            (*_counts(day, tally), *_moments(postgres, tally.last_at, tally.last_error_at), company, key)
        )
    for (key, day), tally in sorted(by_day.items()):
        moments = _moments(postgres, tally.last_at, tally.last_error_at, tally.last_on_at)
        per_day.append((*_counts(day, tally), *moments, key))
    with acting_as_system("write down usage"), transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(_statement(PER_COMPANY, "flags_usage", postgres), per_company)
        cursor.executemany(_statement(PER_DAY, "flags_dailyusage", postgres), per_day)


def _statement(insert: str, table: str, postgres: bool) -> str:
    words = {"day": "%s::date", "moment": "%s::timestamptz"} if postgres else {"day": "%s", "moment": "%s"}
    greatest = "greatest" if postgres else "max"
    for name in ("last_at", "last_error_at", "last_on_at"):
        words[name.replace("last", "later")] = LATER.format(name=name, table=table, greatest=greatest)
    return (insert + ADD).format(table=table, **words)


def _counts(day: date, tally: Tally) -> tuple[Any, ...]:
    return (str(day), tally.on, tally.off, tally.errors)


def _moments(postgres: bool, *moments: datetime | None) -> tuple[Any, ...]:
    if postgres:
        return moments
    # SQLite keeps moments as Django writes them: in UTC, without saying so.
    return tuple(None if moment is None else str(moment.replace(tzinfo=None)) for moment in moments)


def _run() -> None:
    due = time.monotonic() + settings.FLAGS_USAGE_SECONDS
    while True:
        _enough.wait(max(due - time.monotonic(), 0))
        _enough.clear()
        due = _turn(due)


def _turn(due: float) -> float:
    """Count what was handed over, and write it down where it is due or much. Return when it is due next."""
    _gather()
    if time.monotonic() < due and len(_gathered) < GATHERED_BEFORE_FLUSH:
        return due
    flush()
    # Nobody else uses this thread's connection; it must not outlive a server that was restarted.
    connections.close_all()
    return time.monotonic() + settings.FLAGS_USAGE_SECONDS


def _start() -> None:
    global _thread
    with _lock:
        if _thread is None:
            _thread = threading.Thread(target=_run, name="flags-usage", daemon=True)
            _thread.start()


def _after_fork() -> None:
    """Begin anew in a child: it has no thread, and what the parent gathered is the parent's to write."""
    global _thread, _lock, _writing
    _thread = None
    _lock, _writing = threading.Lock(), threading.Lock()
    forget()


def forget() -> None:
    """Drop what is not written down yet."""
    _handed.clear()
    _gathered.clear()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(flush)
