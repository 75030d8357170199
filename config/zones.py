"""In which time zone somebody reads and writes times: that of their browser, which says so in a cookie.

Pages show days and moments in it, and take what is typed into a form for it. The API speaks UTC whoever asks.
"""

from collections.abc import Callable
from functools import lru_cache
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from config.cors import PATHS

COOKIE = "headgate_zone"
LONGEST_NAME = 64


class ZoneMiddleware:
    """Activate the time zone that the cookie `headgate_zone` names, for pages; UTC without one, or with nonsense."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        zone = None if request.path_info.startswith(PATHS) else named(request.COOKIES.get(COOKIE, ""))
        if zone is None:
            return self.get_response(request)
        with timezone.override(zone):
            return self.get_response(request)


@lru_cache(1000)
def named(name: str) -> ZoneInfo | None:
    """Return the zone of an IANA name such as `Europe/Berlin`, or None where there is none of that name."""
    if not name or len(name) > LONGEST_NAME:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there; a path; a folder of zones
        return None
