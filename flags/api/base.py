"""What every API view shares: who may call it, what it reads, and the company it is about."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, cached_property, partial
from typing import Any, ClassVar, TypeVar

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.exceptions import NotAuthenticated
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from flags.api.fields import Input
from flags.api.naming import agree, find_company, foreign_company, named_company, stay_within
from flags.api.once import once
from flags.api.rehearsals import rehearsed
from flags.api.throttling import CredentialThrottle
from flags.exceptions import Invalid, Missing, NotAllowed
from flags.models import KEY_PATTERN, Flag
from flags.rehearsal import rehearse
from tenants.models import ApiToken, Company
from tenants.principal import Principal
from tenants.workspaces import PARAMETER

READ_FLAGS = "flags:read"
WRITE_FLAGS = "flags:write"
WRITE_TENANTS = "tenants:write"
READ_AUDIT = "audit:read"
EVALUATE = "evaluate"

AnInput = TypeVar("AnInput", bound=Input)


class NoQuery(Input):
    """A call without parameters."""


class NoBody(Input):
    """A call without a body."""


class DryRunQuery(Input):
    """Whether to write nothing."""

    dry_run = serializers.BooleanField(required=False, default=False)


class AnyAccept(DefaultContentNegotiation):
    """Answer in the first renderer's type whatever is accepted, for calls whose clients accept anything."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


class ApiView(APIView):
    """A view for anybody we know. Refuses unknown query parameters, so that nothing misspelt is silently ignored.

    What it takes and answers stands in `inputs`, `queries` and `outputs` by method; the published schema is made of it.

    Methods in `rehearsable` take `?dry_run=1`: they answer what they would do, and write nothing.
    """

    renderer_classes = [JSONRenderer]
    metadata_class = None  # OPTIONS is for browsers that ask before they call; config.cors answers them.
    tag = "Evaluation"
    inputs: ClassVar[Mapping[str, type[Input]]] = {}
    queries: ClassVar[Mapping[str, type[Input]]] = {}
    outputs: ClassVar[Mapping[str, Any]] = {}
    """What each method answers: a serializer, or {status: serializer}; None is nothing at all."""

    rehearsable: ClassVar[tuple[str, ...]] = ()
    versioned: ClassVar[tuple[str, ...]] = ()
    """The methods that take If-Match."""
    writes = True
    """Whether its methods other than GET change anything."""

    has_etag = False
    headers_read: ClassVar[tuple[str, ...]] = ()
    for_strangers = False
    throttle_classes = [CredentialThrottle]
    counted_as = "admin"
    any_query = False

    @property
    def principal(self) -> Principal:
        """Who calls."""
        return self.request._request.principal  # type: ignore[attr-defined]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.principal.is_anonymous and not self.for_strangers:
            raise NotAuthenticated
        refused = self.request._request.workspace_error  # type: ignore[attr-defined]
        if refused is not None and not self.for_strangers:
            kind = Invalid if refused.status == 400 else NotAllowed
            raise kind(refused.detail, code=refused.code)
        method = (request.method or "").lower()
        if method not in self.http_method_names or not hasattr(self, method):
            self.http_method_not_allowed(request)
        stay_within(request._request, self.principal)
        self.allow()
        if "If-Match" in request.headers and self._is_unguarded(method):
            raise serializers.ValidationError({"If-Match": ["This call looks at no tag. Leave it out."]})
        _ = self.query  # A misspelt parameter must not do half of what was meant.
        if self.is_dry_run:
            setattr(self, method, partial(self._rehearse, getattr(self, method)))
        elif method == "post" and self.rehearsable and "Idempotency-Key" in request.headers:
            setattr(self, method, partial(once, getattr(self, method)))

    def _is_unguarded(self, method: str) -> bool:
        return self.writes and method not in ("get", "head") and method.upper() not in self.versioned

    def _rehearse(self, handler: Callable[..., Response], request: Request, *args: Any, **kwargs: Any) -> Response:
        done = rehearse(lambda: handler(request, *args, **kwargs))
        return Response(rehearsed(done, internal=self.sees_internal))

    @property
    def sees_internal(self) -> bool:
        """Whether this caller may see that internal flags exist."""
        return self.principal.is_super_admin

    def allow(self) -> None:
        """Raise NotAllowed for a caller this view is not for."""

    def body(self) -> dict[str, Any]:
        """Return the valid body, by the class that `inputs` names for this method. Raises ValidationError."""
        kind = self.inputs.get(self.request.method or "", NoBody)
        data = self.request.data
        # Where there was nothing to parse, REST framework has an empty form, whose missing booleans would be false.
        return validated(kind, data.dict() if isinstance(data, QueryDict) else data)

    @cached_property
    def query(self) -> dict[str, Any]:
        """The valid query string, by the class that `queries` names for this method; and `dry_run` where it may be."""
        if self.any_query:
            return {}
        kind = self.queries.get(self.request.method or "", NoQuery)
        twice = [name for name, values in self.request.query_params.lists() if len(values) > 1]
        if twice:
            raise serializers.ValidationError({name: ["Say it once."] for name in sorted(twice)})
        given = self.request.query_params.dict()
        if given and PARAMETER not in kind().fields:
            given.pop(PARAMETER, None)  # Where the call takes place was settled before it reached us.
        if self.request.method in self.rehearsable:
            dry_run = validated(DryRunQuery, {"dry_run": given.pop("dry_run", "0")})
            return {**validated(kind, given), **dry_run}
        return validated(kind, given) if given else dict(_of_nothing(kind))

    @property
    def is_dry_run(self) -> bool:
        """Whether this call only wants to know what it would do."""
        return self.query.get("dry_run", False)


