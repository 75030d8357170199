"""What the caller may use: /api/features. The answers are those that code gets, by the same evaluation."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from flags.api import throttling
from flags.api.base import EVALUATE, ApiView, no_flag
from flags.api.fields import Input, Text
from flags.api.naming import find_company, foreign_company, is_company, named_beside
from flags.api.preconditions import is_unchanged
from flags.api.rendered import rendered
from flags.evaluation import Step
from flags.exceptions import Invalid, NotAllowed
from flags.features import Asker, Features, check_features
from tenants.models import Company
from tenants.principal import Principal
from tenants.workspaces import HEADER

logger = logging.getLogger(__name__)

FRESH = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie, X-Workspace-Id"}
MOST_KEYS = 200


class ContextQuery(Input):
    """For whom to answer, for callers who may choose: server keys, and super admins."""

    company = serializers.CharField(required=False, max_length=80)
    user = serializers.UUIDField(required=False)
    workspace = serializers.CharField(required=False, max_length=80)


class AnswerQuery(ContextQuery):
    """The same, and whether to explain."""

    explain = serializers.BooleanField(required=False, default=False)


class CheckInput(Input):
    """Several keys at once."""

    keys = serializers.ListField(child=Text(max_length=100), max_length=MOST_KEYS, allow_empty=False)


FLAT = {"type": "object", "additionalProperties": {"type": "boolean"}}
"""The shape of a flat object of answers."""


class StepOutput(serializers.Serializer):
    """One rung of the ladder."""

    number = serializers.IntegerField()
    rule = serializers.CharField()
    outcome = serializers.ChoiceField(["passed", "decided", "overruled", "not_reached"])
    would = serializers.BooleanField(allow_null=True)
    reason = serializers.CharField(allow_null=True)


class AnswerOutput(serializers.Serializer):
    """One answer with its reason; the ladder where it was asked for."""

    key = serializers.CharField()
    enabled = serializers.BooleanField()
    reason = serializers.CharField()
    ladder = StepOutput(many=True, required=False)


class EvaluationView(ApiView):
    """A view that evaluates, for the caller or for whom the caller may speak."""

    queries = {"GET": ContextQuery, "POST": ContextQuery}
    counted_as = "evaluation"
    writes = False
    headers_read: ClassVar[tuple[str, ...]] = ("X-Workspace-Id",)

    def allow(self) -> None:
        token = self.principal.token
        if token is not None and EVALUATE not in token.scopes:
            raise NotAllowed(f"This token lacks the scope {EVALUATE}. Use one that has it.", code="SCOPE_MISSING")

    def features(self) -> Features:
        """Return the answers for whom this call is about. Raises NotAllowed for a company that is not the caller's."""
        name = self.named()
        user_id = self.query.get("user")
        principal = self.principal
        may_choose = principal.is_super_admin or (principal.token is not None and principal.token.kind == "server")
        if user_id is not None and not may_choose:
            raise NotAllowed("You may ask for yourself only. Leave `user` out.")
        if name is None and user_id is None:
            return self.request._request.features  # type: ignore[attr-defined]
        return about(principal, self.company(name), user_id)

    def named(self) -> str | None:
        """Return how the call names its company, in the address or in the header. Raises Invalid where these differ."""
        names = named_beside(self.request._request)
        if len(names) > 1:
            detail = f"`company`, `workspace` and {HEADER} name different companies. Name one, once."
            raise Invalid(detail, errors={"company": ["Named in two ways."]})
        return names.pop() if names else None

    def answer(self, response: HttpResponse, features: Features) -> HttpResponse:
        """Do for answers about others what FeaturesMiddleware does for the caller's own: say stale, count use."""
        if features is not self.request._request.features:  # type: ignore[attr-defined]
            if features.stale:
                response["X-Flags-Stale"] = "true"
            features.count_usage()
        return response

    def company(self, name: str | None) -> Company | None:
        """Return the company so named, if the caller may speak for it; without a name, the caller's own."""
        principal = self.principal
        if name is None:
            return principal.company
        if principal.token is not None and principal.token.company is not None:
            if not is_company(principal.token.company, name):
                raise foreign_company()
            return principal.company
        if principal.is_super_admin or principal.token is not None:
            return find_company(name, principal)
        if principal.company is None or not is_company(principal.company, name):
            # A workspace is entered by header or `workspace`; whoever is here named somebody else's company.
            raise NotAllowed("You are no member of that company.", code="NOT_A_MEMBER")
        return principal.company


