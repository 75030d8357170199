"""What changed for a company, as its admins and coordinators are told. Read-only: nothing here takes a POST."""

from itertools import groupby

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from flags import companynews
from flags.company.entry import reader_page
from flags.requests import HttpRequest

LINES_SHOWN = 50


@reader_page
def change_list(request: HttpRequest) -> HttpResponse:
    """Show the company's own history by day, newest first, without the names of our staff."""
    company = request.principal.company
    assert company is not None, "reader_page lets nobody in without one"
    asked = {side: request.GET.get(side, "") for side in ("after", "before")}
    found = companynews.find_news(company, LINES_SHOWN, **asked)
    days = groupby(companynews.news(company, found.rows), key=lambda line: timezone.localdate(line.at))
    context = {
        "company": company,
        "days": [(day, list(lines)) for day, lines in days],
        "today": timezone.localdate(),
        "newer": f"?before={found.previous}" if found.previous else None,
        "older": f"?after={found.next}" if found.next else None,
    }
    return render(request, "company/change_list.html", context)
