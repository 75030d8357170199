"""A Redis cache that can fail without anybody noticing but the log. A well-kept cache behind a guard.

Three things are ours: JSON instead of pickle (what comes back from Redis is untrusted data), every failure counts as a
miss, and a breaker: after three failures in a row Redis is left alone for three seconds,
and after that for as long again with every single one.
"""

import json
import logging
import time
from typing import Any

from django.core.cache.backends.redis import RedisCache

logger = logging.getLogger(__name__)

FAILURES_BEFORE_A_BREAK = 3
BREAK_SECONDS = 3.0
SECONDS_BETWEEN_LOG_LINES = 60.0


class JSONSerializer:
    """Values go to Redis as JSON text. What is not JSON when it comes back is a miss, never an exception."""

    def dumps(self, value: Any) -> bytes:
        return json.dumps(value, separators=(",", ":")).encode()

    def loads(self, data: bytes) -> Any:
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            return None


class Breaker:
    """Remembers failures in a row, and says when to leave the server alone for a while."""

    def __init__(self) -> None:
        self.failures = 0
        self.open_until = 0.0
        self.logged_at = float("-inf")

    @property
    def is_open(self) -> bool:
        return time.monotonic() < self.open_until

    def succeeded(self) -> None:
        self.failures = 0

    def failed(self, error: Exception) -> None:
        now = time.monotonic()
        self.failures += 1
        if self.failures >= FAILURES_BEFORE_A_BREAK:
            self.open_until = now + BREAK_SECONDS
        if now - self.logged_at >= SECONDS_BETWEEN_LOG_LINES:
            self.logged_at = now
            logger.warning("cache unavailable error=%s", type(error).__name__)


# Django makes one cache object per thread; what is known of the server is known to the whole process.
_breakers: dict[str, Breaker] = {}


def is_left_alone() -> bool:
    """Say whether any cache server is being left alone at this moment."""
    return any(breaker.is_open for breaker in _breakers.values())


class GuardedRedisCache(RedisCache):
    """Django's Redis cache, except that no call ever raises because of Redis.

    Reads answer the default and writes answer False while the server is away, slow or talking nonsense.
    """

    def __init__(self, server, params):
        options = params.setdefault("OPTIONS", {})
        options.setdefault("serializer", JSONSerializer())
        options.setdefault("socket_connect_timeout", 0.1)
        options.setdefault("socket_timeout", 0.1)
        super().__init__(server, params)
        self.breaker = _breakers.setdefault(str(server), Breaker())

    def _guarded(self, otherwise, method, *args, **kwargs):
        if self.breaker.is_open:
            return otherwise
        try:
            answer = method(*args, **kwargs)
        except Exception as error:  # whatever a broken server provokes, it is a miss
            self.breaker.failed(error)
            return otherwise
        self.breaker.succeeded()
        return answer

    def add(self, *args, **kwargs):
        return self._guarded(False, super().add, *args, **kwargs)

    def get(self, key, default=None, version=None):
        return self._guarded(default, super().get, key, default, version)

    def set(self, *args, **kwargs):
        return self._guarded(None, super().set, *args, **kwargs)

    def touch(self, *args, **kwargs):
        return self._guarded(False, super().touch, *args, **kwargs)

    def delete(self, *args, **kwargs):
        return self._guarded(False, super().delete, *args, **kwargs)

    def get_many(self, keys, version=None):
        return self._guarded({}, super().get_many, keys, version)

    def has_key(self, *args, **kwargs):
        return self._guarded(False, super().has_key, *args, **kwargs)

    def incr(self, key, delta=1, version=None):
        """Raises ValueError for a key that is not there, as every Django cache does."""
        if self.breaker.is_open:
            raise ValueError(f"Key {key!r} not found")
        try:
            return super().incr(key, delta, version)
        except ValueError:
            raise
        except Exception as error:
            self.breaker.failed(error)
            raise ValueError(f"Key {key!r} not found") from error

    def set_many(self, data, *args, **kwargs):
        return self._guarded(list(data), super().set_many, data, *args, **kwargs)

    def delete_many(self, *args, **kwargs):
        return self._guarded(None, super().delete_many, *args, **kwargs)

    def clear(self):
        return self._guarded(False, super().clear)

    def is_reachable(self) -> bool:
        """Say whether Redis answers now; for the readiness page."""
        try:
            return bool(self._cache.get_client().ping())
        except Exception:
            return False
