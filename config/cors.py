"""Which other origins' pages may call the API: those an operator lists, and never with cookies (Fetch standard)."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

PATHS = ("/api/", "/ofrep/")
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
ASKED = "authorization, content-type, if-match, if-none-match, idempotency-key, x-api-key, x-request-id, x-workspace-id"
# Without these a browser hides them, and a polling client would never see a 304 nor how long to wait.
TOLD = "ETag, Retry-After, Location, Idempotency-Replayed, X-Request-ID, X-Flags-Stale"
REMEMBERED_SECONDS = "7200"


class CorsMiddleware:
    """Let pages of the origins in CORS_ALLOWED_ORIGINS read what the API answers them, refusals included.

    Answers preflights itself, since those carry no credential. Stands before whatever asks who is calling.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(PATHS):
            return self.get_response(request)
        origin = request.headers.get("Origin", "")
        is_preflight = request.method == "OPTIONS" and origin and "Access-Control-Request-Method" in request.headers
        response = HttpResponse(status=204) if is_preflight else self.get_response(request)
        patch_vary_headers(response, ("Origin",))
        if origin in settings.CORS_ALLOWED_ORIGINS:
            response["Access-Control-Allow-Origin"] = origin
            response["Access-Control-Expose-Headers"] = TOLD
            if is_preflight:
                response["Access-Control-Allow-Methods"] = METHODS
                response["Access-Control-Allow-Headers"] = ASKED
                response["Access-Control-Max-Age"] = REMEMBERED_SECONDS
        return response
