"""How often one credential may call. Evaluating and administering are counted apart: neither starves the other."""

import time
from collections import OrderedDict
from functools import cache
from hashlib import sha256

from django.conf import settings
from django.core.cache import cache as shared
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from tenants import forking

LEASES_KEPT = 10_000
SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


@cache
def parse_rate(text: str) -> tuple[int, int]:
    """Return how many calls in how many seconds: "600/min" is (600, 60). Raises ValueError."""
    number, slash, unit = text.strip().partition("/")
    if not (slash and number.isdecimal() and unit in SECONDS):
        raise ValueError(f"{text!r} is no rate. Write a number per s, min, h or d, such as 600/min.")
    return int(number), SECONDS[unit]


class CredentialThrottle(BaseThrottle):
    """So many calls in each window of time, counted in the cache: shared by all processes where that is Redis.

    A cache that is away counts nothing and lets everybody through: losing it must not lose the API.
    """

    def __init__(self) -> None:
        self.remaining_seconds = 0.0

    def allow_request(self, request: Request, view: APIView) -> bool:
        plain = request._request
        if getattr(plain, "is_counted", False):
            return True  # It set out on the short way (flags.api.features), and was counted there.
        admitted, self.remaining_seconds = count(plain, getattr(view, "counted_as", "admin"))
        return admitted

    def wait(self) -> float:
        return self.remaining_seconds


def count(request: HttpRequest, counted_as: str) -> tuple[bool, float]:
    """Count a call; say whether its credential may make it, and in how many seconds it may make more."""
    who = identity(request)
    if who is None:
        return True, 0.0
    most, seconds = parse_rate(settings.API_RATE_LIMIT)
    now = time.time()
    window = int(now // seconds)
    name = f"api:calls:{counted_as}:{who}:{seconds}:{window}"
    return leases.count(name, seconds, most) <= most, (window + 1) * seconds - now


def identity(request: HttpRequest) -> str | None:
    """Return a name for the credential, or None for nobody: strangers are refused cheaply anyway."""
    principal = request.principal  # type: ignore[attr-defined]
    if principal.token is not None:
        return f"token:{principal.token.pk}"
    if principal.user is None:
        return None
    # Each sign-in of a person counts by itself, so that a script of theirs does not shut them out of their browser.
    sign_in = principal.claims.get("sid") or request.session.session_key or ""
    return f"user:{principal.user.pk}:{sha256(sign_in.encode()).hexdigest()[:16]}"


class Leases:
    """Calls taken from the shared count many at a time, so that not every call has to ask the cache.

    A hundredth of the limit at once: what a process took and did not use by the end of a window was counted, and is
    lost to whoever calls the others.
    """

    def __init__(self) -> None:
        self._lock = forking.Lock()
        self._taken: OrderedDict[str, range] = OrderedDict()

    def count(self, name: str, seconds: int, most: int) -> int:
        """Return which call of its window this is; 0 where nothing can be counted."""
        many = max(most // 100, 1)
        with self._lock:
            left = self._taken.get(name)
            if left:
                self._taken[name] = left[1:]
                return left[0]
        total = _add(name, seconds, many)
        if not total or many == 1:
            return total
        with self._lock:
            self._taken[name] = range(total - many + 2, total + 1)
            self._taken.move_to_end(name)
            while len(self._taken) > LEASES_KEPT:
                self._taken.popitem(last=False)
        return total - many + 1

    def clear(self) -> None:
        """Forget what was taken. For tests."""
        with self._lock:
            self._taken.clear()


leases = Leases()


def _add(name: str, seconds: int, many: int) -> int:
    """Add calls to the shared count and return how many these are by now; 0 where nothing can be counted."""
    for _ in range(2):
        try:
            return int(shared.incr(name, many))
        except ValueError:
            if shared.add(name, many, timeout=seconds + 1):
                return many
    return 0
