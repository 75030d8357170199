"""The Inspector's second tab: every flag with its channels, and how its gate treats a company (seed 001, section 8)."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from flags import standing
from flags.console.inspector import tabs
from flags.console.inspectorquery import Query
from flags.console.paging import Page
from flags.decorators import feature_required
from flags.exceptions import FeatureDisabled
from flags.inspector import Cell, grid
from flags.overview import FlagRow, by_category, find_flags, flag_rows
from flags.requests import HttpRequest
from tenants.access import reads, super_admin_required

FLAGS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class GateTest:
    """What `@feature_required` does with somebody: lets them in, or answers 403 with a code.

    Of an internal flag the refusal says no more than that there is one.
    """

    cell: Cell
    code: str
    url: str


@reads
@never_cache
@super_admin_required
@feature_required("inspector")
def inspector_control(request: HttpRequest) -> HttpResponse:
    """Show flags with their default, their channels and their release, and try each gate as the companies asked for."""
    query = Query(request.GET, request.path)
    text = request.GET.get("q", "").strip()
    found = by_category(find_flags(q=text, internal=True))
    page = Page.of(request, found.count(), FLAGS_SHOWN)
    rows = flag_rows(found[page.first : page.last])
    keys = [row.flag.key for row in rows]
    releases = standing.by_key(keys)
    tests: dict[str, list[GateTest]] = {}
    if query.asked:
        answered = grid(query.asked, keys, now=timezone.now())
        tests = {row.flag.key: [_test(cell, row.flag.is_internal) for cell in row.cells] for row in answered}
    context = {
        "query": query,
        "text": text,
        "lines": [_line(row, releases.get(row.flag.key), tests.get(row.flag.key, [])) for row in rows],
        "page": page,
        "tabs": tabs("control"),
    }
    return render(request, "console/inspector_control.html", context)


def _line(row: FlagRow, release: standing.Standing | None, tests: list[GateTest]) -> dict[str, Any]:
    return {"row": row, "flag": row.flag, "release": release, "tests": tests}


def _test(cell: Cell, is_internal: bool) -> GateTest:
    code = (
        "" if cell.decision.enabled else FeatureDisabled(cell.key, cell.decision.reason, is_internal=is_internal).code
    )
    asked = cell.asked
    question = [("company", asked.company.slug), ("flag", cell.key), ("open", f"0:{cell.key}")]
    if asked.person is not None:
        question.insert(1, ("person", asked.person.email))
    return GateTest(cell, "" if is_internal else code, f"{reverse('console:inspector')}?{urlencode(question)}")
