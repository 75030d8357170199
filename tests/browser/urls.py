"""The site, and its error pages at addresses of their own: with DEBUG on, Django would show its own for people who
write code. Used as ROOT_URLCONF."""

from django.core.exceptions import BadRequest
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path

from config import errors
from config.urls import handler400, handler403, handler404, handler500
from config.urls import urlpatterns as site
from flags.console import responses
from flags.console.forms import SwitchForm
from tenants.access import takes

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


def bad_request(request: HttpRequest) -> HttpResponse:
    return errors.bad_request(request, BadRequest())


def malformed(request: HttpRequest) -> HttpResponse:
    return responses.malformed(request, SwitchForm({"version": "?"}))


def page_not_found(request: HttpRequest) -> HttpResponse:
    return errors.page_not_found(request, Http404())


def server_error(request: HttpRequest) -> HttpResponse:
    return errors.server_error(request)


def unavailable(request: HttpRequest) -> HttpResponse:
    try:
        raise OperationalError("the database is away")
    except OperationalError:
        return errors.server_error(request)


urlpatterns = [
    path("error/400", bad_request, name="error_400"),
    path("error/malformed", malformed, name="error_malformed"),
    path("error/405", takes()(page_not_found), name="error_405"),
    path("error/404", page_not_found, name="error_404"),
    path("error/500", server_error, name="error_500"),
    path("error/503", unavailable, name="error_503"),
    *site,
]
