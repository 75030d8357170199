"""Grants: letting one person of a company use a feature, or not use it."""

from collections.abc import Iterable
from functools import partial
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from flags import changes, roster
from flags.console.companies import company_or_404
from flags.console.companyforms import GrantForm, PeopleFilterForm, PickPersonForm
from flags.console.forms import ChangeForm
from flags.console.people import changed, drawer, list_context, member_or_404
from flags.console.responses import (
    both_values,
    console_view,
    drawer_target,
    fragment,
    malformed,
    page_or_fragment,
    say_what_changed,
    seen_by,
    sent,
    status_of,
    wants_fragment,
)
from flags.console.switches import flag_changed
from flags.exceptions import ChangeRefused
from flags.models import Flag, Grant
from flags.requests import HttpRequest
from tenants.models import Company

SUGGESTED = 10


@console_view("GET", "POST")
def member_grants(request: HttpRequest, slug: str, user: UUID) -> HttpResponse:
    """Show what somebody holds; a POST grants them a feature, or denies it."""
    company = company_or_404(slug)
    membership = member_or_404(company, user)

    def seen() -> str:
        return _stamps(Grant.objects.filter(company=company, user=user).select_related("user"))

    if request.method == "GET":
        form = GrantForm(initial=_initial(company, user, request.GET.get("flag", "")))
        return drawer(request, company, membership, "grants", form, seen=seen)
    form = GrantForm(request.POST)
    if not form.is_valid():
        return drawer(request, company, membership, "grants", form, status=422, seen=seen)
    said = form.cleaned_data
    try:
        changes.grant(
            company,
            membership.user,
            said["flag"].key,
            enabled=said["enabled"],
            actor=request.principal.user,
            reason=said["reason"],
            expires_at=said["expires_at"],
            seen=_stamp_in(said["seen"], said["flag"].key, otherwise=changes.stamp_of_grant(None)),
        )
    except ChangeRefused as refusal:
        return drawer(request, company, membership, "grants", form, refusal=refusal, seen=seen)
    return changed(request, company, user)


@console_view("GET", "POST")
def member_revoke(request: HttpRequest, slug: str, user: UUID, key: str) -> HttpResponse:
    """Take somebody's grant, or denial, away, for a reason of its own."""
    company = company_or_404(slug)
    membership = member_or_404(company, user)
    flag = get_object_or_404(Flag, key=key)
    form = ChangeForm(sent(request))
    if not form.is_valid():
        return malformed(request, form)
    said = form.cleaned_data
    refusal: ChangeRefused | None = None
    if request.method == "POST":
        try:
            changes.revoke(
                company,
                membership.user,
                flag.key,
                actor=request.principal.user,
                reason=said["reason"],
                seen=said["seen"] or None,
            )
        except ChangeRefused as refused:
            refusal = refused
    if request.method == "GET" or refusal is not None:
        held = Grant.objects.filter(company=company, user=user, flag=flag).select_related("flag", "created_by").first()
        shown = {"flag": flag, "held": held, "place": said["place"], "return_focus": f"grants-{user}"}
        if said["place"] == "page":
            shown |= {"return_focus": "grant-company", "close_url": _of_flag(key), "next": _of_flag(key)}
        seen = partial(changes.stamp_of_grant, held)
        return drawer(request, company, membership, "revoke", form, refusal=refusal, seen=seen, **shown)
    if said["place"] == "page":
        return flag_changed(request, key, "page", _of_flag(key))
    return changed(request, company, user)


