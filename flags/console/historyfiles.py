"""History as a file: exactly the lines that the list shows, all pages of them, for a spreadsheet or for a program."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpResponse
from django.utils import timezone

from flags import history
from flags.console.forms import ChangeFilterForm
from flags.console.responses import console_view, malformed
from flags.models import Change
from flags.requests import HttpRequest
from flags.sentences import sentence

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


@console_view("GET")
def change_csv(request: HttpRequest) -> HttpResponse:
    """Everything the list shows, as CSV: at most EXPORTED_AT_MOST lines, and it says so.

    Built here and now, in the request's own transaction; a stream would be read after that had ended.
    """
    form = ChangeFilterForm(request.GET)
    if not form.is_valid():
        return malformed(request, form)
    changes, is_all = _found(form)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([harmless(str(cell)) for cell in _cells(change)] for change in changes)
    if not is_all:
        writer.writerow([f"Only the newest {EXPORTED_AT_MOST} lines are here. Narrow the filters for the others."])
    return _file(text.getvalue(), "csv", "text/csv; charset=utf-8")


@console_view("GET")
def change_json(request: HttpRequest) -> HttpResponse:
    """Everything the list shows, as JSON: `{"changes": [...], "complete": bool}`, before and after as objects."""
    form = ChangeFilterForm(request.GET)
    if not form.is_valid():
        return malformed(request, form)
    changes, is_all = _found(form)
    lines = [
        {
            **dict(zip(COLUMNS, _cells(change), strict=True)),
            "before": change.before,
            "after": change.after,
            "batch": change.batch,
        }
        for change in changes
    ]
    text = json.dumps({"changes": lines, "complete": is_all}, cls=DjangoJSONEncoder, ensure_ascii=False, indent=1)
    return _file(text, "json", "application/json")


def _found(form: ChangeFilterForm) -> tuple[list[Change], bool]:
    """Return the lines that were asked for, as many as a file may hold, and whether those are all."""
    found = history.find_changes(**form.filters())
    changes = list(found[: EXPORTED_AT_MOST + 1])
    return changes[:EXPORTED_AT_MOST], len(changes) <= EXPORTED_AT_MOST


def _file(text: str, kind: str, content_type: str) -> HttpResponse:
    response = HttpResponse(text, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="headgate-changes-{timezone.localdate():%Y-%m-%d}.{kind}"'
    return response


def _cells(change: Change) -> Iterator[Any]:
    """Yield one line's cells, in the order of COLUMNS."""
    yield change.at.isoformat()
    yield change.actor
    yield change.via
    yield change.verb
    yield change.flag
    yield change.company_slug
    yield sentence(change).text
    yield json.dumps(change.before, ensure_ascii=False)
    yield json.dumps(change.after, ensure_ascii=False)
    yield change.reason
    yield change.request_id
    yield change.batch or ""


def harmless(cell: str) -> str:
    """Keep a spreadsheet from taking text for a formula (OWASP, CSV injection)."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
