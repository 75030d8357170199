"""How often one credential may call. Evaluating and administering are counted apart: neither starves the other."""

import time
from hashlib import sha256

from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


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
        who = identity(request)
        if who is None:
            return True
        most, seconds = parse_rate(settings.API_RATE_LIMIT)
        now = time.time()
        window = int(now // seconds)
        self.remaining_seconds = (window + 1) * seconds - now
        name = f"api:calls:{getattr(view, 'counted_as', 'admin')}:{who}:{seconds}:{window}"
        return _count(name, seconds) <= most

    def wait(self) -> float:
        return self.remaining_seconds


def identity(request: Request) -> str | None:
    """Return a name for the credential, or None for nobody: strangers are refused cheaply anyway."""
    principal = request._request.principal  # type: ignore[attr-defined]
    if principal.token is not None:
        return f"token:{principal.token.pk}"
    if principal.user is None:
        return None
    # Each sign-in of a person counts by itself, so that a script of theirs does not shut them out of their browser.
    sign_in = principal.claims.get("sid") or request._request.session.session_key or ""
    return f"user:{principal.user.pk}:{sha256(sign_in.encode()).hexdigest()[:16]}"


def _count(name: str, seconds: int) -> int:
    """Return how often this was counted, this time included; 0 where nothing can be counted."""
    for _ in range(2):
        try:
            return int(cache.incr(name))
        except ValueError:
            if cache.add(name, 1, timeout=seconds + 1):
                return 1
    return 0
