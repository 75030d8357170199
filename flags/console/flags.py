"""Flags: the list, one of them on its page, making and editing one."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from flags import archiving, changes, finding, history, overview
from flags.board import course_of
from flags.channels import furthest
from flags.console.channelcompanies import COMPANIES_SHOWN, companies_context
from flags.console.flagparts import ALL, COMPANIES, GRANTS, HISTORY, OVERRIDES, parts_at_once
from flags.console.forms import FlagForm, GrantsForm, NewFlagForm, PickForm
from flags.console.history import Entry, entries, files
from flags.console.overriderows import page_of_overrides
from flags.console.paging import Page
from flags.console.responses import (
    console_view,
    fragment,
    here,
    page_or_fragment,
    person,
    say_what_changed,
    status_of,
    wants_fragment,
)
from flags.console.searching import REFUSED_VIEW, search, text_of
from flags.exceptions import ChangeRefused, Conflict
from flags.flagpage import head_of
from flags.impact import Impact, Proposed, impact
from flags.models import Flag
from flags.overview import FlagRow
from flags.requests import HttpRequest

FLAGS_PER_PAGE = 25
OVERRIDES_SHOWN = 12
GRANTS_SHOWN = 20
CHANGES_SHOWN = 8
STEPS_SHOWN = 30


@dataclass(frozen=True, slots=True)
class Group:
    """One category's part of a page, and how many flags of it there are in all."""

    category: str
    total: int
    rows: list[FlagRow]


@console_view("GET")
def flag_list(request: HttpRequest) -> HttpResponse:
    """Every flag by category, with search and filters that live in the address."""
    found = finding.find_flags(text_of(request, "flags"), person(request))
    counts = overview.category_counts(found.rows)
    page = Page.of(request, sum(counts.values()), FLAGS_PER_PAGE)
    rows = overview.flag_rows(overview.cut(found.rows, page.first, page.last))
    groups = [
        Group(category, counts.get(category, 0), list(members))
        for category, members in groupby(rows, key=lambda row: row.flag.category)
    ]
    context = {
        "search": search("flags", found, person(request), request.session.pop(REFUSED_VIEW, None)),
        "groups": groups,
        "page": page,
        "here": here(request),
    }
    said = f"{page.total} flag{'' if page.total == 1 else 's'}"
    return page_or_fragment(request, "console/flag_list.html", "console/_flag_list.html", context, said=said)


@console_view("GET")
def flag_detail(request: HttpRequest, key: str) -> HttpResponse:
    """One flag: its release, default, channels, companies, overrides, grants, requirements and recent history."""
    context = flag_context(request, key, ALL if wants_fragment(request) else parts_at_once(request.GET))
    return page_or_fragment(request, "console/flag_detail.html", "console/_flag_page.html", context)


def flag_context(request: HttpRequest, key: str, parts: frozenset[str] = ALL) -> dict[str, Any]:
    """Return what a flag's page shows, as of now, with these of its parts; the others are fetched. Raises Http404."""
    head = head_of(key)
    if head is None:
        raise Http404("There is no such flag.")
    flag, row, channels = head.flag, head.row, head.channels
    course = course_of(head, STEPS_SHOWN)
    live = [other.key for other in head.dependents if other.archived_at is None]
    at = str(course.release.channel_id) if course.release else ""
    context = {
        "flag": flag,
        "row": row,
        "channels": [(state, channels.companies[state.slug]) for state in row.channels],
        "requires": head.requires,
        "dependents": head.dependents,
        # Who has all of the page, and no scripts, comes back to all of it.
        "here": reverse("console:flag_detail", args=[key]) + ("?show=all" if request.GET.get("show") == "all" else ""),
        "card": course.card,
        "steps_taken": course.steps,
        "is_out_somewhere": furthest(flag, row.channels) is not None,
        "readiness": archiving.judged(flag.last_asked_at, sorted(live), course.release),  # type: ignore[attr-defined]
        "has_grants": head.has_grants,
        "parts": parts,
        "asked": PickForm(request.GET).filters(),
        "granted_to": GrantsForm(request.GET).filters().get("person", ""),
        "waiting": _waiting(row, channels.companies.get(at) or next(iter(channels.companies.values()), 0)),
        "companies_at": at,
        "files": files(flag=key),
    }
    if COMPANIES in parts:
        context |= companies_context(request.GET, flag, row.channels, channels.companies, at)
    if OVERRIDES in parts:
        context["overrides"] = page_of_overrides(flag, OVERRIDES_SHOWN, number=row.overrides, **context["asked"])
    if GRANTS in parts:
        context["grants"] = overview.page_of_grants(flag, GRANTS_SHOWN, **GrantsForm(request.GET).wanted)
    if HISTORY in parts:
        context["entries"] = _recent(key)
    return context


