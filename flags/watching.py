"""Versions without asking, for `FLAGS_FRESHNESS=streamed`: a thread of this process asks, so that checks need not.

The thread reads the versions of all that the process knows whenever PostgreSQL says that something was committed, and
several times within FLAGS_MAX_STALENESS_MS anyway. What it read counts from the moment it asked, by a clock that goes
on while the process is stopped. When that is a quarter of the bound ago the thread is late (it waits for its turn in a
busy process, for a core, for the database), and `versions.current` asks for itself, as it does for a company that is
not known yet. Nothing here is trusted to arrive; notifications only make it sooner.

What this process has itself written is never looked up here until the thread has asked again.
"""

import logging
import os
import random
import re
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from flags import listening, snapshots, versions
from flags.tracked import COMPANY_TABLES, GLOBAL_TABLES
from flags.versions import NIL, TOKENS
from tenants import patience

logger = logging.getLogger(__name__)

LOOKS_WITHIN_THE_BOUND = 8
LATE = 1 / 4
"""After which part of the bound without a look nobody waits for the thread. The rest is for giving the answer."""
SWITCH_SECONDS = 0.0005
"""How soon other threads let go of the interpreter while this one asks. Usually it is ten times as long."""
NEVER_READ = -1  # No version is this, so the database says what it is.
OUR_TABLES = re.compile("|".join((*GLOBAL_TABLES, *COMPANY_TABLES, "tenants_company", "tenants_apitoken")))


@dataclass(frozen=True, slots=True)
class Told:
    """The versions as of `asked_at`, or later."""

    asked_at: float
    versions: Mapping[UUID, int]


NOTHING = Told(float("-inf"), {})

_lock = threading.Lock()
_thread: threading.Thread | None = None
_stop = threading.Event()
_wake = threading.Event()
_trusted = 0.0
_pause = 0.0
_told = NOTHING
_written_at = float("-inf")
_usual_switch: float | None = None


def begin() -> None:
    """Answer `versions.current` from memory from now on. The thread starts with the first check of a process."""
    global _trusted, _pause
    bound = settings.FLAGS_MAX_STALENESS_MS / 1000
    _trusted, _pause = bound * LATE, bound / LOOKS_WITHIN_THE_BOUND
    connection_created.connect(_notice_writes_of, dispatch_uid="flags.watching")
    for connection in connections.all(initialized_only=True):
        _notice_writes_of(connection)
    versions.be_told_by(current)


def end() -> None:
    """Ask the database again for every check, and let the thread go. For tests."""
    global _thread, _told, _stop, _wake
    versions.be_told_by(None)
    connection_created.disconnect(dispatch_uid="flags.watching")
    for connection in connections.all(initialized_only=True):
        if _notice_writes in connection.execute_wrappers:
            connection.execute_wrappers.remove(_notice_writes)
    _stop.set()
    _wake.set()
    if _thread is not None:
        _thread.join(10)
    _thread, _told, _stop, _wake = None, NOTHING, threading.Event(), threading.Event()


def age() -> float:
    """Return how many seconds old what the thread has read is; infinite where it has not, or does not run."""
    return monotonic() - _told.asked_at


def is_late() -> bool:
    """Say whether checks of this process ask for themselves, because the thread has not asked for too long."""
    return _thread is not None and age() > _trusted


def current(company_id: UUID | None, connection: BaseDatabaseWrapper) -> tuple[int, int] | None:
    """Return the versions as the thread last read them; None where the database must be asked. No input or output."""
    if _thread is None:
        _start()
    told = _told
    if told.asked_at < _written_at or monotonic() - told.asked_at > _trusted:
        return None
    if connection.run_on_commit and any(isinstance(entry[1], Wrote) for entry in connection.run_on_commit):
        return None
    if company_id is None:
        return told.versions[NIL], 0
    own = told.versions.get(company_id)
    return None if own is None else (told.versions[NIL], own)


# What this process itself writes


class Wrote:
    """Stands among a transaction's on-commit callbacks while it has written to our tables, and not taken it back."""

    def __call__(self) -> None:
        _look_again()


