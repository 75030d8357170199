"""From who asks to what they get: exactly, or as last known, or not at all. Never an exception.

Without a database the last good answers go on, marked stale; where nothing is known there are none.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.core.exceptions import SynchronousOnlyOperation
from django.db import DEFAULT_DB_ALIAS, connections
from django.db import Error as DatabaseProblem

from flags import snapshots
from flags.answers import Answers, Rules
from flags.evaluation import CompanyFacts, Subject
from tenants import patience

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_COMPLAINTS = 60.0

LOOP_SECONDS = 2 * patience.QUICK_SECONDS
"""For so long at most an event loop stands still for one answer."""

_loop_helper = ThreadPoolExecutor(max_workers=4, thread_name_prefix="features")
_complained_at = float("-inf")


@dataclass(slots=True)  # Not frozen, only because every request makes one, and pays for that.
class Asker:
    """Who asks: a company, a person in it or none, and whether it is a super admin who views as nobody else."""

    company_id: UUID | None = None
    user_id: str | None = None
    is_super_admin: bool = False


@dataclass(slots=True)  # Not frozen, for the same reason.
class Resolution:
    """All that one asker's answers rest on, as of one moment. `rules` is None when nothing could be read, ever.

    `pending` are the uncommitted changes that were seen with it: it stands only while they do.
    """

    answers: Mapping[str, bool]
    rules: Rules | None
    company: CompanyFacts | None
    asker: Asker
    at: datetime
    stale: bool = False
    pending: tuple[snapshots.Uncommitted, ...] = ()

    @property
    def subject(self) -> Subject:
        """Return the asker as evaluation sees it."""
        return Subject(self.company, self.asker.user_id, self.asker.is_super_admin)


NOTHING_KNOWN = Resolution({}, None, None, Asker(), datetime.min.replace(tzinfo=UTC), stale=True)


def resolve(ask: Callable[[], Asker]) -> Resolution:
    """Return what answers rest on for whoever `ask` names. One query when nothing has changed. Never raises."""
    at = datetime.now(UTC)  # What Django's `now` is, without asking the settings whether to.
    try:
        return _resolve_exactly(ask, at)
    except SynchronousOnlyOperation:
        # On an event loop Django forbids database work. Blocking the loop for one query is the lesser evil: a wrong
        # "off" would be an outage. `Features.aload` avoids it.
        try:
            return _loop_helper.submit(_resolve_and_let_go, ask).result(LOOP_SECONDS)
        except Exception as error:  # A time-out, or an interpreter that is about to end.
            problem = error
    except Exception as error:  # Whatever broke, a check answers.
        problem = error
    if isinstance(problem, DatabaseProblem) and _let_go_of_dead_connection():
        # The server was only away for a while; outside requests nobody else looks after the connection.
        try:
            return _resolve_exactly(ask, at)
        except Exception as error:
            problem = error
    complain(problem)
    try:
        asker = ask()
        known = snapshots.last_known(None if asker.is_super_admin else asker.company_id, at)
        return NOTHING_KNOWN if known is None else _resolution(known, asker, at, stale=True)
    except Exception:
        return NOTHING_KNOWN


def _resolve_and_let_go(ask: Callable[[], Asker]) -> Resolution:
    try:
        with patience.at_most(patience.QUICK_SECONDS):
            return resolve(ask)
    finally:
        connections.close_all()


def _resolve_exactly(ask: Callable[[], Asker], at: datetime) -> Resolution:
    asker = ask()
    known: Answers | Rules | None = None
    if asker.company_id is not None and not asker.is_super_admin:
        known = snapshots.resolve(asker.company_id, at)
    return _resolution(known or snapshots.resolve_rules(at), asker, at)


def _resolution(known: Answers | Rules, asker: Asker, at: datetime, *, stale: bool = False) -> Resolution:
    if isinstance(known, Answers):
        rules, company, answers = known.rules, known.facts, known.for_user(asker.user_id, at)
    else:
        rules, company, answers = known, None, known.super_admin if asker.is_super_admin else known.nobody
    pending = () if rules.version else snapshots.uncommitted()
    return Resolution(answers, rules, company, asker, at, stale, pending)


def _let_go_of_dead_connection() -> bool:
    """Close the connection if the database no longer answers on it. Says whether it did."""
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.connection is None or connection.in_atomic_block:
        return False
    connection.close_if_unusable_or_obsolete()
    return connection.connection is None


def complain(problem: Exception) -> None:
    """Log why answers are not exact: once a minute in full, since in an outage every request has the same to say."""
    global _complained_at
    now = time.monotonic()
    if now - _complained_at >= SECONDS_BETWEEN_COMPLAINTS:
        _complained_at = now
        logger.error("answers are from the past error=%s", type(problem).__name__, exc_info=problem)


def _after_fork() -> None:
    """Begin with helpers of its own in a child: the parent's are not there, and would be waited for."""
    global _loop_helper
    _loop_helper = ThreadPoolExecutor(max_workers=4, thread_name_prefix="features")


os.register_at_fork(after_in_child=_after_fork)
