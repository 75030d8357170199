"""The overview: where a super admin begins, and what there is to look at.

Where releases stand, which overrides end soon and what changed lately are parts that follow by themselves, or with
`show=all` come in the page.
"""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from flags import history
from flags.batchmodels import Batch
from flags.console.history import entries
from flags.console.responses import console_view, fragment, person, wants_fragment
from flags.requests import HttpRequest
from flags.summary import SHOWN, Ending, UnderWay, ending_soon, releases_under_way, summary

HOME = "console:overview"


@console_view("GET")
def overview(request: HttpRequest) -> HttpResponse:
    """How things stand just now."""
    shown = summary(person(request))
    has_all = request.GET.get("show") == "all"
    context = {
        "summary": shown,
        "rows": {
            "releases": range(min(shown.releasing, SHOWN)),
            "ending": range(min(shown.ending, SHOWN)),
            "changes": range(SHOWN),
        },
        "waiting": Batch.objects.filter(person=person(request), finished_at=None).defer("subjects")[:3],
    }
    if not shown.releasing:
        context["under_way"] = UnderWay([], 0, 0)
    elif has_all:
        context["under_way"] = releases_under_way()
    if not shown.ending:
        context["ending"] = Ending([], 0, 0, [])
    elif has_all:
        context["ending"] = ending_soon()
    if has_all:
        context |= _recent(request)
    return render(request, "console/overview.html", context)


@console_view("GET")
def overview_releases(request: HttpRequest) -> HttpResponse:
    """Show where the releases under way stand."""
    return _part(request, "releases", lambda: {"under_way": releases_under_way()})


@console_view("GET")
def overview_ending(request: HttpRequest) -> HttpResponse:
    """Show which overrides end soon."""
    return _part(request, "ending", lambda: {"ending": ending_soon()})


@console_view("GET")
def overview_changes(request: HttpRequest) -> HttpResponse:
    """Show what changed lately."""
    return _part(request, "changes", lambda: _recent(request))


def _recent(request: HttpRequest) -> dict[str, Any]:
    return {"entries": entries(history.find_changes()[:SHOWN]), "here": reverse(HOME)}


def _part(request: HttpRequest, name: str, shown: Callable[[], dict[str, Any]]) -> HttpResponse:
    """Answer htmx with a part of the overview; without scripts, the overview has all of them."""
    if not wants_fragment(request):
        return redirect(reverse(HOME) + f"?show=all#{name}")
    return fragment(request, f"console/_overview_{name}.html", shown())
