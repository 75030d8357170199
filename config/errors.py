"""What is answered when something goes wrong outside any view: a page for people, a problem for the API."""

import sys
from collections.abc import Callable

from django.core.exceptions import DisallowedHost
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.template import loader
from django.utils.http import url_has_allowed_host_and_scheme
from django.views import defaults

from flags.api import errors
from flags.exceptions import FeatureDisabled
from flags.models import Flag
from tenants import provenance

API_PATHS = ("/api/", "/ofrep/")
OUTCOMES = {False: "not-saved", True: "saved", None: "unknown"}


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith(API_PATHS)


def _with_exception(page: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    def handler(request: HttpRequest, exception: Exception) -> HttpResponse:
        return errors.answer_exception(request, exception) if _is_api(request) else page(request, exception)

    return handler


def _refused_page(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say who may not, or which feature is off, why, and whom to ask. An internal flag is never named."""
    if isinstance(exception, FeatureDisabled):
        request.problem_code = exception.code  # type: ignore[attr-defined]  # For the security log.
    if not isinstance(exception, FeatureDisabled) or exception.is_internal:
        return defaults.permission_denied(request, exception)
    try:
        feature = Flag.objects.filter(key=exception.key).values("key", "name", "description").first()
    except DatabaseError:
        feature = None
    context = {"feature": feature, "reason": exception.reason}
    return HttpResponseForbidden(loader.render_to_string("403.html", context, request=request))


bad_request = _with_exception(defaults.bad_request)
permission_denied = _with_exception(_refused_page)
page_not_found = _with_exception(defaults.page_not_found)


def _way_back(request: HttpRequest) -> str:
    """Return the page of ours that somebody came from, or the start page."""
    page = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    try:
        is_ours = url_has_allowed_host_and_scheme(page, {request.get_host()}, request.is_secure())
    except DisallowedHost:
        is_ours = False
    return page if page and is_ours else "/"


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer what nobody foresaw. A database that is away is 503, as trying again may help.

    The page, and the header X-Outcome for scripts, says whether what was wanted is saved.
    """
    exception = sys.exc_info()[1] or RuntimeError("no exception at hand")
    if _is_api(request):
        return errors.answer_exception(request, exception)
    if errors.is_unavailable(exception):
        saved = errors.is_saved(request)
        outcome = OUTCOMES[saved]
        context = {"outcome": outcome, "request_id": provenance.request_id.get(), "way_back": _way_back(request)}
        body = loader.render_to_string("503.html", context, request=None)
        headers = {"Retry-After": str(errors.RETRY_SECONDS), "X-Outcome": outcome}
        return HttpResponse(body, status=503, headers=headers)
    return defaults.server_error(request)
