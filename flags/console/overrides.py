"""Overrides of a flag: who differs, giving a company its own answer, and taking it back."""

from functools import partial
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from flags import overview, roster
from flags.console.companies import company_or_404
from flags.console.flags import OVERRIDES_SHOWN, flag_context
from flags.console.forms import PickForm
from flags.console.overridegate import drawer_of, through_override_gate, through_reset_gate
from flags.console.overriderows import OverrideRow, page_of_overrides
from flags.console.paging import counted, on_its_page
from flags.console.responses import came_by_itself, console_view, fragment, page_or_fragment, wants_fragment, way_back
from flags.console.switches import flag_changed
from flags.models import Flag
from flags.requests import HttpRequest
from tenants.models import Company

SHOWN_IN_ROW = 10
SUGGESTED = 12


@console_view("GET")
def flag_overrides(request: HttpRequest, key: str) -> HttpResponse:
    """Show which companies differ, in the flag's row of the list or on its page. Without scripts, the page does."""
    if not wants_fragment(request):
        get_object_or_404(Flag, key=key)
        query = f"?{request.GET.urlencode() or 'show=all'}"
        return redirect(reverse("console:flag_detail", args=[key]) + query + "#overrides")
    flag = get_object_or_404(overview.with_number_of_overrides(Flag.objects.only("key", "name")), key=key)
    if request.GET.get("place") == "row":
        row = {"flag": flag, "overrides": flag.differing}
        first = page_of_overrides(flag, SHOWN_IN_ROW, number=flag.differing).rows
        return fragment(request, "console/_override_list.html", {"row": row, "differing": first})
    asked = PickForm(request.GET).filters()
    found = page_of_overrides(flag, OVERRIDES_SHOWN, number=flag.differing, **asked)
    context = {"flag": flag, "overrides": found, "asked": asked}
    if came_by_itself(request, "override-table"):
        return fragment(request, "console/_override_table.html", context)
    said = counted(found.rows, "company with an override", "companies with an override")
    response = fragment(request, "console/_override_table.html", context, said=said)
    return on_its_page(request, response, reverse("console:flag_detail", args=[key]), PickForm.base_fields)


@console_view("GET")
def flag_override_add(request: HttpRequest, key: str) -> HttpResponseBase:
    """Find the company that shall get its own answer, and go on to it. `suggest` names candidates while one types."""
    flag = get_object_or_404(Flag, key=key)
    text = PickForm(request.GET).filters().get("q", "")
    if "suggest" in request.GET:
        return fragment(request, "console/_override_options.html", {"companies": _like(text)})
    company = overview.find_company(text) if text else None
    if company is not None:
        if wants_fragment(request):
            return flag_override(request, key, company.slug)
        return redirect("console:flag_override", key, company.slug)
    near = [(one.name, reverse("console:flag_override", args=[key, one.slug])) for one in _like(text)]
    picked = {"flag": flag, "for_override": {"picked": text, "near": near}}
    if wants_fragment(request):
        return fragment(request, "console/_override_pick.html", picked, status=422, target="#override-pick")
    return page_or_fragment(request, "console/flag_detail.html", "", flag_context(request, key) | picked, status=422)


@console_view("GET", "POST")
def flag_override(request: HttpRequest, key: str, company: str) -> HttpResponse:
    """Give one company its own answer, or change it. A new one starts as the opposite of what the company inherits."""
    flag = get_object_or_404(Flag, key=key)
    owner = company_or_404(company)
    back = _back(request, key)

    def look() -> dict[str, Any]:
        shown = _drawer(request, flag, owner, "override-company", back)
        # Finding the company by its name leads here as well, from another address.
        shown["action"] = reverse("console:flag_override", args=[key, owner.slug])
        if shown["override"]:
            shown["return_focus"] = f"edit-{key}-{owner.slug}"
        return shown

    finish = partial(_changed, request, flag, back=back)
    return through_override_gate(request, owner, flag, look=look, finish=finish)


@console_view("GET", "POST")
def flag_override_reset(request: HttpRequest, key: str, company: str) -> HttpResponse:
    """Take a company's own answer away, so that it inherits again."""
    flag = get_object_or_404(Flag, key=key)
    owner = company_or_404(company)
    back = _back(request, key)
    # Its own button is gone afterwards, so focus returns to where a company is given its own answer.
    look = partial(_drawer, request, flag, owner, f"reset-{key}-{owner.slug} override-company", back)
    finish = partial(_changed, request, flag, back=back)
    return through_reset_gate(request, owner, flag, look=look, finish=finish)


def _drawer(request: HttpRequest, flag: Flag, company: Company, return_focus: str, back: str) -> dict[str, Any]:
    drawer_id = f"drawer-override-{flag.key}-{company.slug}"
    return drawer_of(request, company, flag, drawer_id=drawer_id, return_focus=return_focus, back=back)


def _back(request: HttpRequest, key: str) -> str:
    home = reverse("console:flag_detail", args=[key]) + "?show=all#overrides"  # Who is sent there has no scripts.
    return way_back(request, request.POST.get("next") or request.GET.get("next", ""), home)


def _changed(request: HttpRequest, flag: Flag, place: str, *, back: str) -> HttpResponse:
    shown = {"differing": _first(flag)} if place == "row" else {}
    return flag_changed(request, flag.key, place, back, **shown)


def _first(flag: Flag) -> list[OverrideRow]:
    return page_of_overrides(flag, SHOWN_IN_ROW).rows


def _like(text: str) -> list[Company]:
    return list(roster.find_companies(q=text)[:SUGGESTED]) if text else []
