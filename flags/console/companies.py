"""Companies: the list, one of them on its page, making, editing and (de)activating one, and its history."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from flags import changes, companies, companyfeatures, finding, history, roster
from flags.companyimpact import impact_of_move
from flags.console.companyforms import CompanyForm, DeactivateForm, NewCompanyForm
from flags.console.forms import CursorForm
from flags.console.history import CHANGES_PER_PAGE, by_day, entries, files
from flags.console.paging import address
from flags.console.responses import console_view, here, page_or_fragment, person, say_what_changed, status_of
from flags.console.searching import REFUSED_VIEW, search, text_of
from flags.exceptions import ChangeRefused, Conflict, Invalid
from flags.keyset import stretch
from flags.requests import HttpRequest
from tenants.models import Company, Membership

COMPANIES_PER_PAGE = 30
COUNTED_UP_TO = 1000
CHANGES_SHOWN = 8


def company_or_404(slug: str) -> Company:
    """Return the company with its channel and plan. Raises Http404."""
    return get_object_or_404(Company.objects.select_related("channel", "plan"), slug=slug)


def tabs(company: Company, current: str) -> list[dict[str, Any]]:
    """Return the tabs of a company's pages."""
    pages = (
        ("Overview", "company_detail"),
        ("Features", "company_features"),
        ("People", "company_members"),
        ("Changes", "company_changes"),
    )
    return [
        {"label": label, "url": reverse(f"console:{name}", args=[company.slug]), "current": name == current}
        for label, name in pages
    ]


@console_view("GET")
def company_list(request: HttpRequest) -> HttpResponse:
    """Every company by name, with search and filters that live in the address."""
    cursors = CursorForm(request.GET).filters()
    found = finding.find_companies(text_of(request, "companies"), person(request))
    if cursors:
        rows, total = found.rows, roster.count_up_to(found.rows, COUNTED_UP_TO)
    else:
        rows, total = roster.first_and_total(found.rows, COMPANIES_PER_PAGE + 1, COUNTED_UP_TO)
    page = stretch(rows, ("name", "id"), COMPANIES_PER_PAGE, **cursors)
    context = {
        "search": search("companies", found, person(request), request.session.pop(REFUSED_VIEW, None)),
        "rows": roster.company_rows(page.rows),
        "total": total,
        "more": total == COUNTED_UP_TO,
        "previous": address(request, before=page.previous, after=None) if page.previous else None,
        "next": address(request, after=page.next, before=None) if page.next else None,
    }
    said = f"{total}{' or more' if total == COUNTED_UP_TO else ''} {'company' if total == 1 else 'companies'}"
    return page_or_fragment(request, "console/company_list.html", "console/_company_list.html", context, said=said)


@console_view("GET")
def company_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """One company: what it has, who differs, and what was changed lately."""
    company = company_or_404(slug)
    states = companyfeatures.feature_states(company, internal=True)
    context = {
        "company": company,
        "tabs": tabs(company, "company_detail"),
        "states": {name: len(keys) for name, keys in states.items()},
        "people": Membership.objects.filter(company=company).count(),
        "entries": entries(history.find_changes().filter(company_id=company.pk)[:CHANGES_SHOWN]),
        "here": request.get_full_path(),
    }
    return render(request, "console/company_detail.html", context)


@console_view("GET")
def company_changes(request: HttpRequest, slug: str) -> HttpResponse:
    """Everything that was ever changed about one company, newest first."""
    company = company_or_404(slug)
    cursors = CursorForm(request.GET).filters()
    page = history.newest_first(history.find_changes().filter(company_id=company.pk), CHANGES_PER_PAGE, **cursors)
    context = {
        "company": company,
        "tabs": tabs(company, "company_changes"),
        "days": by_day(page.rows),
        "files": files(company=company.slug),
        "today": timezone.localdate(),
        "newer": address(request, before=page.previous, after=None) if page.previous else None,
        "older": address(request, after=page.next, before=None) if page.next else None,
        "here": here(request),
    }
    return page_or_fragment(request, "console/company_changes.html", "console/_change_list.html", context)


@console_view("GET", "POST")
def company_new(request: HttpRequest) -> HttpResponse:
    """Make a company."""
    form = NewCompanyForm(
        request.POST if request.method == "POST" else None, initial={"channel": "general", "plan": "starter"}
    )
    refusal = None
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            company = companies.create_company(
                said["slug"], actor=request.principal.user, reason=said["reason"], **form.described
            )
        except ChangeRefused as refused:
            refusal = refused
        else:
            say_what_changed(request)
            return redirect("console:company_detail", company.slug)
    return _company_form(request, form, None, refusal)


@console_view("GET", "POST")
def company_edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Change a company's name, channel or plan. A move is shown with what it does first, and made when confirmed."""
    company = company_or_404(slug)
    if request.method == "GET":
        initial = {"name": company.name, "channel": company.channel_id, "plan": company.plan_id}
        return _company_form(request, CompanyForm(initial=initial | {"version": company.version}), company, None)
    form = CompanyForm(request.POST)
    refusal = impact = None
    if form.is_valid():
        wanted = form.described
        impact = impact_of_move(company, channel=wanted["channel"], plan=wanted["plan"])
        if impact.alters_nothing or form.is_confirmed:
            said = form.cleaned_data
            try:
                companies.edit_company(
                    company, actor=request.principal.user, reason=said["reason"], version=said["version"], **wanted
                )
            except ChangeRefused as refused:
                refusal = refused
            else:
                say_what_changed(request)
                return redirect("console:company_detail", company.slug)
    return _company_form(request, form, company, refusal, impact)


def _company_form(
    request: HttpRequest, form: CompanyForm, company: Company | None, refusal: ChangeRefused | None, impact=None
) -> HttpResponse:
    """Show the form, with what is wrong beside the fields it is about, and nothing that was typed lost."""
    context: dict[str, Any] = {
        "form": form,
        "company": company,
        "version": form["version"].value(),
        "needs_reason": changes.reason_is_required(),
    }
    if impact is not None and not impact.alters_nothing:
        context |= {"impact": impact, "confirmed": form.fingerprint}
    if isinstance(refusal, Conflict):
        context |= {"stale": form.differences(refusal), "version": refusal.extra["version"]}
    status = status_of(refusal) if refusal is not None else 422 if form.errors else 200
    form.take(refusal)
    return render(request, "console/company_form.html", context, status=status)


@console_view("GET", "POST")
def company_activity(request: HttpRequest, slug: str, active: bool) -> HttpResponse:
    """Deactivate a company, once its slug has been typed, or activate it again. Says first what that does."""
    company = company_or_404(slug)
    form = DeactivateForm(request.POST if request.method == "POST" else None, initial={"version": company.version})
    refusal: ChangeRefused | None = None
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            if not active and said["slug"] != company.slug:
                raise Invalid(
                    f"{company.name} was not deactivated.", errors={"slug": [f"Type {company.slug} to deactivate it."]}
                )
            companies.edit_company(
                company, actor=request.principal.user, reason=said["reason"], version=said["version"], is_active=active
            )
        except ChangeRefused as refused:
            refusal = refused
            company = company_or_404(slug)
        else:
            say_what_changed(request)
            return redirect("console:company_detail", company.slug)
    context = {
        "form": form,
        "company": company,
        "activate": active,
        "impact": impact_of_move(company, is_active=active),
        "people": Membership.objects.filter(company=company).count(),
        "needs_reason": changes.reason_is_required(),
        "version": company.version,
    }
    form.take(refusal)
    status = status_of(refusal) if refusal is not None else 422 if form.errors else 200
    return render(request, "console/company_activity.html", context, status=status)
