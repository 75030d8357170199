"""The three integration domains of seed 004, for everybody of a company, and the page that each of them gates."""

from django.http import Http404, HttpResponse
from django.shortcuts import render

from flags.company.entry import company_page
from flags.features import require_feature
from flags.integrations import DOMAINS, domains, integration, integrations
from flags.requests import HttpRequest


@company_page
def integration_list(request: HttpRequest) -> HttpResponse:
    """Show each domain: ready, disabled, not in the plan, or coming soon."""
    principal = request.principal
    found = integrations(request.features, internal=principal.is_super_admin)
    context = {"company": principal.company, "integrations": found}
    return render(request, "company/integrations.html", context)


@company_page
def integration_detail(request: HttpRequest, domain: str) -> HttpResponse:
    """Show one domain where it is on. Where it is off, the one guard call of seed 004 answers 403."""
    if domain not in domains(request.features, internal=request.principal.is_super_admin):
        raise Http404
    require_feature(DOMAINS[domain])
    context = {
        "company": request.principal.company,
        "integration": integration(domain, request.features),
    }
    return render(request, "company/integration.html", context)
