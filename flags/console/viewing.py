"""Looking through a company's eyes: a super admin sees what its admins see, and has no more rights than they."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from flags import companies
from flags.console.companies import company_or_404
from flags.console.responses import console_view
from flags.exceptions import ChangeRefused
from flags.requests import HttpRequest
from tenants.access import person_required, takes
from tenants.principal import VIEWING_AS


@console_view("GET", "POST")
def view_as(request: HttpRequest, slug: str) -> HttpResponse:
    """Say what viewing as a company means, and begin it. It lasts until one stops, or signs out."""
    company = company_or_404(slug)
    if request.method == "GET":
        return render(request, "console/view_as.html", {"company": company})
    try:
        companies.view_as(company, actor=request.principal.user)
    except ChangeRefused as refusal:
        messages.error(request, refusal.detail)
        return redirect("console:company_detail", company.slug)
    request.session[VIEWING_AS] = str(company.pk)
    return redirect("home")


@never_cache
@takes("POST")
@person_required
def view_as_stop(request: HttpRequest) -> HttpResponse:
    """Be oneself again, and go back to the company's page."""
    company = request.principal.viewing_as
    if company is None:
        if not request.principal.is_super_admin:
            raise PermissionDenied
        return redirect("home")
    companies.stop_viewing_as(company, actor=request.principal.user)
    del request.session[VIEWING_AS]
    return redirect("console:company_detail", company.slug)
