"""History as a file: exactly the lines that the list shows, all pages of them, for a spreadsheet or for a program."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone

from flags import history
from flags.console.forms import ChangeFilterForm
from flags.console.responses import console_view, malformed
from flags.models import Change
from flags.requests import HttpRequest
from flags.sentences import sentence

WRITTEN_AT_ONCE = 500
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
def change_csv(request: HttpRequest) -> HttpResponseBase:
    """Everything the list shows, as CSV, however much it is: written as it is read."""
    form = ChangeFilterForm(request.GET)
    if not form.is_valid():
        return malformed(request, form)
    return _file(_csv(history.every_change(**form.filters())), "csv", "text/csv; charset=utf-8")


@console_view("GET")
def change_json(request: HttpRequest) -> HttpResponseBase:
    """Everything the list shows, as JSON: `{"changes": [...], "complete": true}`, before and after as objects.

    Written as it is read; where that breaks off, the file is no JSON, so that nobody takes it for whole.
    """
    form = ChangeFilterForm(request.GET)
    if not form.is_valid():
        return malformed(request, form)
    return _file(_json(history.every_change(**form.filters())), "json", "application/json")


def _csv(changes: Iterable[Change]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for some in _portions(changes):
        writer.writerows([harmless(str(cell)) for cell in _cells(change)] for change in some)
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()


def _json(changes: Iterable[Change]) -> Iterator[str]:
    yield '{"changes": ['
    for number, some in enumerate(_portions(changes)):
        lines = (json.dumps(_object(change), cls=DjangoJSONEncoder, ensure_ascii=False) for change in some)
        yield (",\n" if number else "\n") + ",\n".join(lines)
    yield '\n], "complete": true}\n'


def _portions(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """Yield the changes so many at a time: sending each by itself takes longer than reading it."""
    waiting = iter(changes)
    while some := list(islice(waiting, WRITTEN_AT_ONCE)):
        yield some


def _file(parts: Iterator[str], kind: str, content_type: str) -> HttpResponseBase:
    response = StreamingHttpResponse(parts, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="headgate-changes-{timezone.localdate():%Y-%m-%d}.{kind}"'
    return response


def _object(change: Change) -> dict[str, Any]:
    told = dict(zip(COLUMNS, _cells(change), strict=True))
    return told | {"before": change.before, "after": change.after, "batch": change.batch}


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
