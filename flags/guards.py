"""What happens at a guarded view: whom it asks, whom it lets through, and what it answers the others.

The decorator, the mixin and the permission are three ways to say the same; what they say is here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Union

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from flags import restframework
from flags.features import Features, current, forced

if TYPE_CHECKING:
    from rest_framework.request import Request

AnyRequest = Union[HttpRequest, "Request"]
Otherwise = Callable[..., Any] | str | None
"""What answers instead: a view, the name of a URL to go to, or None for a refusal."""

API_PATHS = ("/api/", "/ofrep/")
HTML, JSON, PROBLEM = "text/html", "application/json", "application/problem+json"


@dataclass(frozen=True, slots=True)
class Guard:
    """One feature that a view asks for, and what answers where it is off."""

    key: str
    otherwise: Otherwise = None

    def ask(self, request: AnyRequest, args: tuple, kwargs: dict[str, Any]) -> HttpResponseBase | None:
        """Return None where the feature is on, and the answer to give where it is not.

        Raises FeatureDisabled where nothing else was asked for, and NotAuthenticated for strangers in REST framework.
        """
        if features_of(request)[self.key]:
            return None
        if iscoroutinefunction(self.otherwise):
            return Guard(self.key, async_to_sync(self.otherwise))._refuse(request, args, kwargs)
        return self._refuse(request, args, kwargs)

    async def aask(self, request: HttpRequest, args: tuple, kwargs: dict[str, Any]) -> HttpResponseBase | None:
        """`ask`, for an async view: whatever may read the database does so off the event loop."""
        features = features_of(request)
        if self.key not in forced:
            await features.aload()
        if features[self.key]:
            return None
        answer = await sync_to_async(self._refuse)(request, args, kwargs)
        return await answer if isawaitable(answer) else answer

    def _refuse(self, request: AnyRequest, args: tuple, kwargs: dict[str, Any]) -> Any:
        if is_anonymous(request):
            return send_to_log_in(request)
        if callable(self.otherwise):
            return self.otherwise(getattr(request, "_request", request), *args, **kwargs)
        if self.otherwise is not None:
            return redirect(self.otherwise)
        features_of(request).require(self.key)
        return None


def features_of(request: AnyRequest) -> Features:
    """Return the features of whoever the request comes from; those of the scope we are in without the middleware."""
    features = getattr(request, "features", None)
    return current() if features is None else features


def is_anonymous(request: AnyRequest) -> bool:
    """Say whether the request comes from nobody we know: no person signed in, and no token."""
    principal = getattr(request, "principal", None)
    if principal is not None and not principal.is_anonymous:
        return False
    user = getattr(request, "user", None)
    return (user is None or not user.is_authenticated) and getattr(request, "auth", None) is None


def send_to_log_in(request: AnyRequest) -> HttpResponse:
    """Ask a stranger to sign in, as whoever sent the request understands it. Raises NotAuthenticated in REST framework.

    A page is redirected, a fragment tells htmx to leave for the sign-in page, and a program gets 401.
    """
    if restframework.is_request(request):
        raise restframework.not_authenticated()
    if request.path_info.startswith(API_PATHS) or _prefers_json(request):
        return _unauthenticated(request)
    if htmx := getattr(request, "htmx", None):
        # The fragment's own address is no page to come back to.
        page = htmx.current_url_abs_path or "/"
        return HttpResponse(status=401, headers={"HX-Redirect": redirect_to_login(page).url})
    return redirect_to_login(request.get_full_path())


def _prefers_json(request: HttpRequest) -> bool:
    # Who takes anything gets the first of these: a page.
    return request.get_preferred_type([HTML, JSON, PROBLEM]) in (JSON, PROBLEM)


def _unauthenticated(request: HttpRequest) -> JsonResponse:
    # What the API says in this case, for views that are under its paths but not of its kind.
    problem = {
        "type": "urn:problem-type:headgate:not-authenticated",
        "title": "Not authenticated",
        "status": 401,
        "detail": "Sign in, or send a token: Authorization: Bearer <token>.",
        "instance": request.path,
        "code": "NOT_AUTHENTICATED",
        "request_id": getattr(request, "request_id", ""),
    }
    return JsonResponse(
        problem, status=401, content_type=PROBLEM, headers={"WWW-Authenticate": 'Bearer realm="headgate"'}
    )
