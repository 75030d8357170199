"""Companies: /api/admin/tenants. Provisioning, what each has, and the seed's two calls for multi-workspace."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from flags import changes, companies, companyfeatures
from flags.api.base import READ_FLAGS, WRITE_FLAGS, WRITE_TENANTS, AdminView, CompanyView
from flags.api.fields import Bool, CursorQuery, Input, PageQuery, Reason, ReasonInput, Text, Whole
from flags.api.overrides import OverrideInput, OverrideOutput, shown
from flags.api.paging import Keyset, by_number, listed, moment, words
from flags.api.preconditions import expected_version, lost_races, version_tag
from flags.companyfeatures import FeatureRow
from flags.exceptions import Invalid
from flags.models import Flag
from flags.provisioning import Admin, Preset, provision
from tenants.models import Company
from tenants.names import named

MULTI_WORKSPACE = "multi_workspace_enabled"
ORDERINGS = {
    sign + name: Keyset({name: read, "id": UUID}, descending=sign == "-")
    for name, read in (("name", words), ("slug", words), ("created_at", moment))
    for sign in ("", "-")
}
READ = (READ_FLAGS, WRITE_FLAGS, WRITE_TENANTS)


class CompanyQuery(CursorQuery):
    """Which companies, in which order."""

    q = serializers.CharField(required=False, default="", allow_blank=True, max_length=120)
    channel = serializers.CharField(required=False, default="", allow_blank=True, max_length=40)
    plan = serializers.CharField(required=False, default="", allow_blank=True, max_length=40)
    is_active = serializers.BooleanField(required=False, allow_null=True, default=None)
    ordering = serializers.ChoiceField(list(ORDERINGS), required=False, default="name")


class AdminInput(Input):
    """Somebody who shall run the company."""

    email = Text(max_length=254)
    name = Text(required=False, allow_blank=True, default="", max_length=120)


class PresetInput(OverrideInput):
    """An override the company shall start with."""

    key = Text(max_length=63, trim_whitespace=False)


class CompanyInput(Input):
    """A new company, with all it starts with."""

    slug = Text(max_length=80)
    name = Text(max_length=120)
    channel = Text(required=False, max_length=40)
    plan = Text(required=False, max_length=40)
    admins: serializers.ListSerializer = serializers.ListSerializer(child=AdminInput(), required=False, max_length=100)
    overrides: serializers.ListSerializer = serializers.ListSerializer(
        child=PresetInput(), required=False, max_length=1000
    )
    reason = Reason()


class CompanyPatch(Input):
    """What to change of a company."""

    name = Text(required=False, max_length=120)
    channel = Text(required=False, max_length=40)
    plan = Text(required=False, max_length=40)
    is_active = Bool(required=False)
    reason = Reason()
    version = Whole(required=False, allow_null=True, default=None)


class CompanyOutput(serializers.Serializer):
    """A company."""

    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    channel = serializers.CharField(source="channel_id")
    plan = serializers.CharField(source="plan_id")
    is_active = serializers.BooleanField()
    version = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class ProvisionedOutput(CompanyOutput):
    """A company, and what was done for it now."""

    created = serializers.BooleanField()
    admins_added = serializers.IntegerField()
    overrides_added = serializers.IntegerField()


class FeaturesQuery(PageQuery):
    """Which of a company's features: on, off, or by what is notable about them."""

    state = serializers.ChoiceField(companyfeatures.STATES, required=False, default="", allow_blank=True)


class ChannelStateOutput(serializers.Serializer):
    """What the company's channel says of a flag."""

    slug = serializers.CharField()
    enabled = serializers.BooleanField()
    percentage = serializers.IntegerField()


class FeatureOutput(serializers.Serializer):
    """One flag as one company has it: global, channel, minimum plan, override, what comes of it and why."""

    key = serializers.CharField(source="flag.key")
    name = serializers.CharField(source="flag.name")
    category = serializers.CharField(source="flag.category")
    default = serializers.BooleanField(source="flag.default_enabled")
    channel = serializers.SerializerMethodField()
    plan = serializers.CharField(source="flag.minimum_plan_id", allow_null=True)
    override = OverrideOutput(allow_null=True)
    opt_in = serializers.BooleanField(source="opt_in.enabled", allow_null=True, default=None)
    enabled = serializers.BooleanField(source="decision.enabled")
    reason = serializers.CharField(source="decision.reason")

    @extend_schema_field(ChannelStateOutput(allow_null=True))
    def get_channel(self, row: FeatureRow) -> dict[str, Any] | None:
        state = row.channel
        if state.enabled is None:
            return None
        return {"slug": state.slug, "enabled": state.enabled, "percentage": state.percentage}


class WorkspaceSwitchOutput(OverrideOutput):
    """The override that was set."""

    tenantId = serializers.UUIDField()


