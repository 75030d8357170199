"""Who may open a company's pages, and what the others are told: whom to ask."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from flags.requests import HttpRequest
from tenants.access import READERS, person_required, reads
from tenants.models import Membership, Role

View = Callable[..., HttpResponseBase]


def company_page(view: View) -> View:
    """Open a page to everybody of a company, and to super admins viewing as one. Reads only."""
    return _page(view, lambda role: True)


def reader_page(view: View) -> View:
    """Open a page to admins and coordinators of a company, and super admins viewing as one (seed 002). Reads only."""
    return _page(view, lambda role: role in READERS)


def _page(view: View, may_enter: Callable[[str], bool]) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        principal = request.principal
        if principal.company is None or not may_enter(principal.role):
            return not_for_you(request)
        return view(request, *args, **kwargs)

    return reads(person_required(guarded))


def not_for_you(request: HttpRequest) -> HttpResponse:
    """Answer 403 with whom to ask: the company's admins, by name."""
    principal = request.principal
    admins: list[dict[str, str]] = []
    if principal.company is not None:
        of_it = Membership.objects.filter(company=principal.company, role=Role.ADMIN, user__is_active=True)
        # Name and address alone: nobody's password is read for a page.
        admins = [
            {"name": name or email, "email": email}
            for name, email in of_it.order_by("user__email").values_list("user__name", "user__email")[:5]
        ]
    return render(request, "company/not_for_you.html", {"company": principal.company, "admins": admins}, status=403)