@cache
def _of_nothing(kind: type[Input]) -> dict[str, Any]:
    """Return what a call says that has no parameters at all, as most have none."""
    return validated(kind, {})


def validated(kind: type[AnInput], data: Any) -> dict[str, Any]:
    """Return data as a valid input. Raises ValidationError."""
    found = kind(data=data)
    found.is_valid(raise_exception=True)
    return dict(found.validated_data)


class AdminView(ApiView):
    """A view for super admins, as such, and for server keys with one of the scopes that `scopes` names by method.

    A key that is bound to a company gets in only by the methods of `for_bound_keys`, which must be about one company.
    """

    scopes: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    for_bound_keys: ClassVar[tuple[str, ...]] = ()
    rehearsable: ClassVar[tuple[str, ...]] = ("POST", "PUT", "PATCH", "DELETE")

    def allow(self) -> None:
        principal = self.principal
        if principal.viewing_as is not None:
            raise NotAllowed("You are viewing as a company. Stop viewing to work as a super admin.")
        if principal.is_super_admin:
            return
        token = principal.token
        if token is None:
            raise NotAllowed("Only a super admin may do this. Ask one of yours.")
        wanted = self.scopes.get("GET" if self.request.method == "HEAD" else self.request.method or "", ())
        if token.kind != ApiToken.Kind.SERVER or not set(wanted) & set(token.scopes):
            if not wanted:
                raise NotAllowed("No token may do this. A super admin can.")
            raise NotAllowed(
                f"This token lacks the scope {' or '.join(wanted)}. Use one that has it.", code="SCOPE_MISSING"
            )
        if token.company_id is not None and self.request.method not in self.for_bound_keys:
            raise foreign_company()

    @property
    def sees_internal(self) -> bool:
        """Whether this caller may see that internal flags exist: who is bound to one company may not."""
        token = self.principal.token
        return token is None or token.company_id is None

    def company_in_body(self, field: str, name: str) -> Company:
        """Return the company that a field of the body names. Raises as naming.named_company does, and where the call
        names another one beside it."""
        company = named_company(name, self.principal, field)
        agree(self.request._request, company)
        return company

    def flag(self, key: str) -> Flag:
        """Return a flag. Raises Missing, in the same words, for what is unknown and for what is hidden."""
        flags = Flag.objects.all() if self.sees_internal else Flag.objects.filter(is_internal=False)
        found = flags.filter(key=key).first() if re.fullmatch(KEY_PATTERN, key) else None
        if found is None:
            raise no_flag(key)
        return found


class CompanyView(AdminView):
    """An admin view about one company, named in its address by UUID or slug."""

    for_bound_keys = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

    @cached_property
    def company(self) -> Company:
        """The company of the address. Raises Missing, the same for what is not there and what is somebody else's."""
        return find_company(self.kwargs["tenant"], self.principal)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        agree(request._request, self.company)


def no_flag(key: str) -> Missing:
    """Return the one answer to a key that is unknown or hidden."""
    return Missing(f"There is no flag {key[:100]!r}.", code="FLAG_NOT_FOUND")


def created(data: Any, location: str) -> Response:
    """Return 201 with the address of what was made."""
    return Response(data, status=201, headers={"Location": location})