@console_view("GET", "POST")
def company_grant(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Grant one feature to somebody of the company who is found by name or e-mail. `suggest` names candidates."""
    company = company_or_404(slug)
    flag = get_object_or_404(Flag.objects.live(), key=key)
    if "suggest" in request.GET:
        found = roster.find_people(company, q=PeopleFilterForm({"q": request.GET.get("email")}).filters().get("q", ""))
        return fragment(request, "console/_member_options.html", {"people": found.order_by("user__email")[:SUGGESTED]})
    if request.method == "GET":
        email = request.GET.get("email", "")
        held = Grant.objects.filter(company=company, flag=flag, user__email=email).first() if email else None
        begun = {"enabled": True} if held is None else _as_held(held)
        begun |= {"flag": flag, "email": email, "place": request.GET.get("place", "")}
        return _pick(request, company, flag, PickPersonForm(initial=begun))
    form = PickPersonForm({**request.POST.dict(), "flag": flag.key})
    if not form.is_valid():
        return _pick(request, company, flag, form, status=422)
    said = form.cleaned_data
    people = roster.find_people(company)
    member = people.filter(user__email=said["email"].strip().lower()).first()
    if member is None:
        form.add_error("email", f"Nobody of {company.name} has this address. Choose one that is suggested.")
        return _pick(request, company, flag, form, status=422)
    try:
        changes.grant(
            company,
            member.user,
            flag.key,
            enabled=said["enabled"],
            actor=request.principal.user,
            reason=said["reason"],
            expires_at=said["expires_at"],
            seen=_stamp_in(said["seen"], member.user.email),
        )
    except ChangeRefused as refusal:
        return _pick(request, company, flag, form, refusal=refusal)
    if said["place"] == "page":
        return flag_changed(request, key, "page", _of_flag(key))
    said_so = say_what_changed(request)
    if not wants_fragment(request):
        return redirect("console:company_members", company.slug)
    context = list_context(request, company)
    return fragment(request, "console/_member_list.html", context, target="#members", said=said_so)


def _initial(company: Company, user: UUID, key: str) -> dict[str, Any]:
    """Return what somebody holds of a flag as the form takes it; nothing yet begins as a permission."""
    flag = Flag.objects.live().filter(key=key).first() if key else None
    if flag is None:
        return {"enabled": True}
    held = Grant.objects.filter(company=company, user=user, flag=flag).first()
    if held is None:
        return {"flag": flag, "enabled": True}
    return {"flag": flag} | _as_held(held)


def _stamps(held: Iterable[Grant]) -> str:
    """Return the stamps of all that somebody holds, by flag, as their drawer carries them."""
    return " ".join(["held", *(f"{grant.flag_id}={changes.stamp_of_grant(grant)}" for grant in held)])


def _stamp_in(said: str, name: str, *, otherwise: str | None = None) -> str | None:
    """Return the stamp that a form carries for this flag or person; None where it carries none at all."""
    stamps = dict(word.rpartition("=")[::2] for word in said.split())
    return stamps.get(name, otherwise) if stamps else None


def _as_held(held: Grant) -> dict[str, Any]:
    return {name: getattr(held, name) for name in ("enabled", "reason", "expires_at")}


def _of_flag(key: str) -> str:
    """Return where a flag's page lists its grants."""
    return reverse("console:flag_detail", args=[key]) + "?show=all#grants"  # Who is sent there has no scripts.


def _pick(
    request: HttpRequest,
    company: Company,
    flag: Flag,
    form: PickPersonForm,
    *,
    refusal: ChangeRefused | None = None,
    status: int = 200,
) -> HttpResponse:
    drawer_id = f"drawer-grant-{flag.key}"
    on_flag = form["place"].value() == "page"
    back = _of_flag(flag.key) if on_flag else reverse("console:company_members", args=[company.slug])
    # Of whom is not said before somebody is chosen, and then nothing was seen of them.
    typed = str(form["email"].value() or "").strip().lower()
    held = Grant.objects.filter(company=company, flag=flag, user__email=typed).first() if typed else None
    now = f"{typed}={changes.stamp_of_grant(held)}" if typed else ""
    context: dict[str, Any] = {
        "company": company,
        "flag": flag,
        "form": form,
        "seen": seen_by(form, refusal, now),
        "refusal": refusal,
        "both": both_values(refusal),
        "needs_reason": changes.reason_is_required(),
        "action": reverse("console:company_grant", args=[company.slug, flag.key]),
        "drawer": "console/_company_grant_drawer.html",
        "drawer_id": drawer_id,
        "target": drawer_target(request, drawer_id),
        "return_focus": "grant-company" if on_flag else f"grant-{flag.key}",
        "close_url": back,
        "next": back,
    }
    status = status_of(refusal) if refusal is not None else status
    if form.is_bound:
        form.take(refusal)
    return page_or_fragment(request, "console/member_gate.html", context["drawer"], context, status=status)
