"""A page behind a gate, to watch it open: turn on `billing_enabled` in one browser, and load this in another."""

from django.http import HttpResponse
from django.shortcuts import render

from flags.decorators import feature_required
from flags.requests import HttpRequest
from tenants.access import reads


@reads
@feature_required("billing_enabled")
def billing(request: HttpRequest) -> HttpResponse:
    """Show what a company pays for. Super admins, who have every feature, see the page without a company."""
    return render(request, "company/billing.html", {"company": request.principal.company})
