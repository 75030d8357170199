"""What is answered when something goes wrong outside any view: a page for people, a problem for the API."""

import sys
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.template import loader
from django.views import defaults

from flags.api import errors
from flags.exceptions import FeatureDisabled
from flags.models import Flag

API_PATHS = ("/api/", "/ofrep/")


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith(API_PATHS)


def _with_exception(page: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    def handler(request: HttpRequest, exception: Exception) -> HttpResponse:
        return errors.answer_exception(request, exception) if _is_api(request) else page(request, exception)

    return handler


def _refused_page(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say who may not, or which feature is off, why, and whom to ask. An internal flag is never named."""
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


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer what nobody foresaw. A database that is away is 503, as trying again may help."""
    exception = sys.exc_info()[1] or RuntimeError("no exception at hand")
    if _is_api(request):
        return errors.answer_exception(request, exception)
    if isinstance(exception, OperationalError | InterfaceError):
        body = loader.render_to_string("503.html", {}, request=None)
        return HttpResponse(body, status=503, headers={"Retry-After": str(errors.RETRY_SECONDS)})
    return defaults.server_error(request)
