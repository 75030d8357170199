"""Overrides: of one flag, of one company, many at once, and as a file."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from flags import changes, overridefiles
from flags.api.base import READ_FLAGS, WRITE_FLAGS, WRITE_TENANTS, AdminView, AnyAccept, CompanyView
from flags.api.fields import Bool, CursorQuery, Input, Moment, Reason, ReasonInput, Text, Whole
from flags.api.paging import Keyset, listed
from flags.api.parsing import CsvParser
from flags.api.preconditions import expected_version, lost_races, version_tag
from flags.exceptions import Invalid, Missing
from flags.models import Override

MOST_ROWS = 1000


class OverrideInput(Input):
    """A company's own answer."""

    enabled = Bool()
    reason = Reason()
    expires_at = Moment(required=False, allow_null=True, default=None)


class OverridePut(OverrideInput):
    """The same, with the version one has seen: 0 for none."""

    version = Whole(required=False, allow_null=True, default=None, min_value=0)


class OverrideRow(OverrideInput):
    """One row of a batch."""

    key = Text(max_length=63, trim_whitespace=False)


class OverridesInput(Input):
    """A batch: all rows, or none."""

    overrides: serializers.ListSerializer = serializers.ListSerializer(
        child=OverrideRow(), max_length=MOST_ROWS, allow_empty=False
    )
    reason = Reason()


class RemovalQuery(Input):
    """Why, for a call without a body."""

    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=500)
    version = serializers.IntegerField(required=False, default=None, min_value=0)


class OverridesQuery(CursorQuery):
    """Which of a flag's overrides."""

    enabled = serializers.BooleanField(required=False, allow_null=True, default=None)


class OverrideOutput(serializers.Serializer):
    """A company's own answer, as it stands."""

    company = serializers.CharField(source="company.slug")
    company_id = serializers.UUIDField()
    company_name = serializers.CharField(source="company.name")
    key = serializers.CharField(source="flag_id")
    enabled = serializers.BooleanField()
    reason = serializers.CharField()
    created_by = serializers.EmailField(source="created_by.email", allow_null=True, default=None)
    expires_at = serializers.DateTimeField(allow_null=True)
    paused = serializers.BooleanField()
    version = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class OutcomeOutput(serializers.Serializer):
    """What a batch did, and its id in history."""

    batch = serializers.UUIDField()
    changed = serializers.IntegerField()
    unchanged = serializers.IntegerField()


def as_bool(text: str) -> bool:
    """Read a boolean back from a cursor. Raises ValueError."""
    if text not in ("True", "False"):
        raise ValueError
    return text == "True"


def with_names(rows: QuerySet[Override]) -> QuerySet[Override]:
    """Read overrides with their companies and authors. No password's digest: keys of companies may not read any."""
    return rows.select_related("company", "created_by").defer("created_by__password")


def shown(override: Override) -> dict[str, Any]:
    """Return an override as the API shows it."""
    return dict(OverrideOutput(with_names(Override.objects.filter(pk=override.pk)).get()).data)


class FlagOverridesView(AdminView):
    """Which companies differ from what a flag says."""

    tag = "Overrides"
    outputs = {"GET": listed(OverrideOutput)}
    scopes = {"GET": (READ_FLAGS, WRITE_FLAGS)}
    queries = {"GET": OverridesQuery}
    pages = Keyset({"enabled": as_bool, "company_id": UUID})

    def get(self, request: Request, key: str) -> Response:
        """List the companies that differ."""
        rows = with_names(Override.objects.filter(flag=self.flag(key)))
        if self.query["enabled"] is not None:
            rows = rows.filter(enabled=self.query["enabled"])
        return Response(self.pages.page(request, rows, self.query, lambda found: OverrideOutput(found, many=True).data))


