"""Who may open which page. A page asks by decorator; the API has its own way of saying no."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render, resolve_url
from django.template.loader import render_to_string
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from tenants import kept
from tenants.models import Role
from tenants.principal import ANONYMOUS, Principal

View = Callable[..., HttpResponseBase]
READERS = (Role.ADMIN, Role.COORDINATOR)


def with_room(view: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """Call a view with room for all the calls beneath it.

    CPython keeps the frames of calls in pieces of 16 kB of memory, and gives a piece back as soon as nothing in it is
    needed. Where a template happens to come and go over the edge of one, a page costs a thousand system calls more, and
    half as much time again. A frame that says it is large gets a piece in which all others of the page find room.
    """
    return view()


with_room.__code__ = with_room.__code__.replace(co_stacksize=10_000)


def takes(*methods: str) -> Callable[[View], View]:
    """Open a page to these methods. Any other is answered 405, with a page that says so and an `Allow` header."""

    def decorator(view: View) -> View:
        @wraps(view)
        def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.method in methods:
                return view(request, *args, **kwargs)
            return HttpResponseNotAllowed(methods, render_to_string("405.html", request=request))

        return asked

    return decorator


reads = takes("GET", "HEAD")
"""Open a page that changes nothing."""


def super_admin_required(view: View) -> View:
    """Open a page to super admins, while they are not viewing as a company. Others get 403, strangers the login."""
    return _only(lambda principal: principal.is_super_admin)(view)


def company_reader_required(view: View) -> View:
    """Open a page to admins and coordinators of a company, and to super admins viewing as one (seed 002)."""
    return _only(lambda principal: principal.company is not None and principal.role in READERS)(view)


def person_required(view: View) -> View:
    """Open a page to everybody who is signed in."""
    return _only(lambda principal: True)(view)


def _only(may_enter: Callable[[Principal], bool]) -> Callable[[View], View]:
    def decorator(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            principal = getattr(request, "principal", ANONYMOUS)
            if principal.user is None:  # Tokens have no business on pages.
                return to_login(request)
            if not may_enter(principal):
                raise PermissionDenied
            return with_room(partial(view, request, *args, **kwargs))

        return guarded

    return decorator


def to_login(request: HttpRequest) -> HttpResponse:
    """Send a stranger to sign in and back here afterwards.

    An htmx request gets 401 and a header that makes the whole page go: a login form inside a table cell helps nobody.
    What comes after is then the page it was sent from, since its own address may be that of a fragment. A form that
    comes too late is not lost: the page to sign in on carries what it said.
    """
    htmx = getattr(request, "htmx", None)
    if htmx:
        page = htmx.current_url_abs_path
    elif request.method in ("GET", "HEAD"):
        page = request.get_full_path()
    else:  # A form that came too late. It stands on the page it was sent from.
        page = _own_referer(request)
        if seal := kept.sealed(request):
            return render(request, "registration/login.html", {"next": page, "kept": seal}, status=401)
    query = f"?{urlencode({'next': page})}" if page else ""
    address = f"{resolve_url(settings.LOGIN_URL)}{query}"
    return HttpResponse(status=401, headers={"HX-Redirect": address}) if htmx else redirect(address)


def _own_referer(request: HttpRequest) -> str:
    """Return the path of the page a form was sent from, if it is one of ours; else ""."""
    address = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(address, {request.get_host()}, request.is_secure()):
        return ""
    parts = urlsplit(address)
    return urlunsplit(("", "", parts.path, parts.query, ""))
