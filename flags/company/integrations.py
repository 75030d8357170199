"""The three integration domains of seed 004, for everybody of a company, and the page that each of them gates."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from flags.company.entry import company_page
from flags.features import require_feature
from flags.integrations import DOMAINS, integration, integrations


@company_page
def integration_list(request: HttpRequest) -> HttpResponse:
    """Show each domain: ready, disabled, not in the plan, or coming soon."""
    principal = request.principal  # type: ignore[attr-defined]
    context = {"company": principal.company, "integrations": integrations(request.features)}  # type: ignore[attr-defined]
    return render(request, "company/integrations.html", context)


@company_page
def integration_detail(request: HttpRequest, domain: str) -> HttpResponse:
    """Show one domain where it is on. Where it is off, the one guard call of seed 004 answers 403."""
    if domain not in DOMAINS:
        raise Http404
    require_feature(DOMAINS[domain])
    context = {
        "company": request.principal.company,  # type: ignore[attr-defined]
        "integration": integration(domain, request.features),  # type: ignore[attr-defined]
    }
    return render(request, "company/integration.html", context)