def _one(company: Company, status: int = 200, **more: Any) -> Response:
    data = {**CompanyOutput(company).data, **more}
    return Response(data, status=status, headers={"ETag": version_tag(company.version)})


class CompaniesView(AdminView):
    """The list of companies; POST provisions one, and again adds only what is missing."""

    tag = "Companies"
    inputs = {"POST": CompanyInput}
    outputs = {"GET": listed(CompanyOutput), "POST": {200: ProvisionedOutput, 201: ProvisionedOutput}}
    scopes = {"GET": READ, "POST": (WRITE_TENANTS,)}
    queries = {"GET": CompanyQuery}

    def get(self, request: Request) -> Response:
        """List companies."""
        query = self.query
        rows = Company.objects.all()
        if query["q"]:
            rows = named(rows, *query["q"].split())
        for name in ("channel", "plan", "is_active"):
            if query[name] not in ("", None):
                rows = rows.filter(**{name: query[name]})
        build = lambda found: CompanyOutput(found, many=True).data  # noqa: E731
        return Response(ORDERINGS[query["ordering"]].page(request, rows, query, build))

    def post(self, request: Request) -> Response:
        """Provision a company."""
        body = self.body()
        keys = [row["key"] for row in body.get("overrides", ())]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                errors = {f"overrides[{index}].key": ["Named twice."]}
                raise Invalid(f"Override {index} names {key!r} a second time.", errors=errors, index=index)
        outcome = provision(
            body["slug"],
            body["name"],
            actor=self.principal.actor,
            channel=body.get("channel"),
            plan=body.get("plan"),
            admins=[Admin(**row) for row in body.get("admins", ())],
            overrides=[Preset(**row) for row in body.get("overrides", ())],
            reason=body["reason"],
        )
        response = _one(
            outcome.company,
            201 if outcome.is_new else 200,
            created=outcome.is_new,
            admins_added=outcome.admins_added,
            overrides_added=outcome.overrides_added,
        )
        if outcome.is_new:
            response["Location"] = reverse("api:company", [outcome.company.slug], request=request)
        return response


class CompanyDetailView(CompanyView):
    """One company."""

    tag = "Companies"
    inputs = {"PATCH": CompanyPatch}
    outputs = {"GET": CompanyOutput, "PATCH": CompanyOutput}
    versioned = ("PATCH",)
    scopes = {"GET": READ, "PATCH": (WRITE_TENANTS,)}

    def get(self, request: Request, tenant: str) -> Response:
        """Read a company."""
        return _one(self.company)

    def patch(self, request: Request, tenant: str) -> Response:
        """Change a company."""
        body = self.body()
        stored = self.company.version
        reason, version = body.pop("reason"), body.pop("version")
        with lost_races(request, stored):
            company = companies.edit_company(
                self.company,
                actor=self.principal.actor,
                reason=reason,
                version=expected_version(request, stored, version),
                **body,
            )
        return _one(company)


class CompanyFeaturesView(CompanyView):
    """Every flag as one company has it, by the same evaluation that code gets; grants of single people aside."""

    tag = "Companies"
    outputs = {"GET": listed(FeatureOutput)}
    scopes = {"GET": READ}
    queries = {"GET": FeaturesQuery}

    def get(self, request: Request, tenant: str) -> Response:
        """List every flag as a company has it."""
        flags = Flag.objects.live().select_related("minimum_plan")
        if not self.sees_internal:
            flags = flags.filter(is_internal=False)
        basis = companyfeatures.basis_of(self.company)
        if state := self.query["state"]:
            states = companyfeatures.feature_states(self.company, internal=self.sees_internal, basis=basis)
            flags = flags.filter(pk__in=states[state])

        def build(found: list[Flag]) -> list[dict]:
            rows = companyfeatures.feature_rows(self.company, internal=self.sees_internal, flags=found, basis=basis)
            for row in rows:
                if row.override is not None:
                    row.override.company = self.company  # Known already; not to be read once for each row.
            return list(FeatureOutput(rows, many=True).data)

        return Response(by_number(request, flags, self.query, build))


class EnableMultiWorkspaceView(CompanyView):
    """Let a company's people work in several companies (seed 003): its override of one flag."""

    tag = "Companies"
    inputs = {"POST": ReasonInput}
    outputs = {"POST": WorkspaceSwitchOutput}
    scopes = {"POST": (WRITE_FLAGS, WRITE_TENANTS)}
    enabled = True

    def post(self, request: Request, tenant: str) -> Response:
        """Switch multi-workspace for one company."""
        reason = self.body()["reason"]
        override = changes.set_override(
            self.company, MULTI_WORKSPACE, self.enabled, actor=self.principal.actor, reason=reason
        )
        return Response({"tenantId": str(self.company.pk), **shown(override)})


class DisableMultiWorkspaceView(EnableMultiWorkspaceView):
    """Keep a company's people at home."""

    enabled = False
