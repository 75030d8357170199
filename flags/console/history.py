"""History: who changed what, when and why; as sentences, as a file, and back again."""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone

from flags import history, reverting
from flags.console.forms import ChangeFilterForm, ChangeForm, CursorForm
from flags.console.gate import through_gate
from flags.console.paging import address
from flags.console.responses import console_view, go_to, malformed, page_or_fragment, say_what_changed, way_back
from flags.exceptions import Missing
from flags.models import Change, Flag
from flags.requests import HttpRequest
from flags.sentences import FieldChange, Sentence, compared, fields, sentence
from tenants.models import Company

CHANGES_PER_PAGE = 50
EXPORTED_AT_MOST = 10_000
COLUMNS = (
    "at",
    "actor",
    "via",
    "verb",
    "flag",
    "company",
    "sentence",
    "before",
    "after",
    "reason",
    "request_id",
    "batch",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of history as a page shows it. What is gone since is named, and not linked."""

    change: Change
    sentence: Sentence
    fields: list[FieldChange]
    can_revert: bool
    flag_exists: bool
    company_exists: bool


def entries(changes: Iterable[Change]) -> list[Entry]:
    """Return lines of history ready to be shown. Two queries, whatever their number."""
    found = list(changes)
    flags = set(Flag.objects.filter(key__in={change.flag for change in found}).values_list("key", flat=True))
    slugs = {change.company_slug for change in found if change.company_slug}
    companies = set(Company.objects.filter(slug__in=slugs).values_list("slug", flat=True)) if slugs else set()
    return [
        Entry(
            change,
            sentence(change),
            fields(change),
            reverting.can_revert(change),
            change.flag in flags,
            change.company_slug in companies,
        )
        for change in found
    ]


@console_view("GET")
def change_list(request: HttpRequest) -> HttpResponse:
    """Every change as a sentence, newest first, with filters that live in the address."""
    form = ChangeFilterForm(request.GET)
    filters = form.filters()
    page = history.newest_first(history.find_changes(**filters), CHANGES_PER_PAGE, **CursorForm(request.GET).filters())
    days = groupby(entries(page.rows), key=lambda entry: timezone.localdate(entry.change.at))
    context = {
        "form": form,
        "filters": filters,
        "chips": [(form[name].label, value, address(request, "", **{name: None})) for name, value in filters.items()],
        "days": [(day, list(lines)) for day, lines in days],
        "today": timezone.localdate(),
        "newer": address(request, before=page.previous, after=None) if page.previous else None,
        "older": address(request, after=page.next, before=None) if page.next else None,
        "export": address(request, reverse("console:change_export"), before=None, after=None),
        "here": request.get_full_path(),
    }
    said = f"{len(page.rows)} changes"
    return page_or_fragment(request, "console/change_list.html", "console/_change_list.html", context, said=said)


@console_view("GET")
def change_export(request: HttpRequest) -> HttpResponse:
    """Everything the list shows, all pages of it, as CSV: at most EXPORTED_AT_MOST lines, and it says so.

    Built here and now, in the request's own transaction; a stream would be read after that had ended.
    """
    found = history.find_changes(**ChangeFilterForm(request.GET).filters())
    changes = list(found[: EXPORTED_AT_MOST + 1])
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(_line(change) for change in changes[:EXPORTED_AT_MOST])
    if len(changes) > EXPORTED_AT_MOST:
        writer.writerow([f"Only the newest {EXPORTED_AT_MOST} lines are here. Narrow the filters for the others."])
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="headgate-changes-{timezone.localdate():%Y-%m-%d}.csv"'
    return response


def _line(change: Change) -> list[str]:
    cells: list[Any] = [
        change.at.isoformat(),
        change.actor,
        change.via,
        change.verb,
        change.flag,
        change.company_slug,
        sentence(change).text,
        json.dumps(change.before, ensure_ascii=False),
        json.dumps(change.after, ensure_ascii=False),
        change.reason,
        change.request_id,
        change.batch or "",
    ]
    return [harmless(str(cell)) for cell in cells]


def harmless(cell: str) -> str:
    """Keep a spreadsheet from taking text for a formula (OWASP, CSV injection)."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


@console_view("GET", "POST")
def change_revert(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Bring back what a change replaced, if nobody has touched it since."""
    change = get_object_or_404(Change, pk=pk)
    form = ChangeForm(request.POST or request.GET)
    if not form.is_valid():
        return malformed(form)
    back = way_back(request, form.cleaned_data["next"], reverse("console:change_list"))
    try:
        proposed = reverting.proposed(change)
    except Missing as gone:
        raise Http404(gone.detail) from gone

    def look() -> dict[str, Any]:
        [entry] = entries([change])
        return {
            "entry": entry,
            "taken_back": compared(change.after, change.before),
            "flag": Flag.objects.filter(key=change.flag).first(),
            "action": request.path,
            "drawer_id": f"drawer-revert-{pk}",
            "return_focus": f"revert-{pk}",
            "close_url": back,
        }

    def finish() -> HttpResponse:
        say_what_changed(request)
        return go_to(request, back)

    return through_gate(
        request,
        form,
        proposed=proposed,
        act=lambda: reverting.revert(change, actor=request.principal.user, reason=form.cleaned_data["reason"]),
        drawer="console/_change_revert_drawer.html",
        look=look,
        finish=finish,
        always_asks=True,
        needs_reason=change.verb in ("kill", "revive"),
    )