class OverrideView(CompanyView):
    """One company's answer to one flag."""

    tag = "Overrides"
    inputs = {"PUT": OverridePut, "DELETE": ReasonInput}
    outputs = {"GET": OverrideOutput, "PUT": {200: OverrideOutput, 201: OverrideOutput}, "DELETE": {204: None}}
    versioned = ("PUT", "DELETE")
    scopes = {
        "GET": (READ_FLAGS, WRITE_FLAGS, WRITE_TENANTS),
        "PUT": (WRITE_FLAGS, WRITE_TENANTS),
        "DELETE": (WRITE_FLAGS, WRITE_TENANTS),
    }
    queries = {"DELETE": RemovalQuery}

    def stored(self, key: str) -> Override | None:
        """Return the override as it is, or None."""
        return with_names(Override.objects.filter(company=self.company, flag=self.flag(key))).first()

    def get(self, request: Request, tenant: str, key: str) -> Response:
        """Read an override."""
        override = self.stored(key)
        if override is None:
            raise Missing(f"{self.company.name} has no override of {key!r}.", code="OVERRIDE_NOT_FOUND")
        return self.answer(override)

    def put(self, request: Request, tenant: str, key: str) -> Response:
        """Set an override."""
        body = self.body()
        before = self.stored(key)
        stored = 0 if before is None else before.version
        with lost_races(request, stored):
            override = changes.set_override(
                self.company,
                key,
                body["enabled"],
                actor=self.principal.actor,
                reason=body["reason"],
                expires_at=body["expires_at"],
                version=expected_version(request, stored, body["version"]),
            )
        return self.answer(override, 201 if before is None else 200)

    def delete(self, request: Request, tenant: str, key: str) -> Response:
        """Remove an override."""
        before = self.stored(key)
        stored = 0 if before is None else before.version
        reason = self.body()["reason"] or self.query["reason"]
        with lost_races(request, stored):
            changes.remove_override(
                self.company,
                key,
                actor=self.principal.actor,
                reason=reason,
                version=expected_version(request, stored, self.query["version"]),
            )
        return Response(status=204)

    @staticmethod
    def answer(override: Override, status: int = 200) -> Response:
        """Return an override under the tag of its version."""
        headers = {"ETag": version_tag(override.version)}
        return Response(shown(override), status=status, headers=headers)


class CompanyOverridesView(CompanyView):
    """Many overrides of one company, in one transaction and one batch of history."""

    tag = "Overrides"
    inputs = {"PUT": OverridesInput}
    outputs = {"PUT": OutcomeOutput}
    scopes = {"PUT": (WRITE_FLAGS, WRITE_TENANTS)}

    def put(self, request: Request, tenant: str) -> Response:
        """Set many overrides of one company."""
        body = self.body()
        keys = [row["key"] for row in body["overrides"]]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                raise Invalid(
                    f"Row {index} names {key!r} a second time.",
                    errors={f"overrides[{index}].key": ["Named twice."]},
                    index=index,
                )
        wishes = [changes.Wish(self.company, **row) for row in body["overrides"]]
        outcome = changes.set_overrides(wishes, actor=self.principal.actor, reason=body["reason"])
        return Response(OutcomeOutput(outcome).data)


class FileQuery(Input):
    """Whether each line names its version, so that a lost race is told when the file comes back."""

    versions = serializers.BooleanField(required=False, default=False)


class OverridesFileView(AdminView):
    """Every override as a CSV file: the export, imported again, changes nothing."""

    tag = "Overrides"
    queries = {"GET": FileQuery}
    outputs = {"GET": {(200, "text/csv"): OpenApiTypes.STR}, "POST": OutcomeOutput}
    scopes = {"GET": (READ_FLAGS, WRITE_FLAGS), "POST": (WRITE_FLAGS,)}
    content_negotiation_class = AnyAccept

    def get_parsers(self) -> list[BaseParser]:
        return [CsvParser()]

    def get(self, request: Request) -> HttpResponseBase:
        """Export every override as CSV."""
        headers = {"Content-Disposition": 'attachment; filename="overrides.csv"', "Cache-Control": "no-store"}
        lines = overridefiles.export(versions=self.query["versions"])
        return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)

    def post(self, request: Request) -> Response:
        """Import overrides from CSV."""
        text = request.data if isinstance(request.data, str) else ""
        outcome = overridefiles.load(text, actor=self.principal.actor)
        return Response(OutcomeOutput(outcome).data)
