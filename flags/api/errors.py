"""Every refusal of the API, in the one shape of RFC 9457. Its codes are listed in docs/api.md."""

import logging
from collections.abc import Mapping
from math import ceil
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions as rest

from flags.exceptions import ChangeRefused, FeatureDisabled
from flags.lostanswers import was_saved
from flags.recording import plain
from tenants import provenance

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:problem-type:headgate:"
RETRY_SECONDS = 5
READ_ONLY = "25006"  # read_only_sql_transaction: a standby, or a server that was told to keep still.
UNAVAILABLE = {
    False: "The database cannot be reached, is busy, or takes no changes. Nothing was written; try again.",
    True: "The change was saved, and then the database was lost before it could say so. Do not repeat it.",
    None: "The database was lost while it saved. Whether it did is not known: look in the history for this request_id.",
}
MOST_ERRORS = 100
LONGEST_MESSAGE = 300

ASK = "Ask your administrator to turn it on."
# What helps where a feature is off, by the reason; nobody can turn on for one company what was killed for all.
WAYS_OUT = {
    "killed": "It was switched off for everybody. Try again later.",
    "plan": "It comes with a higher plan. Ask your administrator about yours.",
    "grant_missing": "It is for people it was granted to. Ask your administrator for it.",
    "grant_denied": "It was taken from you in person. Ask your administrator about it.",
    "no_company": "Ask for it in a company that you belong to.",
    "unavailable": "Nobody can tell at the moment. Try again later.",
}

Errors = Mapping[str, list[str]]

# What REST framework refuses by itself, in our words. Whatever it invents later is told by its status.
OWN_WORDS: dict[type[rest.APIException], tuple[str, str]] = {
    rest.ParseError: ("MALFORMED_BODY", "The body cannot be read. Send one JSON object."),
    rest.NotAuthenticated: ("NOT_AUTHENTICATED", "Say who you are: send `Authorization: Bearer …`, or sign in."),
    rest.PermissionDenied: ("NOT_ALLOWED", "You may not do this."),
    rest.NotFound: ("NOT_FOUND", "There is nothing here."),
    rest.MethodNotAllowed: ("METHOD_NOT_ALLOWED", "This address does not take that method. See the Allow header."),
    rest.NotAcceptable: ("NOT_ACCEPTABLE", "This address answers in JSON. Accept application/json."),
    rest.UnsupportedMediaType: (
        "UNSUPPORTED_MEDIA_TYPE",
        "This address does not take that media type. Send application/json; a file of overrides is text/csv.",
    ),
    rest.Throttled: ("RATE_LIMITED", "Too many calls. Wait as long as Retry-After says."),
}


class TooLarge(rest.APIException):
    """A body beyond what this address takes."""

    status_code = 413
    default_detail = "The body is too large."


