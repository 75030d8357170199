"""A second attempt at what PostgreSQL ended because somebody had to give way."""

import logging
import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import Error as DatabaseError

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

GAVE_WAY = {"40P01", "40001"}
"""A deadlock, and a serialization failure: nothing is wrong with what was wanted, and nothing of it was done."""

PAUSE_SECONDS = (0.05, 0.15)


def once_more_after_a_deadlock(verb: Callable[P, T]) -> Callable[P, T]:
    """Repeat a verb once where it had to give way. All it does must be one transaction, or a savepoint of one.

    Leaving that transaction has let go of every lock it took, so whoever stood in the way goes on. A second time raises
    django.db.OperationalError, as ever. Stands around verbs that take rows which not only writers lock.
    """

    @wraps(verb)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return verb(*args, **kwargs)
        except DatabaseError as error:
            if getattr(error.__cause__, "sqlstate", None) not in GAVE_WAY:
                raise
            logger.warning("repeated after a deadlock verb=%s", verb.__name__)
        # Whoever stood in the way has been woken, and needs a moment to take what was let go of.
        time.sleep(random.uniform(*PAUSE_SECONDS))  # noqa: S311
        return verb(*args, **kwargs)

    return attempt
