"""Overrides of a flag: who differs, giving a company its own answer, and taking it back."""

from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from flags import changes, companyfeatures, overview, roster
from flags.companyimpact import impact_of_override
from flags.console.flags import OVERRIDES_SHOWN, flag_context
from flags.console.forms import ChangeForm, OverrideForm, PickForm
from flags.console.gate import through_gate
from flags.console.responses import (
    both_values,
    console_view,
    fragment,
    malformed,
    page_or_fragment,
    status_of,
    wants_fragment,
    way_back,
)
from flags.console.switches import flag_changed
from flags.evaluation import OverrideFact
from flags.exceptions import ChangeRefused
from flags.impact import Proposed
from flags.models import Flag, Override
from flags.requests import HttpRequest
from tenants.models import Company

SHOWN_IN_ROW = 10
SUGGESTED = 12


@console_view("GET")
def flag_overrides(request: HttpRequest, key: str) -> HttpResponse:
    """Show which companies differ, in the flag's row of the list or on its page. Without scripts, the page does."""
    flag = get_object_or_404(Flag, key=key)
    if not wants_fragment(request):
        query = f"?{request.GET.urlencode()}" if request.GET else ""
        return redirect(reverse("console:flag_detail", args=[key]) + query + "#overrides")
    asked = PickForm(request.GET).filters()
    if request.GET.get("place") == "row":
        return fragment(request, "console/_override_list.html", {"row": _row(flag), "differing": _first(flag)})
    context = {"flag": flag, "overrides": overview.page_of_overrides(flag, OVERRIDES_SHOWN, **asked), "asked": asked}
    return fragment(request, "console/_override_table.html", context)


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
    picked = {"flag": flag, "picked": text, "near": _like(text), "not_found": True}
    if wants_fragment(request):
        return fragment(request, "console/_override_pick.html", picked, status=422, target="#override-pick")
    return page_or_fragment(request, "console/flag_detail.html", "", flag_context(request, key) | picked, status=422)


@console_view("GET", "POST")
def flag_override(request: HttpRequest, key: str, company: str) -> HttpResponse:
    """Give one company its own answer, or change it. A new one starts as the opposite of what the company inherits."""
    flag = get_object_or_404(Flag, key=key)
    owner = get_object_or_404(Company, slug=company)
    back = _back(request, key)
    refusal: ChangeRefused | None = None
    if request.method == "POST":
        form = OverrideForm(request.POST)
        if form.is_valid():
            said = form.cleaned_data
            try:
                changes.set_override(
                    owner,
                    key,
                    said["enabled"],
                    actor=request.principal.user,
                    reason=said["reason"],
                    expires_at=said["expires_at"],
                    paused=said["paused"],
                    version=said["version"],
                )
            except ChangeRefused as refused:
                refusal = refused
            else:
                return _changed(request, flag, said["place"], back)
    else:
        form = OverrideForm(initial=_initial(flag, owner))
    override = Override.objects.filter(flag=flag, company=owner).select_related("created_by").first()
    context = {
        "flag": flag,
        "company": owner,
        "override": override,
        "inherited": companyfeatures.inherited(owner, key),
        "if_on": impact_of_override(owner, key, OverrideFact(True)),
        "if_off": impact_of_override(owner, key, OverrideFact(False)),
        "form": form,
        "version": 0 if override is None else override.version,
        "place": form["place"].value() or request.GET.get("place", ""),
        "next": back,
        "needs_reason": changes.reason_is_required(),
        "refusal": refusal,
        "both": both_values(refusal),
        "action": reverse("console:flag_override", args=[key, owner.slug]),
        "drawer_id": f"drawer-override-{key}-{owner.slug}",
        "return_focus": f"edit-{key}-{owner.slug}" if override else "override-company",
        "close_url": back,
        "drawer": "console/_override_drawer.html",
    }
    status = status_of(refusal) if refusal is not None else 422 if form.errors else 200
    form.take(refusal)
    return page_or_fragment(request, "console/flag_gate.html", "console/_override_drawer.html", context, status=status)


@console_view("GET", "POST")
def flag_override_reset(request: HttpRequest, key: str, company: str) -> HttpResponse:
    """Take a company's own answer away, so that it inherits again."""
    flag = get_object_or_404(Flag, key=key)
    owner = get_object_or_404(Company, slug=company)
    form = ChangeForm(request.POST or request.GET)
    if not form.is_valid():
        return malformed(form)
    said, back = form.cleaned_data, _back(request, key)

    def look() -> dict[str, Any]:
        override = Override.objects.filter(flag=flag, company=owner).first()
        return {
            "flag": flag,
            "company": owner,
            "override": override,
            "inherited": companyfeatures.inherited(owner, key),
            "version": 0 if override is None else override.version,
            "action": request.path,
            "drawer_id": f"drawer-override-{key}-{owner.slug}",
            "return_focus": f"reset-{key}-{owner.slug}",
            "close_url": back,
        }

    return through_gate(
        request,
        form,
        proposed=Proposed(key, overrides={owner.pk: None}),
        act=lambda: changes.remove_override(
            owner, key, actor=request.principal.user, reason=said["reason"], version=said["version"]
        ),
        drawer="console/_override_reset_drawer.html",
        look=look,
        finish=lambda: _changed(request, flag, said["place"], back),
    )


def _initial(flag: Flag, company: Company) -> dict[str, Any]:
    override = Override.objects.filter(flag=flag, company=company).first()
    if override is None:
        return {"enabled": not companyfeatures.inherited(company, flag.key).enabled}
    return {name: getattr(override, name) for name in ("enabled", "reason", "expires_at", "paused")}


def _back(request: HttpRequest, key: str) -> str:
    home = reverse("console:flag_detail", args=[key]) + "#overrides"
    return way_back(request, request.POST.get("next") or request.GET.get("next", ""), home)


def _changed(request: HttpRequest, flag: Flag, place: str, back: str) -> HttpResponse:
    shown = {"differing": _first(flag)} if place == "row" else {}
    return flag_changed(request, flag.key, place, back, **shown)


def _first(flag: Flag) -> list[Override]:
    return overview.page_of_overrides(flag, SHOWN_IN_ROW).rows


def _like(text: str) -> list[Company]:
    return list(roster.find_companies(q=text)[:SUGGESTED]) if text else []


def _row(flag: Flag) -> overview.FlagRow:
    [row] = overview.flag_rows([flag])
    return row