def _look_again() -> None:
    global _written_at
    _written_at = monotonic()
    _wake.set()


def _notice_writes_of(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if _notice_writes not in connection.execute_wrappers:
        connection.execute_wrappers.append(_notice_writes)


def _notice_writes(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Run a statement. If it may write what answers rest on, the rest of the transaction asks for itself."""
    result = execute(sql, params, many, context)
    text = sql if isinstance(sql, str) else str(sql)
    if not text.lstrip()[:6].lower().startswith("select") and OUR_TABLES.search(text):
        connection = context["connection"]
        if not connection.in_atomic_block:
            _look_again()
        elif not any(isinstance(entry[1], Wrote) for entry in connection.run_on_commit):
            transaction.on_commit(Wrote(), using=connection.alias)
    return result


# The thread


def _start() -> None:
    global _thread
    with _lock:
        if _thread is None:
            _thread = threading.Thread(target=_watch, args=(_stop, _wake), name="flags-watcher", daemon=True)
            _thread.start()


def _watch(stop: threading.Event, wake: threading.Event) -> None:
    failures = 0
    while not stop.is_set():
        try:
            with patience.at_most(patience.QUICK_SECONDS):
                ears = listening.open_ears()
            watched = Watched()
            while not stop.is_set():
                wake.clear()
                with patience.at_most(patience.QUICK_SECONDS):
                    watched.look(ears)
                failures = 0
                ears.wait(_pause, wake)
        except Exception as error:  # Whatever it is, checks ask for themselves meanwhile.
            failures += 1
            logger.warning("watching interrupted error=%s times=%s", type(error).__name__, failures)
        connections.close_all()
        # At once the first time; then more and more slowly, and not all processes together.
        stop.wait(random.uniform(0, min(1.0, 0.05 * 2**failures)))  # noqa: S311


class Watched:
    """What the thread knows: the versions of the rules, of tokens, and of every company that this process has read.

    Before it has asked for one, it takes it to be what this process has read already. So it finds out when that has
    gone back meanwhile: restoring a backup cuts every connection, and with it whoever was watching.
    """

    def __init__(self) -> None:
        self._companies: Collection[UUID] = ()
        self._known: Mapping[UUID, int] = {NIL: _held(NIL), TOKENS: NEVER_READ}

    def look(self, ears: listening.Postgres | listening.SQLite) -> None:
        """Ask once, tell everybody, and bring up to date what has changed."""
        global _told
        companies = snapshots.companies()
        if companies is not self._companies:
            self._companies = companies
            asked = self._known
            self._known = {
                scope: asked[scope] if scope in asked else _held(scope) for scope in (NIL, TOKENS, *companies)
            }
        before, asked_at = self._known, monotonic()
        with _turns_soon():
            differing = ears.differing(before)
        if any(n < before[scope] for scope, n in differing.items()):
            snapshots.clear()  # Time has gone back: a backup was restored. What was read since is nobody's truth.
        if differing:
            self._known = {**before, **differing}
        _told = Told(asked_at, self._known)
        changed = {scope for scope in differing if before[scope] != NEVER_READ}
        snapshots.warm({None if scope == NIL else scope for scope in changed})


def _held(scope: UUID) -> int:
    held = snapshots.version_held(None if scope == NIL else scope)
    return NEVER_READ if held is None else held


@contextmanager
def _turns_soon() -> Iterator[None]:
    """Have busy threads of this process give way soon: asking once takes several turns, and each waits for one."""
    global _usual_switch
    usual = _usual_switch = sys.getswitchinterval()
    sys.setswitchinterval(min(SWITCH_SECONDS, usual))
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
        _usual_switch = None


def _after_fork() -> None:
    """Begin anew in a child, which has no such thread. What the parent was told ages in any case."""
    global _thread, _lock, _stop, _wake, _told, _usual_switch
    if _usual_switch is not None:
        sys.setswitchinterval(_usual_switch)
        _usual_switch = None
    _thread, _told = None, NOTHING
    _lock, _stop, _wake = threading.Lock(), threading.Event(), threading.Event()


os.register_at_fork(after_in_child=_after_fork)
