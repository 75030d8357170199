"""The overview: where a super admin begins, and what there is to look at."""

from django.http import HttpResponse
from django.shortcuts import render

from flags.batchmodels import Batch
from flags.console.history import entries
from flags.console.responses import console_view, person
from flags.requests import HttpRequest
from flags.summary import summary


@console_view("GET")
def overview(request: HttpRequest) -> HttpResponse:
    """How things stand just now."""
    shown = summary(person(request))
    context = {
        "summary": shown,
        "entries": entries(shown.changes),
        "here": request.get_full_path(),
        "waiting": Batch.objects.filter(person=person(request), finished_at=None).defer("subjects")[:3],
    }
    return render(request, "console/overview.html", context)