def describe(
    request: HttpRequest,
    status: int,
    code: str,
    detail: str,
    *,
    errors: Errors | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a problem. `errors` maps bad fields to messages; `extra` holds members of its own kind."""
    request.problem_code = code  # type: ignore[attr-defined]  # For the security log.
    problem: dict[str, Any] = {
        "type": TYPE + code.lower().replace("_", "-"),
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "instance": request.path,
        "code": code,
        "request_id": provenance.request_id.get(),
    }
    if errors:
        problem["errors"] = dict(errors)
    return {**{name: plain(value) for name, value in (extra or {}).items()}, **problem}


def answer(request: HttpRequest, status: int, code: str, detail: str, **more: Any) -> JsonResponse:
    """Return a problem as a plain Django response, for what goes wrong outside any API view."""
    return JsonResponse(describe(request, status, code, detail, **more), status=status, content_type=MEDIA_TYPE)


def answer_exception(request: HttpRequest, exc: BaseException) -> JsonResponse:
    """Return the problem that an exception comes to, for what was raised before any API view was reached."""
    problem, headers = explain(request, exc)
    return JsonResponse(problem, status=problem["status"], content_type=MEDIA_TYPE, headers=headers)


@csrf_exempt
def route_not_found(request: HttpRequest, *_args: Any, **_kwargs: Any) -> JsonResponse:
    """Answer any address under /api/ that is none."""
    return answer(request, 404, "ROUTE_NOT_FOUND", "The API has no such address. /api/docs/ lists all of them.")


def handle(exc: Exception, context: Mapping[str, Any]) -> JsonResponse:
    """Turn what a view raised into a problem. Installed as REST framework's exception handler.

    Not rendered by the view's own renderer: that may write pages, or be what was not acceptable.
    """
    return answer_exception(context["request"]._request, exc)


def explain(request: HttpRequest, exc: BaseException) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the problem and the headers an exception comes to. What nobody foresaw is logged, and tells nothing."""
    if isinstance(exc, FeatureDisabled):
        return _feature_disabled(request, exc), {}
    if isinstance(exc, ChangeRefused):
        return describe(request, exc.status, exc.code, exc.detail, errors=exc.errors, extra=exc.extra), {}
    if isinstance(exc, rest.APIException):
        return _rest(request, exc)
    if isinstance(exc, Http404):
        return describe(request, 404, "NOT_FOUND", "There is nothing here."), {}
    if isinstance(exc, PermissionDenied):
        return describe(request, 403, "NOT_ALLOWED", str(exc) or "You may not do this."), {}
    if isinstance(exc, RequestDataTooBig):
        return describe(request, 413, "CONTENT_TOO_LARGE", "The body is too large."), {}
    if isinstance(exc, SuspiciousOperation):
        return describe(request, 400, "INVALID", "The request cannot be read."), {}
    if is_unavailable(exc):
        logger.error("database unavailable path=%s", request.path, exc_info=exc)
        saved = is_saved(request)
        problem = describe(request, 503, "UNAVAILABLE", UNAVAILABLE[saved], extra={"saved": saved})
        return problem, {"Retry-After": str(RETRY_SECONDS)}
    logger.error("unhandled error path=%s", request.path, exc_info=exc)
    return describe(request, 500, "INTERNAL_ERROR", "Something broke. Quote the request id to your operator."), {}


def is_unavailable(exc: BaseException) -> bool:
    """Say whether the database is away, busy, or takes no changes: trying again later may help."""
    return isinstance(exc, OperationalError | InterfaceError) or getattr(exc.__cause__, "sqlstate", "") == READ_ONLY


def is_saved(request: HttpRequest) -> bool | None:
    """Say whether what a request wanted is in force although the database failed it. None where nobody can tell."""
    if not getattr(request, "is_answer_lost", False):
        return False
    return was_saved(provenance.request_id.get(), request.since)  # type: ignore[attr-defined]


def _feature_disabled(request: HttpRequest, exc: FeatureDisabled) -> dict[str, Any]:
    if exc.is_internal:
        return describe(request, 403, "FEATURE_DISABLED", "This is not switched on here.")
    detail = f"The feature {exc.key} is off here ({exc.reason}). {WAYS_OUT.get(exc.reason, ASK)}"
    return describe(request, 403, exc.code, detail, extra={"flag": exc.key, "reason": exc.reason})


def _rest(request: HttpRequest, exc: rest.APIException) -> tuple[dict[str, Any], dict[str, str]]:
    headers: dict[str, str] = {}
    if header := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if isinstance(exc, rest.ValidationError):
        errors = flatten(exc.detail)
        if errors.keys() == {""}:
            errors = {"body": errors[""]}
        index = first_index(exc.detail)
        extra = {} if index is None else {"index": index}
        return describe(request, 400, "INVALID", _in_words(errors), errors=bounded(errors), extra=extra), headers
    if isinstance(exc, TooLarge):
        return describe(request, 413, "CONTENT_TOO_LARGE", str(exc.detail)), headers
    wait = getattr(exc, "wait", None)
    if wait is not None:
        headers["Retry-After"] = str(max(1, ceil(wait)))
    code, detail = next(
        (words for kind, words in OWN_WORDS.items() if isinstance(exc, kind)), ("REFUSED", str(exc.detail))
    )
    headers |= getattr(exc, "own_headers", {})
    own = getattr(exc, "code", None)
    if own is not None:
        return describe(request, exc.status_code, own, str(exc.detail)), headers
    if isinstance(exc, rest.ParseError) and str(exc.detail) != rest.ParseError.default_detail:
        detail = str(exc.detail)
    return describe(request, exc.status_code, code, detail), headers


def _in_words(errors: Errors) -> str:
    names = list(errors)
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"Not valid: {', '.join(names[:10])}{more}. {errors[names[0]][0][:LONGEST_MESSAGE]}"


def bounded(errors: Errors) -> Errors:
    """Return the first hundred errors. A refusal never throws back all that was thrown at it."""
    first = list(errors.items())[:MOST_ERRORS]
    return {name: [message[:LONGEST_MESSAGE] for message in messages] for name, messages in first}


def flatten(detail: Any, path: str = "") -> dict[str, list[str]]:
    """Return REST framework's nested messages by path: `overrides[3].enabled`."""
    if isinstance(detail, Mapping):
        found: dict[str, list[str]] = {}
        for name, inner in detail.items():
            if isinstance(name, int):
                step = f"{path}[{name}]"
            elif name == "non_field_errors":
                step = path
            else:
                step = f"{path}.{name}" if path else str(name)
            found.update(flatten(inner, step))
        return found
    if isinstance(detail, list | tuple):
        if any(isinstance(inner, Mapping | list) for inner in detail):
            return flatten({i: inner for i, inner in enumerate(detail) if inner}, path)
        return {path: [str(message) for message in detail]}
    return {path: [str(detail)]}


def first_index(detail: Any) -> int | None:
    """Return the first row of a batch that is wrong, or None where nothing is a row."""
    if isinstance(detail, Mapping):
        rows = [name for name in detail if isinstance(name, int)]
        return min(rows) if rows else next((i for i in map(first_index, detail.values()) if i is not None), None)
    if isinstance(detail, list):
        return next((i for i, inner in enumerate(detail) if isinstance(inner, Mapping) and inner), None)
    return None
