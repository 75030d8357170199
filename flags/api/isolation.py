"""The tenant isolation audit: POST /api/admin/tenant-isolation-audit."""

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flags import auditruns
from flags.api.base import READ_AUDIT, AdminView
from flags.api.fields import Input, Text
from flags.audits import run_audit
from flags.isolation import MODES


class AuditInput(Input):
    """What to look at. `tenant_id` is a company's UUID or slug; without it, all companies."""

    mode = serializers.ChoiceField(MODES, required=False, default="both")
    tenant_id = Text(required=False, allow_null=True, default=None, max_length=80)


class FindingOutput(serializers.Serializer):
    """Something that is not as it should be."""

    severity = serializers.ChoiceField(["error", "warning", "info"])
    check = serializers.CharField()
    table = serializers.CharField()
    message = serializers.CharField()
    remedy = serializers.CharField()


class PreviousRunOutput(serializers.Serializer):
    """The run before."""

    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    passed = serializers.BooleanField()


class DifferenceOutput(serializers.Serializer):
    """What changed since the run before."""

    previous = PreviousRunOutput(allow_null=True)
    appeared = FindingOutput(many=True)
    gone = FindingOutput(many=True)


class AuditOutput(serializers.Serializer):
    """What one run found. It is complete when nothing had to be left out."""

    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    by = serializers.CharField()
    mode = serializers.ChoiceField(MODES)
    company = serializers.CharField(allow_null=True)
    passed = serializers.BooleanField()
    complete = serializers.BooleanField()
    checks = serializers.IntegerField()
    skipped = serializers.ListField(child=serializers.CharField())
    counts = serializers.DictField(child=serializers.IntegerField())
    findings = FindingOutput(many=True)
    since_last = DifferenceOutput()


class AuditView(AdminView):
    """Run the audit, and answer what it found. Findings are no error of the call: look at `passed`."""

    tag = "Isolation"
    inputs = {"POST": AuditInput}
    outputs = {"POST": AuditOutput}
    scopes = {"POST": (READ_AUDIT,)}
    # All it writes is its report.
    rehearsable = ()

    def post(self, request: Request) -> Response:
        """Audit that companies are kept apart."""
        body = self.body()
        name = body["tenant_id"]
        company = None if name is None else self.company_in_body("tenant_id", name)
        run = run_audit(body["mode"], actor=self.principal.actor, company=company)
        return Response(auditruns.as_json(run))
