"""The published description of the API (OpenAPI 3.1), made of what the views themselves say they take and answer."""

from functools import cache
from typing import Any

from django.urls import URLResolver, get_resolver
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from flags.api import introduction
from flags.api.base import AnyAccept
from flags.api.errors import MEDIA_TYPE, TYPE
from flags.api.examples import REQUESTS, RESPONSES
from flags.api.fields import Input
from flags.api.ofrepshapes import EvaluationFailureOutput
from flags.api.rehearsals import RehearsalOutput

WITH_BODY = ("POST", "PUT", "PATCH")
PATH_PARAMETERS = {
    "key": ("A flag's key.", "api_access"),
    "tenant": ("A company's UUID or slug.", "globex"),
    "user": ("A person's id.", "0a8c7d2e-5b1f-4c3d-9e6a-7f8091a2b3c4"),
    "token": ("A token's id.", "5d0f2c31-9a77-4a55-8d2c-1e0b3f4a5c6d"),
    "channel": ("A release channel's slug.", "pilot"),
    "gate": ("A gate's id.", "8e1f0b6c-2d3a-4f5b-8c7d-9a0b1c2d3e4f"),
    "batch": ("The id of a batch in history.", "3c9d2e1f-7a6b-4c5d-9e8f-0a1b2c3d4e5f"),
    "domain": ("accounting, ai or document_signing.", "accounting"),
}
HEADERS = {
    "If-Match": "The entity tag you have seen: 412 if it is another by now.",
    "If-None-Match": "The entity tag you hold: 304 if nothing has changed.",
    "Idempotency-Key": "A name of yours for this call. Repeated within a day it is answered alike, and done once.",
    "X-Workspace-Id": "The company to answer for, by UUID or slug.",
}
REFUSALS = {
    400: ("Bad request", "Something in the call is not valid; `errors` says what."),
    401: ("Unauthorized", "Say who you are."),
    403: ("Forbidden", "You may not do this, or the feature is off."),
    404: ("Not found", "There is nothing here that you may see."),
    406: ("Not acceptable", "The answer is JSON; accept it."),
    409: ("Conflict", "It does not fit what is there; a lost race shows both values."),
    412: ("Precondition failed", "`If-Match` is no longer the current tag; both values are shown."),
    413: ("Content too large", "The body is too large."),
    415: ("Unsupported media type", "The body is of another media type than this call takes."),
    422: ("Unprocessable content", "The `Idempotency-Key` was another call's."),
    429: ("Too many requests", "Too many calls; wait as long as `Retry-After` says."),
    500: ("Internal error", "Something broke; quote the request id."),
    503: ("Unavailable", "The database is away or busy; nothing was written."),
}
DONE = {200: "Done; or with `dry_run` what would be.", 201: "Made.", 204: "Done."}
TOLD = {
    401: {"WWW-Authenticate": "How to say who you are."},
    429: {"Retry-After": "Seconds to wait."},
    503: {"Retry-After": "Seconds to wait."},
}


class ProblemOutput(serializers.Serializer):
    """Why a call was refused (RFC 9457). docs/api.md lists every code. Some say more, such as `current` and `yours`."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField()
    code = serializers.CharField()
    request_id = serializers.CharField()
    errors = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()), required=False
    )
    flag = serializers.CharField(required=False)
    reason = serializers.CharField(required=False)


class PrincipalScheme(OpenApiAuthenticationExtension):
    """How to say who calls."""

    target_class = "flags.api.authentication.PrincipalAuthentication"
    name = ["bearer", "session", "apiKey"]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        bearer = "An API token (`hg_…`), or a person's access token from /api/auth/token."
        session = "A browser's session. Writing also takes X-CSRFToken."
        key = "An API token, for OpenFeature's clients."
        return [
            {"type": "http", "scheme": "bearer", "description": bearer},
            {"type": "apiKey", "in": "cookie", "name": "__Host-headgate_session", "description": session},
            {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": key},
        ]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[str]]]:
        found: list[dict[str, list[str]]] = [{"bearer": []}, {"session": []}]
        return [*found, {"apiKey": []}] if is_ofrep(auto_schema) else found


class InputExtension(OpenApiSerializerExtension):
    """Inputs refuse names they do not know."""

    target_class = Input
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**schema, "additionalProperties": False}


def is_ofrep(auto_schema: AutoSchema) -> bool:
    """Say whether this is OpenFeature's protocol, which has bodies of its own for some refusals."""
    return auto_schema.path.startswith("/ofrep/")


