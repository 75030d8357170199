"""A second attempt at what PostgreSQL ended because somebody had to give way: for all verbs, whoever calls them.

Our own writers never meet in a circle (ADR 3). Whoever changes rules past them may: an operator's script, a data
migration, a transaction of the host application that changes two flags in an order of its own.
"""

import logging
import random
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import Error as DatabaseError
from django.db import connection

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

GAVE_WAY = {"40P01", "40001"}
"""A deadlock, and a serialization failure: nothing is wrong with what was wanted, and nothing of it was done."""

PAUSE_SECONDS = (0.05, 0.15)

_is_under_way: ContextVar[bool] = ContextVar("a verb is under way", default=False)


def verb(change: Callable[P, T]) -> Callable[P, T]:
    """Mark a change that somebody can ask for: it is repeated, once, where it had to give way to somebody else.

    All it does is one transaction, or a savepoint of one, and nothing outside the database; what is due on commit is
    forgotten with the first attempt. Undoing that let go of every lock it took, so whoever stood in the way goes on. Of
    verbs that are made of verbs the outermost is repeated, as a whole. A second time, and anything else, raises what
    django.db raises, as ever.
    """

    @wraps(change)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> T:
        if _is_under_way.get():
            return change(*args, **kwargs)
        token = _is_under_way.set(True)
        try:
            try:
                return change(*args, **kwargs)
            except DatabaseError as error:
                if not _gave_way(error):
                    raise
                logger.warning("repeated after a deadlock verb=%s", change.__name__)
            # Whoever stood in the way has been woken, and needs a moment to take what was let go of.
            time.sleep(random.uniform(*PAUSE_SECONDS))  # noqa: S311
            return change(*args, **kwargs)
        finally:
            _is_under_way.reset(token)

    return attempt


def _gave_way(error: DatabaseError) -> bool:
    """Say whether all of an attempt is undone and may be made again. A transaction around it may be beyond that."""
    is_undone = not (connection.in_atomic_block and connection.needs_rollback)
    return is_undone and getattr(error.__cause__, "sqlstate", None) in GAVE_WAY
