"""The Content-Security-Policy: nothing inline, nothing from another host, nothing framed."""

import secrets
from collections.abc import Callable, Mapping

from django.http import HttpRequest, HttpResponse

POLICY: Mapping[str, tuple[str, ...]] = {
    "default-src": ("'none'",),
    "script-src": ("'self'",),
    "style-src": ("'self'",),
    "img-src": ("'self'", "data:"),
    "connect-src": ("'self'",),
    "font-src": ("'self'",),
    "form-action": ("'self'",),
    "base-uri": ("'none'",),
    "frame-ancestors": ("'none'",),
}
PERMISSIONS_POLICY = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"


class Nonce:
    """A random value for one answer, made when somebody first writes it down."""

    def __init__(self) -> None:
        self._value = ""

    def __str__(self) -> str:
        self._value = self._value or secrets.token_urlsafe(16)
        return self._value

    @property
    def used(self) -> bool:
        """Whether it was written anywhere; the policy does not name a nonce that nothing carries."""
        return bool(self._value)


class ContentSecurityPolicyMiddleware:
    """Add the policy and its sibling headers to every answer.

    `request.csp_nonce` (in templates `{{ csp_nonce }}`, through the context processor below) is allowed for
    scripts when something used it. A view widens the policy for its own page by setting `response.csp` to a
    mapping of directives, which replace those of `POLICY` one by one; an answer that brings the header along
    keeps it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        nonce = Nonce()
        request.csp_nonce = nonce  # type: ignore[attr-defined]
        response = self.get_response(request)
        if not response.has_header("Content-Security-Policy"):
            directives = {**POLICY, **getattr(response, "csp", {})}
            if nonce.used:
                directives["script-src"] = (*directives["script-src"], f"'nonce-{nonce}'")
            response["Content-Security-Policy"] = "; ".join(
                " ".join((name, *sources)) for name, sources in directives.items()
            )
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault("Cross-Origin-Embedder-Policy", "require-corp")
        return response


def csp_nonce(request: HttpRequest) -> dict[str, object]:
    """Context processor: `csp_nonce`, the name under which django-htmx looks for it as well."""
    return {"csp_nonce": getattr(request, "csp_nonce", "")}
