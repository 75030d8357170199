"""OpenFeature's remote evaluation protocol (OFREP 0.3): /ofrep/v1/evaluate/flags[/<key>].

The credential says for whom; the body may repeat that, and may decide it only where the caller may choose. Refusals of
who calls are problems like everywhere; what the protocol itself has words for is said in its words.
"""

from dataclasses import asdict
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework import exceptions as rest
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from flags.api import errors
from flags.api.base import READ_FLAGS, AnyAccept
from flags.api.features import EvaluationView, WholeView, about
from flags.api.naming import find_company, foreign_company, is_company
from flags.api.ofrepshapes import EvaluationInput, EvaluationOutput, EvaluationsOutput
from flags.api.parsing import StrictJsonParser
from flags.details import FLAG_SET, details, in_words
from flags.exceptions import Invalid, Missing, NotAllowed
from flags.features import Features
from tenants.models import Company

COMPANY_PREFIX = "company:"
LONGEST_NAME = 200
HEADERS = {"Cache-Control": "private, no-cache", "Vary": "Authorization, X-API-Key, Cookie"}


class ContextParser(StrictJsonParser):
    """A small body: a context is a few facts about a caller."""

    most_bytes = 64_000
    deepest = 10


class InvalidContext(Invalid):
    """The context says something that cannot be."""

    code = "INVALID_CONTEXT"


class OfrepView(EvaluationView):
    """What single and bulk evaluation share: who asks for whom, and how refusals are said."""

    tag = "OpenFeature"
    content_negotiation_class = AnyAccept
    any_query = True
    headers_read = ()
    queries = {}
    inputs = {"POST": EvaluationInput}  # type: ignore[dict-item]

    def get_parsers(self) -> list[BaseParser]:
        return [ContextParser()]

    def get_exception_handler(self):
        """Say in the protocol's words what it has words for."""
        return refuse

    @property
    def sees_internal(self) -> bool:
        """Super admins see internal flags, and so do programs of ours that may read all flags."""
        token = self.principal.token
        if token is not None:
            return token.kind == "server" and token.company_id is None and READ_FLAGS in token.scopes
        return self.principal.is_super_admin

    def features(self) -> Features:
        """Return the answers for whom the context names, or for the caller.

        Raises InvalidContext for facts that cannot be, and NotAllowed for a company that is not the caller's.
        """
        body = self.request.data
        context = body.get("context", {}) if isinstance(body, dict) else {}
        if not isinstance(context, dict):
            raise InvalidContext("`context` is no object.")
        target = _text(context, "targetingKey")
        named = _text(context, "companyId")
        user_id = _text(context, "userId") or target
        principal = self.principal
        if target.startswith(COMPANY_PREFIX):
            target = target.removeprefix(COMPANY_PREFIX)
            if named and named != target and principal.token is not None and principal.token.company_id is None:
                raise InvalidContext("`targetingKey` and `companyId` name different companies.")
            self.company(target)
            named = named or target
        company = self.company(named or None)
        if principal.token is None and not (principal.is_super_admin and named):
            self._check_person(_text(context, "userId"))
            return self.request._request.features  # type: ignore[attr-defined]
        # Who holds a client key may be anybody, so it speaks for nobody.
        speaks_for_people = principal.token is None or principal.token.kind == "server"
        return about(principal, company, _uuid(user_id) if speaks_for_people else None)

    def known_features(self) -> Features:
        """Return `features`, where anything is known at all. Raises OperationalError (503) where nothing is.

        An empty list, or "no such flag", would send every client back to the defaults in its own code.
        """
        features = self.features()
        if features.resolution.rules is None:
            raise OperationalError("The database is away, and nothing is known yet of whom this is about.")
        return features

    def company(self, name: str | None) -> Company | None:
        """Return the company that a context names; the caller's own without a name."""
        principal = self.principal
        own = principal.token.company if principal.token is not None else None
        if name is None or own is not None:
            if own is not None and name is not None and not is_company(own, name):
                raise foreign_company()
            return principal.company
        if principal.is_super_admin or principal.token is not None:
            try:
                return find_company(name, principal)
            except Missing as error:
                raise InvalidContext(f"`companyId` names no company: {name[:80]!r}.") from error
        if principal.company is None or not is_company(principal.company, name):
            raise NotAllowed("You are no member of that company.", code="NOT_A_MEMBER")
        return principal.company

    def _check_person(self, user_id: str) -> None:
        user = self.principal.user
        if user_id and user is not None and user_id != str(user.pk):
            raise NotAllowed("You may ask for yourself only. Leave `userId` out.")


