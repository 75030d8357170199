"""Flags: the list, one of them on its page, making and editing one."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from flags import archiving, changes, channels, finding, history, overview
from flags.board import card_of, steps_of
from flags.console.channelcompanies import companies_context
from flags.console.forms import FlagForm, GrantsForm, NewFlagForm, PickForm
from flags.console.history import entries
from flags.console.paging import Page
from flags.console.responses import console_view, here, page_or_fragment, person, say_what_changed, status_of
from flags.console.searching import search, text_of
from flags.exceptions import ChangeRefused, Conflict
from flags.impact import Impact, Proposed, impact
from flags.models import Flag
from flags.overview import FlagRow
from flags.requests import HttpRequest
from flags.staleness import with_last_asked

FLAGS_PER_PAGE = 50
OVERRIDES_SHOWN = 20
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
        "search": search("flags", found, person(request)),
        "groups": groups,
        "page": page,
        "here": here(request),
    }
    said = f"{page.total} flag{'' if page.total == 1 else 's'}"
    return page_or_fragment(request, "console/flag_list.html", "console/_flag_list.html", context, said=said)


@console_view("GET")
def flag_detail(request: HttpRequest, key: str) -> HttpResponse:
    """One flag: its default, channels, overrides, grants, requirements and recent history."""
    context = flag_context(request, key)
    return page_or_fragment(request, "console/flag_detail.html", "console/_flag_page.html", context)


def flag_context(request: HttpRequest, key: str) -> dict[str, Any]:
    """Return what a flag's page shows, as of now. Raises Http404."""
    flag = get_object_or_404(with_last_asked(Flag.objects.select_related("killed_by", "minimum_plan")), key=key)
    [row] = overview.flag_rows([flag])
    companies = channels.companies_per_channel()
    asked = PickForm(request.GET).filters()
    recent = history.find_changes(flag=key)[:CHANGES_SHOWN]
    card = card_of(key)
    release = card.standing.release if card is not None else None
    requires, dependents = overview.requirements_of(key)
    live = [other.key for other in dependents if other.archived_at is None]
    return companies_context(request.GET, flag, row.channels, companies, str(release.channel_id) if release else "") | {
        "flag": flag,
        "row": row,
        "channels": [(state, companies.get(state.slug, 0)) for state in row.channels],
        "overrides": overview.page_of_overrides(flag, OVERRIDES_SHOWN, number=row.overrides, **asked),
        "asked": asked,
        "grants": overview.page_of_grants(flag, GRANTS_SHOWN, **GrantsForm(request.GET).wanted),
        "granted_to": GrantsForm(request.GET).filters().get("person", ""),
        "requires": requires,
        "dependents": dependents,
        "entries": entries(recent, flags={key}),
        "here": reverse("console:flag_detail", args=[key]),
        "card": card,
        "steps_taken": steps_of(key, row.channels, STEPS_SHOWN),
        "is_out_somewhere": channels.furthest(flag, row.channels) is not None,
        "readiness": archiving.judged(flag.last_asked_at, sorted(live), release),  # type: ignore[attr-defined]
    }


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
        initial = described | {"requires": list(flag.requires.values_list("key", flat=True)), "version": flag.version}
        return _flag_form(request, FlagForm(initial=initial, key=key), flag, None)
    form = FlagForm(request.POST, key=key)
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
