"""One person: where they belong, what they were granted there, and their history."""

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone

from flags import history, roster
from flags.console.forms import CursorForm
from flags.console.history import CHANGES_PER_PAGE, by_day, files
from flags.console.paging import address
from flags.console.responses import console_view, here, page_or_fragment
from flags.requests import HttpRequest
from tenants.models import User


@console_view("GET")
def person_detail(request: HttpRequest, user: UUID) -> HttpResponse:
    """One person, with what they did and what was done to them, newest first."""
    person = get_object_or_404(User, pk=user)
    cursors = CursorForm(request.GET).filters()
    page = history.newest_first(history.of_person(person), CHANGES_PER_PAGE, **cursors)
    context = {
        "person": person,
        "person_id": str(person.pk),
        "files": files(person=str(person.pk)),
        "is_invited": not person.has_usable_password(),
        "rows": roster.memberships_of(person),
        "days": by_day(page.rows),
        "today": timezone.localdate(),
        "newer": address(request, before=page.previous, after=None) if page.previous else None,
        "older": address(request, after=page.next, before=None) if page.next else None,
        "here": here(request),
    }
    return page_or_fragment(request, "console/person_detail.html", "console/_change_list.html", context)
