"""How long anybody waits for a database that says nothing: the server's own time-outs end with the server.

A server that is stopped, or a network that swallows packets, refuses nothing and answers nothing; a client without a
limit of its own waits until TCP gives up. So whoever serves a request says how long it may wait, and the connections
of tenants.postgresql keep to it. Commands, migrations and jobs say nothing, and wait as long as their work takes.
"""

import random
import time
from contextvars import ContextVar

from tenants import forking

QUICK_SECONDS = 1.5
"""For reading one row by its key: who asks, and which version of the rules is the present one."""

SERVING_SECONDS = 8.5
"""For one statement of a request. A writer waits up to eight for another, and nobody ten for an answer."""

_limit: ContextVar[float | None] = ContextVar("patience", default=None)


def limit() -> float | None:
    """Return for how many seconds one statement may keep us waiting here; None is for as long as it takes."""
    return _limit.get()


class at_most:
    """Wait no longer than this for any one statement of the block. A shorter limit outside stays in force.

    A context manager; a class, since every request enters it several times, and a generator costs three times as much.
    """

    __slots__ = ("_seconds", "_token")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        outer = _limit.get()
        self._token = _limit.set(self._seconds if outer is None or self._seconds < outer else outer)

    def __exit__(self, *exception: object) -> None:
        _limit.reset(self._token)


def extend(seconds: float) -> None:
    """Go on with another limit until the enclosing `at_most` ends."""
    _limit.set(seconds)


class Breaker:
    """Remembers that the database could not be reached, so that not everybody tries at once.

    While it is open one caller at a time may try to connect, and the others are told at once. It opens for moments of
    random length: processes that lost the server together do not all come back in the same instant.
    """

    def __init__(self) -> None:
        self._lock = forking.Lock()
        self._open_until: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the last attempt failed."""
        return self._open_until is not None

    def admits(self) -> bool:
        """Say whether the caller may try to connect now. Where it may, the next ones may not until it is done."""
        if self._open_until is None:
            return True
        with self._lock:
            now = time.monotonic()
            if self._open_until is not None and now < self._open_until:
                return False
            self._open_until = now + SERVING_SECONDS  # In case whoever tries never comes back.
            return True

    def opened(self, seconds: float) -> None:
        """Somebody has waited in vain: let nobody connect for about as long as this."""
        with self._lock:
            self._open_until = time.monotonic() + seconds * random.uniform(0.5, 1.0)  # noqa: S311

    def closed(self) -> None:
        """The database was reached."""
        self._open_until = None


breaker = Breaker()
