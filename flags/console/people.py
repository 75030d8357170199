"""A company's people: who they are, what they may see, adding and removing them."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables

from flags import changes, companies, roster
from flags.console.companies import company_or_404, tabs
from flags.console.companyforms import ROLES, NewMemberForm, PeopleFilterForm, RoleForm
from flags.console.forms import ChangeForm, check_typed
from flags.console.paging import address, counted
from flags.console.responses import (
    both_values,
    console_view,
    done,
    drawer_target,
    fragment,
    here,
    malformed,
    page_or_fragment,
    say_what_changed,
    seen_by,
    sent,
    status_of,
    wants_fragment,
    way_back,
)
from flags.exceptions import ChangeRefused, Missing
from flags.keyset import stretch
from flags.requests import HttpRequest
from tenants import invitations
from tenants.models import Company, Membership, Role

PEOPLE_PER_PAGE = 50


def member_or_404(company: Company, user: UUID) -> Membership:
    """Return a person's membership in this company, and no other. Raises Http404."""
    return get_object_or_404(Membership.objects.select_related("user"), company=company, user=user)


def list_context(request: HttpRequest, company: Company, **shown: Any) -> dict[str, Any]:
    """Return what the list of a company's people shows, as the address asks for it."""
    filters = PeopleFilterForm(request.GET).filters()
    cursors = {name: filters.pop(name) for name in ("after", "before") if name in filters}
    page = stretch(roster.find_people(company, **filters), ("user__email", "user_id"), PEOPLE_PER_PAGE, **cursors)
    home = reverse("console:company_members", args=[company.slug])
    return {
        "company": company,
        "tabs": tabs(company, "company_members"),
        "filters": filters,
        "roles": ROLES,
        "granted": roster.granted_flags(company),
        "rows": roster.person_rows(company, page.rows),
        "previous": address(request, home, before=page.previous, after=None) if page.previous else None,
        "next": address(request, home, after=page.next, before=None) if page.next else None,
        "here": here(request),
        "form": NewMemberForm(),
        "needs_reason": changes.reason_is_required(),
        **shown,
    }


@console_view("GET", "POST")
def company_members(request: HttpRequest, slug: str) -> HttpResponse:
    """The company's people, with their roles and grants; a POST adds one, and invites them by e-mail."""
    company = company_or_404(slug)
    status, shown = 200, {}
    if request.method == "POST":
        form = NewMemberForm(request.POST)
        refusal = _add(request, company, form) if form.is_valid() else None
        if form.is_valid() and refusal is None:
            said = say_what_changed(request)
            if not wants_fragment(request):
                return redirect("console:company_members", company.slug)
            context = list_context(request, company)
            return fragment(request, "console/_member_list.html", context, target="#members", said=said)
        status, shown = 422 if refusal is None else status_of(refusal), {"form": form}
        form.take(refusal)
    context = list_context(request, company, **shown)
    said = counted(context["rows"], "person", "people") if request.method == "GET" else ""
    return page_or_fragment(
        request, "console/company_members.html", "console/_member_list.html", context, status=status, said=said
    )


def _add(request: HttpRequest, company: Company, form: NewMemberForm) -> ChangeRefused | None:
    said = form.cleaned_data
    belonged = roster.find_people(company).filter(user__email=said["email"].lower()).exists()
    try:
        membership = companies.add_member(
            company, said["email"], said["role"], actor=request.principal.user, reason=said["reason"]
        )
    except ChangeRefused as refused:
        return refused
    if not belonged:
        _invite(request, membership)
    return None


@sensitive_variables()
def _invite(request: HttpRequest, membership: Membership) -> None:
    assert request.principal.user is not None, "a console view lets only people in"
    origin = f"{request.scheme}://{request.get_host()}"
    invitations.send(membership.user, membership.company, inviter=request.principal.user, origin=origin)


@console_view("POST")
def member_invite(request: HttpRequest, slug: str, user: UUID) -> HttpResponse:
    """Send somebody who has not come in yet their link once more."""
    company = company_or_404(slug)
    membership = member_or_404(company, user)
    membership.company = company
    _invite(request, membership)
    said = f"Sent another link to {membership.user.email}."
    messages.success(request, said)
    if not wants_fragment(request):
        return redirect(_back(request, company))
    return fragment(request, "console/_member_row.html", row_context(request, company, membership), said=said)