class SingleView(OfrepView):
    """One flag. Carries no entity tag: clients exist that would keep it too long."""

    outputs = {"POST": EvaluationOutput}

    def post(self, request: Request, key: str) -> HttpResponse:
        """Evaluate one flag."""
        features = self.known_features()
        may_see = key in features and (self.sees_internal or not features.is_internal(key))
        found = details(key, features) if may_see else None
        if found is None:
            raise Missing(f"There is no flag {key[:100]!r}.", code="FLAG_NOT_FOUND")
        response = HttpResponse(_json(asdict(found)), content_type="application/json", headers=HEADERS)
        return self.answer(response, features)


class BulkView(OfrepView, WholeView):
    """Every flag the caller may see. 304 while none of their answers has changed."""

    outputs = {"POST": EvaluationsOutput}
    has_etag = True
    asked_with = "POST"
    headers_told = HEADERS

    def post(self, request: Request) -> HttpResponse:
        """Evaluate all flags."""
        features = self.known_features()
        # Django's own conditional tools answer 412 to a POST; the protocol wants 304.
        return self.answer(self.flags(request, features), features)

    def quickly(self, request: Any) -> HttpResponse:
        if request.content_type != "application/json":
            raise Invalid("This is for the long way to say.")
        # What the question is about is found out as on the long way, from the body alone.
        body = ContextParser().parse(BytesIO(request.body), parser_context={"request": request})
        self.request = SimpleNamespace(_request=request, data=body)  # type: ignore[assignment]
        features = self.known_features()
        return self.answer(self.flags(request, features), features)

    def flags(self, request: Any, features: Features) -> HttpResponse:
        """Return the answers in the protocol's words."""
        internal = self.sees_internal
        return self.whole(request, features, f"ofrep:{internal}", lambda: _bulk(features, internal=internal))


def _bulk(features: Features, *, internal: bool) -> bytes:
    found = [asdict(in_words(features.peek(key), features)) for key in features.listing(internal=internal)]
    return _json({"flags": found, "metadata": {"flagSetId": FLAG_SET}})


def _json(answer: dict[str, Any]) -> bytes:
    return JSONRenderer().render(answer)


def _text(context: dict[str, Any], name: str) -> str:
    """Return a fact that is text, empty where it is missing. Raises InvalidContext."""
    value = context.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > LONGEST_NAME:
        raise InvalidContext(f"`{name}` is text of at most {LONGEST_NAME} characters.")
    return value


def _uuid(text: str) -> UUID | None:
    """Return whom a context names, or None for a name that is no person's of ours."""
    try:
        return UUID(text)
    except ValueError:
        return None


def refuse(exc: Exception, context: dict[str, Any]) -> JsonResponse:
    """Return 400, 404 and 500 as the protocol has them, and every other refusal as a problem."""
    request: HttpRequest = context["request"]._request
    key = context["kwargs"].get("key")
    if isinstance(exc, Missing):
        return _failure(404, key, exc.code, exc.detail)
    if isinstance(exc, rest.ParseError | rest.ValidationError):
        problem, _ = errors.explain(request, exc)
        return _failure(400, key, "PARSE_ERROR", problem["detail"])
    if isinstance(exc, Invalid):
        return _failure(400, key, exc.code, exc.detail)
    problem, headers = errors.explain(request, exc)
    if problem["status"] == 500:
        return _failure(500, key, "GENERAL", f"{problem['detail']} Request id: {problem['request_id']}")
    return JsonResponse(problem, status=problem["status"], headers=headers, content_type=errors.MEDIA_TYPE)


def _failure(status: int, key: str | None, code: str, detail: str) -> JsonResponse:
    body: dict[str, Any] = {} if key is None else {"key": key}
    body |= {"errorCode": code, "errorDetails": detail, "metadata": {}}
    return JsonResponse(body, status=status)
