"""What a program sends along to say who it is: found in headers only, never in the address."""

from django.http import HttpRequest


class BadCredential(Exception):
    """A credential that proves nothing. `code` is stable, `detail` is for a person; neither says what exists."""

    code = "TOKEN_INVALID"
    detail = "This token is unknown, expired or revoked. Ask for a new one."

    def __str__(self) -> str:
        return self.detail


def presented(request: HttpRequest) -> str | None:
    """Return the bearer credential of a request, or None where there is none.

    `Authorization: Bearer …` (RFC 6750, 2.1) everywhere; for OpenFeature clients `X-API-Key` too, when there is no
    bearer. An empty one is returned as such: whoever sends one means to be known.
    """
    scheme, _, value = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if request.path_info.startswith("/ofrep/") and "X-API-Key" in request.headers:
        return request.headers["X-API-Key"].strip()
    return None