@console_view("GET", "POST")
def member_role(request: HttpRequest, slug: str, user: UUID) -> HttpResponse:
    """Give somebody another role."""
    company = company_or_404(slug)
    membership = member_or_404(company, user)
    if request.method == "GET":
        return drawer(request, company, membership, "role", RoleForm(initial={"role": membership.role}))
    form = RoleForm(request.POST)
    if not form.is_valid():
        return drawer(request, company, membership, "role", form, status=422)
    said = form.cleaned_data
    try:
        companies.add_member(
            company,
            membership.user.email,
            said["role"],
            actor=request.principal.user,
            reason=said["reason"],
            seen=said["seen"] or None,
        )
    except ChangeRefused as refusal:
        return drawer(request, company, membership, "role", form, refusal=refusal)
    return changed(request, company, user)


@console_view("GET", "POST")
def member_remove(request: HttpRequest, slug: str, user: UUID) -> HttpResponse:
    """End somebody's belonging, and with it their grants there."""
    company = company_or_404(slug)
    membership = member_or_404(company, user)
    form = ChangeForm(sent(request))
    if not form.is_valid():
        return malformed(request, form)
    if request.method == "GET":
        return drawer(request, company, membership, "remove", form)
    try:
        said = form.cleaned_data
        check_typed(form, membership.user.email, "Removing somebody")
        if not companies.remove_member(
            company, membership.user, actor=request.principal.user, reason=said["reason"], seen=said["seen"] or None
        ):
            raise Missing("They do not belong to this company any more.", code="MEMBER_NOT_FOUND")
    except ChangeRefused as refusal:
        return drawer(request, company, membership, "remove", form, refusal=refusal)
    told = say_what_changed(request)
    if not wants_fragment(request):
        return redirect(_back(request, company))
    context = {"company": company, "user": membership.user, "held": roster.granted_flags(company)}
    return fragment(request, "console/_member_gone.html", context, target=f"#member-{user}", said=told)


def row_context(request: HttpRequest, company: Company, membership: Membership) -> dict[str, Any]:
    """Return what one person's row shows, as of now."""
    [row] = roster.person_rows(company, [membership])
    return {"company": company, "row": row, "here": here(request)}


def drawer(
    request: HttpRequest,
    company: Company,
    membership: Membership,
    name: str,
    form: ChangeForm,
    *,
    refusal: ChangeRefused | None = None,
    status: int = 200,
    seen: Callable[[], str] | None = None,
    **shown: Any,
) -> HttpResponse:
    """Show one of a person's drawers, with a refusal in its own words and nothing that was typed lost.

    `seen` returns the stamp of what it is about, as it is now, where that is not the role.
    """
    if refusal is not None:
        membership = member_or_404(company, membership.user_id)  # As it is now.
    drawer_id = f"drawer-{name}-{membership.user_id}"
    others = Membership.objects.filter(company=company, role=Role.ADMIN).exclude(pk=membership.pk)
    context: dict[str, Any] = {
        **row_context(request, company, membership),
        "form": form,
        "seen": seen_by(form, refusal, companies.stamp_of_role(membership) if seen is None else seen()),
        "refusal": refusal,
        "both": both_values(refusal),
        "is_last_admin": membership.role == Role.ADMIN and not others.exists(),
        "needs_reason": changes.reason_is_required(),
        "action": request.path,
        "drawer": f"console/_member_{name}_drawer.html",
        "drawer_id": drawer_id,
        "target": drawer_target(request, drawer_id),
        "return_focus": f"{name}-{membership.user_id}",
        "close_url": _back(request, company),
        "next": _back(request, company),
        **shown,
    }
    status = status_of(refusal) if refusal is not None else status
    if form.is_bound:
        form.take(refusal)
    return page_or_fragment(request, "console/member_gate.html", context["drawer"], context, status=status)


def changed(request: HttpRequest, company: Company, user: UUID) -> HttpResponse:
    """Answer after something of a person was changed: with their row, or the way back to it."""
    context = row_context(request, company, member_or_404(company, user))
    context["held"] = roster.granted_flags(company)
    back = _back(request, company)
    return done(request, back=back, part="console/_member_row.html", context=context, target=f"#member-{user}")


def _back(request: HttpRequest, company: Company) -> str:
    home = reverse("console:company_members", args=[company.slug])
    return way_back(request, request.POST.get("next") or request.GET.get("next", ""), home)