def _waiting(row: FlagRow, companies: int) -> dict[str, range]:
    """Return for how many rows of each part there is to be room until they are there."""
    return {
        COMPANIES: range(min(companies, COMPANIES_SHOWN)),
        OVERRIDES: range(min(row.overrides, OVERRIDES_SHOWN)),
        GRANTS: range(1),
        HISTORY: range(CHANGES_SHOWN),
    }


@console_view("GET")
def flag_history(request: HttpRequest, key: str) -> HttpResponse:
    """Show what was changed about a flag of late, on its page. Without scripts, all of it is a page of its own."""
    if not wants_fragment(request):
        return redirect(f"{reverse('console:change_list')}?{urlencode({'flag': key})}")
    return fragment(request, "console/_flag_history.html", {"entries": _recent(key)})


def _recent(key: str) -> list[Entry]:
    return entries(history.find_changes(flag=key)[:CHANGES_SHOWN], flags={key})


@console_view("GET", "POST")
def flag_new(request: HttpRequest) -> HttpResponse:
    """Make a flag, off unless said otherwise."""
    form = NewFlagForm(request.POST or None)
    refusal = None
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        fields = form.described
        if not fields["name"]:
            del fields["name"]
        try:
            flag = changes.create_flag(
                said["key"], actor=request.principal.user, reason=said["reason"], enabled=said["enabled"], **fields
            )
        except ChangeRefused as refused:
            refusal = refused
        else:
            say_what_changed(request)
            return redirect("console:flag_detail", flag.key)
    return _flag_form(request, form, None, refusal)


@console_view("GET", "POST")
def flag_edit(request: HttpRequest, key: str) -> HttpResponse:
    """Change what a flag is. What would move an answer is shown first, and saved when it is confirmed."""
    flag = get_object_or_404(Flag, key=key)
    if request.method == "GET":
        described = {name: getattr(flag, name) for name in FlagForm.FIELDS if name != "requires"}
        initial = described | {
            "requires": list(flag.requires.order_by("key").values_list("key", flat=True)),
            "version": flag.version,
        }
        return _flag_form(request, FlagForm(initial=initial), flag, None)
    form = FlagForm(request.POST)
    refusal = effects = None
    if form.is_valid():
        effects = impact(Proposed(key, rules=form.rules))
        if effects.alters_nothing or form.is_confirmed:
            said = form.cleaned_data
            try:
                changes.edit_flag(
                    key, actor=request.principal.user, reason=said["reason"], version=said["version"], **form.described
                )
            except ChangeRefused as refused:
                refusal = refused
            else:
                say_what_changed(request)
                return redirect("console:flag_detail", key)
    return _flag_form(request, form, flag, refusal, effects)


def _flag_form(
    request: HttpRequest,
    form: FlagForm,
    flag: Flag | None,
    refusal: ChangeRefused | None,
    effects: Impact | None = None,
) -> HttpResponse:
    """Show the form, with what is wrong beside the fields it is about, and nothing that was typed lost."""
    context: dict[str, Any] = {
        "form": form,
        "flag": flag,
        "version": form["version"].value(),
        "categories": overview.categories(),
        "needs_reason": changes.reason_is_required(),
    }
    if effects is not None and not effects.alters_nothing:
        context |= {"effect": effects.effect, "dependents": effects.dependents, "confirmed": form.fingerprint}
    if isinstance(refusal, Conflict):
        context |= {"stale": form.differences(refusal), "version": refusal.extra["version"]}
    status = status_of(refusal) if refusal is not None else 422 if form.errors else 200
    form.take(refusal)
    return render(request, "console/flag_form.html", context, status=status)
