"""The Inspector's second tab: run the tenant isolation audit, and read what it found (seed 001, section 8)."""

from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from flags import auditruns
from flags.audits import run_audit
from flags.console.inspector import tabs
from flags.console.responses import malformed
from flags.decorators import feature_required
from flags.isolation import MODES
from flags.releasemodels import IsolationAudit
from flags.requests import HttpRequest
from tenants.access import reads, super_admin_required, takes

RUNS_SHOWN = 20


class AuditForm(forms.Form):
    """What to look at."""

    mode = forms.ChoiceField(choices=[(mode, mode) for mode in MODES])


@takes("GET", "HEAD", "POST")
@never_cache
@super_admin_required
@feature_required("inspector")
def isolation(request: HttpRequest) -> HttpResponse:
    """Show the last runs and what one of them found, the newest unless `?run=` names another; POST runs the audit."""
    if request.method == "POST":
        form = AuditForm(request.POST)
        if not form.is_valid():
            return malformed(request, form)
        run = run_audit(form.cleaned_data["mode"], actor=request.principal.user)
        return redirect(f"{reverse('console:isolation')}?run={run.pk}")
    runs = list(IsolationAudit.objects.defer("findings", "skipped")[:RUNS_SHOWN])
    shown = _named(request.GET.get("run", "")) or IsolationAudit.objects.first()
    context = {
        "runs": runs,
        "run": shown,
        "groups": auditruns.by_severity(shown) if shown is not None else [],
        "counts": auditruns.severity_counts(shown) if shown is not None else {},
        "difference": auditruns.since_last(shown) if shown is not None else None,
        "tabs": tabs("isolation"),
    }
    return render(request, "console/isolation.html", context)


@reads
@never_cache
@super_admin_required
@feature_required("inspector")
def isolation_report(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One run as a file of JSON."""
    run = get_object_or_404(IsolationAudit, pk=pk)
    response = JsonResponse(auditruns.as_json(run), json_dumps_params={"indent": 2, "ensure_ascii": False})
    response["Content-Disposition"] = f'attachment; filename="tenant-isolation-{run.at:%Y-%m-%d-%H%M%S}.json"'
    return response


def _named(name: str) -> IsolationAudit | None:
    try:
        return IsolationAudit.objects.filter(pk=name).first() if name else None
    except ValidationError:
        return None
