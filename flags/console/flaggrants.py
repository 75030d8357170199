"""Who may use a flag that needs a grant, on the flag's page: the list, and the way to grant it to one more."""

from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from flags import overview, roster
from flags.console.flags import GRANTS_SHOWN, flag_context
from flags.console.forms import GrantsForm, PickForm
from flags.console.grants import company_grant
from flags.console.paging import counted, on_its_page
from flags.console.responses import came_by_itself, console_view, fragment, page_or_fragment, wants_fragment
from flags.models import Flag
from flags.requests import HttpRequest

SUGGESTED = 12


@console_view("GET")
def flag_grants(request: HttpRequest, key: str) -> HttpResponse:
    """Show who was granted or denied a flag. Without scripts, its page does."""
    flag = get_object_or_404(Flag, key=key)
    if not wants_fragment(request):
        query = f"?{request.GET.urlencode() or 'show=all'}"
        return redirect(reverse("console:flag_detail", args=[key]) + query + "#grants")
    asked = GrantsForm(request.GET)
    context: dict[str, Any] = {
        "flag": flag,
        "grants": overview.page_of_grants(flag, GRANTS_SHOWN, **asked.wanted),
        "granted_to": asked.filters().get("person", ""),
    }
    if came_by_itself(request, "grant-table"):
        return fragment(request, "console/_grant_table.html", context)
    said = counted(context["grants"].rows, "grant", "grants")
    response = fragment(request, "console/_grant_table.html", context, said=said)
    return on_its_page(request, response, reverse("console:flag_detail", args=[key]), GrantsForm.base_fields)


@console_view("GET")
def flag_grant_add(request: HttpRequest, key: str) -> HttpResponseBase:
    """Find the company whose people the grant is for, and go on to it. `suggest` names candidates while one types."""
    flag = get_object_or_404(Flag, key=key)
    text = PickForm(request.GET).filters().get("q", "")
    near = list(roster.find_companies(q=text)[:SUGGESTED]) if text else []
    if "suggest" in request.GET:
        return fragment(request, "console/_override_options.html", {"companies": near})
    company = overview.find_company(text) if text else None
    if company is not None:
        if wants_fragment(request):
            return company_grant(request, company.slug, key)
        return redirect(reverse("console:company_grant", args=[company.slug, key]) + "?place=page")
    meant = [(one.name, reverse("console:company_grant", args=[one.slug, key]) + "?place=page") for one in near]
    picked = {"flag": flag, "for_grant": {"picked": text, "near": meant}}
    if wants_fragment(request):
        return fragment(request, "console/_grant_pick.html", picked, status=422, target="#grant-pick")
    return page_or_fragment(request, "console/flag_detail.html", "", flag_context(request, key) | picked, status=422)
