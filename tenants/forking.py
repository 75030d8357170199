"""What a child of this process must not inherit: locks held by a thread that is not in it."""

import os
import threading
from weakref import WeakSet


class Lock:
    """A lock that is open in a child, whoever of the parent's threads held it at that instant. A context manager."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _all.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *exception: object) -> None:
        self._lock.release()


_all: WeakSet[Lock] = WeakSet()


def _after_fork() -> None:
    for lock in _all:
        lock._lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
