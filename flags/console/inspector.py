"""The Inspector: why somebody has a feature or not, and what if (seed 001, section 8)."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import push_url

from flags import roster
from flags.console.inspectorquery import FLAGS_AT_MOST, Query
from flags.console.paging import counted
from flags.console.responses import page_or_fragment, wants_fragment
from flags.console.rungs import rung
from flags.decorators import feature_required
from flags.inspector import Asked, Cell, GridRow, grid, sentence_for_customer
from flags.models import Flag
from flags.overview import by_category, find_flags
from flags.requests import HttpRequest
from tenants.access import reads, super_admin_required
from tenants.models import Membership

SUGGESTED = 12


@reads
@never_cache
@vary_on_headers("HX-Request")
@super_admin_required
@feature_required("inspector")
def inspector(request: HttpRequest) -> HttpResponse:
    """Explain every flag asked for (all, if none is named) for every company, person and moment asked for."""
    query = Query(request.GET, request.path)
    fragment = wants_fragment(request)
    if not fragment and not query.problems and "" in (value for values in request.GET.lists() for value in values[1]):
        # Fields that were left empty are no part of the question.
        return redirect(query.address(**({"open": query.open} if query.open else {})))
    context = {**_answers(query), "query": query, "tabs": tabs("explain"), "said": ""}
    said = counted(context["lines"], "flag explained", "flags explained") if query.asked else ""
    response = page_or_fragment(request, "console/inspector.html", "console/_inspector.html", context, said=said)
    return push_url(response, query.address(**({"open": query.open} if query.open else {}))) if fragment else response


def _answers(query: Query) -> dict[str, Any]:
    live = by_category(find_flags(internal=True))
    flags = query.flags or ([] if query.names_flags else list(live[: FLAGS_AT_MOST + 1]))
    names = {flag.key: flag for flag in flags[:FLAGS_AT_MOST]}
    rows = grid(query.asked, list(names), now=timezone.now(), what_if=query.what_if) if query.asked else []
    columns = [_column(index, asked, rows) for index, asked in enumerate(query.asked)]
    if query.compare and len(columns) > 1:
        rows = [row for row in rows if row.differs]
    return {
        "lines": [_line(row, query, names[row.flag.key]) for row in rows],
        "columns": columns,
        "more_flags": len(flags) > FLAGS_AT_MOST,
        "flags_at_most": FLAGS_AT_MOST,
        "all_url": query.address(without=["compare"]),
        "differing_url": query.address(without=["compare"], compare="1"),
        "close_url": query.address(),
        "channels": query.channels,
        "plans": query.plans,
        "answer_choices": (("on", "on"), ("off", "off"), ("none", "as the default")),
        "override_choices": (("on", "on"), ("off", "off"), ("none", "not at all")),
        "default_choices": (("on", "on"), ("off", "off")),
        "yes_no": (("on", "yes"), ("off", "no")),
    }


def _column(index: int, asked: Asked, rows: list[GridRow]) -> dict[str, Any]:
    on = sum(row.cells[index].decision.enabled for row in rows)
    return {"asked": asked, "on": on, "of": len(rows)}


def _line(row: GridRow, query: Query, flag: Flag) -> dict[str, Any]:
    cells = []
    opened = None
    for index, cell in enumerate(row.cells):
        name = f"{index}:{cell.key}"
        is_open = query.open in (name, f"{cell.company.slug}:{cell.key}")
        opened = _opened(cell, flag, index) if is_open and opened is None else opened
        cells.append({"cell": cell, "index": index, "url": query.address(open=name), "is_open": is_open})
    return {"flag": flag, "cells": cells, "opened": opened, "differs": row.differs}


def _opened(cell: Cell, flag: Flag, index: int) -> dict[str, Any]:
    return {
        "cell": cell,
        "index": index,
        "steps": [rung(step, cell, flag) for step in cell.steps],
        "sentence": sentence_for_customer(cell, flag.name),
    }


@reads
@never_cache
@super_admin_required
@feature_required("inspector")
def inspector_options(request: HttpRequest) -> HttpResponse:
    """Name companies, flags or people that may be meant by what was typed, for the list beneath the field."""
    get = request.GET
    options: list[tuple[str, str]] = []
    if text := get.get("company", "").strip():
        found = roster.find_companies(q=text)[:SUGGESTED]
        options = [(company.slug, f"{company.name} · {company.channel_id}") for company in found]
    elif text := get.get("flag", "").strip():
        options = [(flag.key, flag.name) for flag in find_flags(q=text, internal=True)[:SUGGESTED]]
    elif text := get.get("person", "").strip():
        rows = Membership.objects.filter(user__email__istartswith=text) | Membership.objects.filter(
            user__name__istartswith=text
        )
        people = rows.select_related("user", "company").order_by("user__email")[:SUGGESTED]
        options = [(one.user.email, f"{one.user.name} · {one.company.name}") for one in people]
    return render(request, "console/_options.html", {"options": options})


def tabs(current: str) -> list[dict[str, Any]]:
    """Return the Inspector's tabs."""
    pages = (
        ("explain", "Explain", "console:inspector"),
        ("control", "Release control", "console:inspector_control"),
        ("isolation", "Tenant isolation", "console:isolation"),
    )
    return [{"label": label, "url": reverse(url), "current": name == current} for name, label, url in pages]