@cache
def names_by_path() -> dict[str, str]:
    """Return the name of each address of the API by its pattern."""
    found: dict[str, str] = {}

    def walk(resolver: URLResolver, prefix: str) -> None:
        for entry in resolver.url_patterns:
            path = prefix + str(entry.pattern)
            if isinstance(entry, URLResolver):
                walk(entry, path)
            elif entry.name:
                found[path] = entry.name

    walk(get_resolver(), "")
    return found


class ApiSchema(AutoSchema):
    """Describe a view by its `inputs`, `queries` and `outputs`, and by the ways in which it may refuse."""

    def get_operation(self, path: str, path_regex: str, path_prefix: str, method: str, registry: Any) -> Any:
        operation = super().get_operation(path, path_regex, path_prefix, method, registry)
        if operation is None:
            return None
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path":
                parameter["description"], parameter["example"] = PATH_PARAMETERS[parameter["name"]]
        operation.setdefault("parameters", []).extend(_header(name) for name in self._headers())
        for status, response in operation["responses"].items():
            said = "What was asked for." if self.method == "GET" else DONE[int(status)]
            response["description"] = response.get("description") or said
        for status in self._refusals():
            operation["responses"][str(status)] = self._refusal(status)
        if self._of_view("has_etag", False):
            operation["responses"]["304"] = {"description": "Nothing has changed."}
        self._add_examples(operation)
        return operation

    def get_operation_id(self) -> str:
        name = names_by_path().get(self.path_regex, self.path.strip("/").replace("/", "_"))
        return f"{self.method.lower()}_{name}"

    def get_summary(self) -> str | None:
        text = getattr(self.view, self.method.lower()).__doc__ or ""
        return text.partition("\n")[0].rstrip(".") or None

    def get_description(self) -> str:  # type: ignore[override]
        text = " ".join((type(self.view).__doc__ or "").split("\n    Raises")[0].split())
        scopes = self._of_view("scopes", {}).get(self.method, ())
        wanted = " or ".join(f"`{scope}`" for scope in scopes)
        return f"{text}\n\nFor super admins, and server keys with the scope {wanted}." if scopes else text

    def get_tags(self) -> list[str]:
        return [self._of_view("tag", "Other")]

    def get_request_serializer(self) -> Any:
        if self.method not in WITH_BODY:
            return None
        body = self._of_view("inputs", {}).get(self.method)
        return body if body is None else dict.fromkeys(self._media_types(), body)

    def get_response_serializers(self) -> Any:
        said = self._of_view("outputs", {}).get(self.method)
        by_status = dict(said) if isinstance(said, dict) and "type" not in said else {200: said}
        if self.method in self._of_view("rehearsable", ()):
            plain = by_status.get(200)
            by_status[200] = RehearsalOutput
            if plain is not None:
                name = f"{plain.__name__.removesuffix('Output')}OrRehearsal"
                by_status[200] = PolymorphicProxySerializer(name, [plain, RehearsalOutput], None)
        return by_status

    def get_override_parameters(self) -> list[Any]:
        queries = self._of_view("queries", {})
        found = [queries[self.method]] if self.method in queries else []
        return [*found, DryRun] if self.method in self._of_view("rehearsable", ()) else found

    def get_auth(self) -> list[Any]:
        return [] if self._of_view("for_strangers", False) else [way for way in super().get_auth() if way]

    def _get_serializer_name(self, serializer: Any, direction: Any, bypass_extensions: bool = False) -> str:
        return super()._get_serializer_name(serializer, direction, bypass_extensions).removesuffix("Output")

    def _of_view(self, name: str, default: Any) -> Any:
        return getattr(self.view, name, default)

    def _media_types(self) -> list[str]:
        # A form is taken only to be told that it is none.
        return [parser.media_type for parser in self.view.get_parsers() if parser.media_type != "multipart/form-data"]

    def _headers(self) -> list[str]:
        found = list(self._of_view("headers_read", ()))
        if self._of_view("has_etag", False):
            found.append("If-None-Match")
        if self.method in self._of_view("versioned", ()):
            found.append("If-Match")
        if self.method == "POST" and self._of_view("rehearsable", ()):
            found.append("Idempotency-Key")
        return found

    def _refusals(self) -> list[int]:
        found = {400, 401, 429, 500, 503}
        if not self._of_view("for_strangers", False):
            found.add(403)
        if self._of_view("content_negotiation_class", None) is not AnyAccept:
            found.add(406)
        if "{" in self.path or self._query_names() & {"page", "company"}:
            found.add(404)
        if self.method in WITH_BODY:
            found |= {413, 415}
        if self.method in self._of_view("rehearsable", ()):
            found |= {404, 409}
        if self.method in self._of_view("versioned", ()):
            found.add(412)
        if "Idempotency-Key" in self._headers():
            found.add(422)
        return sorted(found)

    def _query_names(self) -> set[str]:
        query = self._of_view("queries", {}).get(self.method)
        return set(query().fields) if query is not None else set()

    def _refusal(self, status: int) -> dict[str, Any]:
        if is_ofrep(self) and status in (400, 404, 500):
            component = self.resolve_serializer(EvaluationFailureOutput, "response")
            return {
                "description": REFUSALS[status][1],
                "content": {"application/json": {"schema": component.ref if component else {}}},
            }
        self.resolve_serializer(ProblemOutput, "response")
        return {"$ref": f"#/components/responses/{_component(status)}"}

    def _add_examples(self, operation: dict[str, Any]) -> None:
        name = operation["operationId"]
        if name in REQUESTS:
            for content in operation["requestBody"]["content"].values():
                content["example"] = REQUESTS[name]
        if name in RESPONSES:
            status, body = RESPONSES[name]
            for content in operation["responses"][str(status)]["content"].values():
                content["example"] = body