class WholeView(EvaluationView):
    """A view of every answer at once. For a token and a plain question, as nearly all are, there is a short way.

    Most of what REST framework does for a call is finding out what kind of call it is. Whatever is out of the ordinary
    takes the long way, which has all the words for it; so the short one refuses nobody.
    """

    asked_with: ClassVar[str] = "GET"

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == self.asked_with and self._is_plain(request):
            admitted, _ = throttling.count(request, self.counted_as)
            request.is_counted = admitted
            if admitted:
                try:
                    return self.quickly(request)
                except Exception as error:  # Whatever it is, the long way meets it too, and says it well.
                    logger.debug("the long way error=%s", type(error).__name__)
        return super().dispatch(request, *args, **kwargs)

    @staticmethod
    def _is_plain(request: Any) -> bool:
        token = request.principal.token
        return (
            token is not None
            and EVALUATE in token.scopes
            and not request.META.get("QUERY_STRING")
            and HEADER not in request.headers
            and any(kind in request.headers.get("Accept", "*/*") for kind in ("*/*", "application/json"))
        )

    def quickly(self, request: Any) -> HttpResponse:
        """Answer a plain question. Raises anything at all for one that is not as plain as it looked."""
        raise NotImplementedError

    def whole(self, request: Any, features: Features, kind: str, build: Callable[[], bytes]) -> HttpResponse:
        """Return all answers, or that the caller has them already. `headers` of the class go along."""
        whole = rendered(features, kind, build)
        headers = {**self.headers_told, "ETag": whole.tag}
        if is_unchanged(request, whole.tag):
            return HttpResponse(status=304, headers=headers)
        return HttpResponse(whole.content, content_type="application/json", headers=headers)

    headers_told: ClassVar[Mapping[str, str]] = FRESH


def about(principal: Principal, company: Company | None, user_id: UUID | None) -> Features:
    """Return what somebody in a company may use, asked by another. Nobody is a super admin by being asked about."""
    own = principal.user.pk if principal.user is not None and not principal.is_super_admin else None
    asker = Asker(None if company is None else company.pk, str(user_id or own or "") or None)
    return Features(lambda: asker)


def ladder(steps: list[Step]) -> list[dict]:
    """Return an explanation as the API shows it."""
    return [
        {
            "number": step.number,
            "rule": step.rule,
            "outcome": str(step.outcome),
            "would": step.would,
            "reason": None if step.reason is None else str(step.reason),
        }
        for step in steps
    ]


class FeaturesView(WholeView):
    """Every feature of the caller as one flat object (seed 003)."""

    outputs = {"GET": FLAT}
    has_etag = True

    def get(self, request: Request) -> HttpResponse:
        """List the caller's features."""
        features = self.features()
        return self.answer(self.flat(request, features, internal=self.sees_internal), features)

    def quickly(self, request: Any) -> HttpResponse:
        return self.flat(request, request.features, internal=False)  # No token sees internal flags here.

    def flat(self, request: Any, features: Features, *, internal: bool) -> HttpResponse:
        """Return the answers as a flat object."""
        listing = partial(features.listing, internal=internal)
        return self.whole(request, features, f"flat:{internal}", lambda: JSONRenderer().render(listing()))


class FeatureView(EvaluationView):
    """One feature of the caller, with the reason; for super admins also the way to it."""

    outputs = {"GET": AnswerOutput}
    queries = {"GET": AnswerQuery}

    def get(self, request: Request, key: str) -> HttpResponse:
        """Ask for one feature, with the reason."""
        features = self.features()
        if features.is_internal(key) and not (self.sees_internal and key in features):
            raise no_flag(key)
        decision = features.decide(key)
        answer = {"key": key, "enabled": decision.enabled, "reason": str(decision.reason)}
        if self.query["explain"]:
            if not self.principal.is_super_admin:
                raise NotAllowed("Only a super admin may see how an answer came about. Leave `explain` out.")
            answer["ladder"] = ladder(features.explain(key)[1])
        return self.answer(Response(answer, headers=FRESH), features)


class CheckView(EvaluationView):
    """Several features at once; a key that no flag has, or that is hidden, is false (seed 002)."""

    inputs = {"POST": CheckInput}
    outputs = {"POST": FLAT}

    def post(self, request: Request) -> HttpResponse:
        """Ask for several features."""
        keys = self.body()["keys"]
        features = self.features()
        shown = [key for key in keys if key in features and (self.sees_internal or not features.is_internal(key))]
        answers = {**dict.fromkeys(keys, False), **check_features(shown, features)}
        return self.answer(Response(answers, headers=FRESH), features)
