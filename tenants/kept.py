"""What somebody typed outlives their session, also without scripts (static/js/kept.js is the way with them).

A form that comes too late is answered with the sign-in page, which carries what the form said, signed. Nothing is
stored on the server. Once the same person has signed in, within half an hour, they are shown it and may send it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from tenants.models import User

COOKIE = settings.SESSION_COOKIE_NAME.replace("session", "person")
HOLDS = 30 * 60
MOST = 100_000  # Characters. What is longer is not kept.
NEVER = ("csrfmiddlewaretoken", "kept")
OURS = ("version", "place", "next", "ask", "batch", "expected")  # Sent again, but nothing a person typed.


@dataclass(frozen=True, slots=True)
class Kept:
    """A form that came too late: where it goes, and what it said."""

    action: str
    fields: list[tuple[str, str]]

    @property
    def typed(self) -> list[tuple[str, str]]:
        """What of it a person reads: names in words, and what they hold."""
        shown = [(name, value) for name, value in self.fields if name not in OURS and value.strip()]
        return [(name.replace("_", " ").capitalize(), value) for name, value in shown]


def remember(response: HttpResponse, user: User) -> None:
    """Note in the browser who signed in there, so that nobody else gets what they type."""
    response.set_signed_cookie(
        COOKIE,
        str(user.pk),
        salt=__name__,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def forget(response: HttpResponse) -> None:
    """Note nobody any more: they have signed out."""
    response.delete_cookie(COOKIE, samesite="Lax")


def sealed(request: HttpRequest) -> str:
    """Return what the form of this request says, signed, with who signed in last in this browser; "" if nobody did.

    A form with a password or a file is never kept.
    """
    person = request.get_signed_cookie(COOKIE, default=None, salt=__name__)
    if person is None or request.FILES or any("password" in name for name in request.POST):
        return ""
    fields = [(name, value) for name, values in request.POST.lists() if name not in NEVER for value in values]
    if not fields or sum(len(value) for _, value in fields) > MOST:
        return ""
    said = {"person": person, "action": request.get_full_path(), "fields": fields}
    return signing.dumps(said, salt=__name__, compress=True)


def opened(seal: str, user: User) -> Kept | None:
    """Return what was sealed, if this person typed it and not too long ago; else None."""
    try:
        said = signing.loads(seal, salt=__name__, max_age=HOLDS)
    except signing.BadSignature:
        return None
    if not isinstance(said, Mapping) or said["person"] != str(user.pk):
        return None
    return Kept(said["action"], [(name, value) for name, value in said["fields"]])
