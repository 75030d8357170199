"""One name for each request, shared by its logs, its answer and the history it writes."""

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from tenants import provenance

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


class RequestIdMiddleware:
    """Give every request an id; outermost, so that whatever happens inside is logged under it.

    A sane `X-Request-ID` from a proxy is kept, so that one id follows a request through every hop; anything
    else is replaced by a UUID, because the value ends up in logs and history. The answer names it in
    `X-Request-ID`; code finds it in `request.request_id` and in `tenants.provenance.request_id`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        offered = request.headers.get("X-Request-ID", "")
        request_id = offered if SANE_REQUEST_ID.fullmatch(offered) else str(uuid.uuid4())
        request.request_id = request_id  # type: ignore[attr-defined]
        token = provenance.request_id.set(request_id)
        try:
            response = self.get_response(request)
        finally:
            provenance.request_id.reset(token)
        response["X-Request-ID"] = request_id
        return response
