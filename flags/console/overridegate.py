"""A company's own answer in front of the gate: the same drawers, from the flag's side and from the company's."""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse

from flags import changes, companyfeatures
from flags.companyimpact import impact_of_override
from flags.console.forms import ChangeForm, OverrideForm
from flags.console.gate import through_gate
from flags.console.responses import both_values, drawer_target, malformed, page_or_fragment, sent, status_of
from flags.evaluation import Decision, OverrideFact
from flags.exceptions import ChangeRefused
from flags.impact import Proposed
from flags.models import Flag, Override
from flags.requests import HttpRequest
from tenants.models import Company

DRAWER = "console/_override_drawer.html"


def override_of(company: Company, flag: Flag) -> Override | None:
    """Return a company's own answer to a flag, with who gave it, or None."""
    return Override.objects.filter(company=company, flag=flag).select_related("created_by").first()


def drawer_of(
    request: HttpRequest, company: Company, flag: Flag, *, drawer_id: str, return_focus: str, back: str
) -> dict[str, Any]:
    """Return what every drawer about one company's override shows, as of now. `back` is where Cancel leads."""
    override, basis = override_of(company, flag), companyfeatures.basis_of(company)
    return {
        "company": company,
        "flag": flag,
        "override": override,
        "version": 0 if override is None else override.version,
        "basis": basis,
        "inherited": companyfeatures.inherited(basis, flag.key),
        "action": request.path,
        "drawer_id": drawer_id,
        "target": drawer_target(request, drawer_id),
        "return_focus": return_focus,
        "close_url": back,
        "next": back,
    }


def through_override_gate(
    request: HttpRequest,
    company: Company,
    flag: Flag,
    *,
    look: Callable[[], dict[str, Any]],
    finish: Callable[[str], HttpResponse],
) -> HttpResponse:
    """Ask for one company's own answer, set it, or say why it was refused; what was typed stays.

    A new one starts as the opposite of what the company inherits (seed 002). `look` returns the drawer as of now, and
    `finish` answers for the place in the page where it was asked.
    """
    refusal: ChangeRefused | None = None
    if request.method == "POST":
        form = OverrideForm(request.POST)
        if form.is_valid():
            said = form.cleaned_data
            asked = {name: said[name] for name in ("reason", "expires_at", "paused", "version")}
            try:
                changes.set_override(company, flag.key, said["enabled"], actor=request.principal.user, **asked)
            except ChangeRefused as refused:
                refusal = refused
            else:
                return finish(said["place"])
    shown = look()
    if request.method == "GET":
        form = OverrideForm(initial=_initial(shown["override"], shown["inherited"]))
    context: dict[str, Any] = {
        **shown,
        "if_on": impact_of_override(company, flag.key, OverrideFact(True), shown["basis"]),
        "if_off": impact_of_override(company, flag.key, OverrideFact(False), shown["basis"]),
        "form": form,
        "place": form["place"].value() or request.GET.get("place", ""),
        "needs_reason": changes.reason_is_required(),
        "refusal": refusal,
        "both": both_values(refusal),
        "drawer": DRAWER,
    }
    status = status_of(refusal) if refusal is not None else 422 if form.errors else 200
    form.take(refusal)
    return page_or_fragment(request, "console/flag_gate.html", DRAWER, context, status=status)


def _initial(override: Override | None, inherited: Decision) -> dict[str, Any]:
    if override is None:
        return {"enabled": not inherited.enabled}
    return {name: getattr(override, name) for name in ("enabled", "reason", "expires_at", "paused")}


def through_reset_gate(
    request: HttpRequest,
    company: Company,
    flag: Flag,
    *,
    look: Callable[[], dict[str, Any]],
    finish: Callable[[str], HttpResponse],
) -> HttpResponse:
    """Take one company's own answer away, so that it inherits again. Shows first what it inherits."""
    form = ChangeForm(sent(request))
    if not form.is_valid():
        return malformed(request, form)
    said = form.cleaned_data
    return through_gate(
        request,
        form,
        proposed=Proposed(flag.key, overrides={company.pk: None}),
        act=lambda: changes.remove_override(
            company, flag.key, actor=request.principal.user, reason=said["reason"], version=said["version"]
        ),
        drawer="console/_override_reset_drawer.html",
        look=look,
        finish=lambda: finish(said["place"]),
    )
