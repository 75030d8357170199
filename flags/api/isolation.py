"""The tenant isolation audit: POST /api/admin/tenant-isolation-audit."""

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flags import auditruns
from flags.api.base import READ_AUDIT, AdminView, named_company
from flags.api.fields import Input, Text
from flags.audits import run_audit
from flags.isolation import MODES


class AuditInput(Input):
    """What to look at. `tenant_id` is a company's UUID or slug; without it, all companies."""

    mode = serializers.ChoiceField(MODES, required=False, default="both")
    tenant_id = Text(required=False, allow_null=True, default=None, max_length=80)


class AuditView(AdminView):
    """Run the audit, and answer what it found. Findings are no error of the call: look at `passed`."""

    scopes = {"POST": (READ_AUDIT,)}
    # All it writes is its report.
    rehearsable = ()

    def post(self, request: Request) -> Response:
        body = self.body(AuditInput)
        name = body["tenant_id"]
        company = None if name is None else named_company(name, self.principal, "tenant_id")
        run = run_audit(body["mode"], actor=self.principal.actor, company=company)
        return Response(auditruns.as_json(run))
