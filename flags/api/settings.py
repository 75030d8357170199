"""A company's own settings, its integration flags riding along (seed 004): /api/org-settings, /api/integrations."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flags.api.base import ApiView
from flags.api.features import FRESH
from flags.api.fields import Bool, Input, Text
from flags.api.naming import agree
from flags.api.paging import listed
from flags.exceptions import Invalid, Missing, NotAllowed
from flags.features import Features, require_feature
from flags.integrations import DOMAINS, domains, integration, integrations
from flags.orgsettings import change_settings
from tenants.models import Company, CompanySettings, Role

SETTINGS = ("default_currency", "brand_colour", "time_zone")


class SettingsPatch(Input):
    """What to change. A flag says true, false, or null for no choice of one's own any more."""

    name = Text(required=False, max_length=120)
    default_currency = Text(required=False, max_length=3)
    brand_colour = Text(required=False, max_length=7)
    time_zone = Text(required=False, max_length=64)
    accounting_enabled = Bool(required=False, allow_null=True)
    ai_enabled = Bool(required=False, allow_null=True)
    document_signing_enabled = Bool(required=False, allow_null=True)


class SettingsOutput(serializers.Serializer):
    """A company's settings, with three flags as plain booleans; without those the caller may not know of."""

    slug = serializers.CharField()
    name = serializers.CharField()
    default_currency = serializers.CharField()
    brand_colour = serializers.CharField()
    time_zone = serializers.CharField()
    accounting_enabled = serializers.BooleanField(required=False)
    ai_enabled = serializers.BooleanField(required=False)
    document_signing_enabled = serializers.BooleanField(required=False)


class IntegrationOutput(serializers.Serializer):
    """One integration domain as the caller has it."""

    domain = serializers.ChoiceField(list(DOMAINS))
    key = serializers.CharField()
    name = serializers.CharField()
    enabled = serializers.BooleanField()
    state = serializers.ChoiceField(["ready", "disabled", "not_in_plan", "coming_soon"])
    reason = serializers.CharField()
    may_choose = serializers.BooleanField()


class OwnCompanyView(ApiView):
    """A view for people about the company they are of."""

    tag = "Own company"
    counted_as = "evaluation"

    def allow(self) -> None:
        if self.principal.user is None:
            raise NotAllowed("Only people have settings. Sign in as one of the company's.")
        if self.principal.company is None:
            raise NotAllowed("You belong to no company. Ask an admin of yours to add you.", code="NO_COMPANY")
        agree(self.request._request, self.principal.company)

    @property
    def company(self) -> Company:
        """The caller's company."""
        company = self.principal.company
        assert company is not None, "`allow` has refused who has none"
        return company

    @property
    def features(self) -> Features:
        """The caller's features."""
        return self.request._request.features  # type: ignore[attr-defined]

    @property
    def domains(self) -> dict[str, str]:
        """The integration domains that the caller may know of, with their flags' keys."""
        return domains(self.features, internal=self.sees_internal)


class OrgSettingsView(OwnCompanyView):
    """The caller's company: what it says about itself, and which integrations are on."""

    inputs = {"PATCH": SettingsPatch}
    outputs = {"GET": SettingsOutput, "PATCH": SettingsOutput}
    rehearsable = ("PATCH",)

    def get(self, request: Request) -> Response:
        """Read the company's settings and integration flags."""
        stored = CompanySettings.objects.filter(company=self.company).first() or CompanySettings()
        answer: dict[str, Any] = {"slug": self.company.slug, "name": self.company.name}
        answer |= {name: getattr(stored, name) for name in SETTINGS}
        answer |= {key: self.features[key] for key in self.domains.values()}
        return Response(answer, headers=FRESH)

    def patch(self, request: Request) -> Response:
        """Change the company's settings, or make its own choices."""
        if self.principal.viewing_as is not None:
            raise NotAllowed("You are viewing as a company. Stop viewing to change anything.")
        if self.principal.role != Role.ADMIN and not self.principal.is_super_admin:
            raise NotAllowed("Only an admin of the company may change its settings.")
        body = self.body()
        hidden = [key for key in DOMAINS.values() if key in body and key not in self.domains.values()]
        if hidden:
            raise Invalid("No such setting.", errors={key: ["Unknown."] for key in hidden})
        change_settings(
            self.company,
            actor=self.principal.actor,
            settings={name: body[name] for name in ("name", *SETTINGS) if name in body},
            choices={key: body[key] for key in DOMAINS.values() if key in body},
        )
        self.features.forget()
        self.company.refresh_from_db(fields=["name"])
        return self.get(request)


class IntegrationsView(OwnCompanyView):
    """Every integration domain, with its state in a word."""

    outputs = {"GET": listed(IntegrationOutput)}

    def get(self, request: Request) -> Response:
        """List the integration domains."""
        found = IntegrationOutput(integrations(self.features, internal=self.sees_internal), many=True).data
        return Response({"results": found, "next": None, "previous": None}, headers=FRESH)


class IntegrationView(OwnCompanyView):
    """One integration domain, for those who have it; for others 403 (seed 004's one guard call)."""

    outputs = {"GET": IntegrationOutput}

    def get(self, request: Request, domain: str) -> Response:
        """Enter one integration domain."""
        if domain not in self.domains:
            raise Missing(f"There is no integration domain {domain[:40]!r}.", code="DOMAIN_NOT_FOUND")
        require_feature(DOMAINS[domain])
        return Response(IntegrationOutput(integration(domain, self.features)).data, headers=FRESH)