class DryRun(serializers.Serializer):
    """Whether only to say what would happen."""

    dry_run = serializers.BooleanField(required=False, default=False, help_text="Say what would happen; write nothing.")


def _header(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": {"type": "string"}, "description": HEADERS[name]}


def _component(status: int) -> str:
    return REFUSALS[status][0].title().replace(" ", "")


def complete(result: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
    """Add what all refusals share. A post-processing hook of drf-spectacular."""
    used = {tag for methods in result["paths"].values() for call in methods.values() for tag in call["tags"]}
    result["info"]["description"] = introduction.TEXT
    result["tags"] = [tag for tag in introduction.TAGS if tag["name"] in used]
    problem = {"$ref": "#/components/schemas/Problem"}
    responses = result.setdefault("components", {}).setdefault("responses", {})
    for status, (title, description) in REFUSALS.items():
        example = {
            "type": TYPE + title.lower().replace(" ", "-"),
            "title": title,
            "status": status,
            "detail": description,
            "instance": "/api/admin/feature-flags/api_access",
            "code": title.upper().replace(" ", "_"),
            "request_id": "0b1f6a58-6a0e-4a3e-9d0e-3f0c1c1b9a2d",
        }
        responses[_component(status)] = {
            "description": description,
            "content": {MEDIA_TYPE: {"schema": problem, "example": example}},
        }
        if status in TOLD:
            responses[_component(status)]["headers"] = {
                name: {"schema": {"type": "string"}, "description": text} for name, text in TOLD[status].items()
            }
    return result
