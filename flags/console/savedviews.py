"""What a person keeps of the console: views of lists, and how dense the lists are."""

from collections.abc import Callable
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from flags import savedviews
from flags.console.responses import console_view, malformed, person, way_back
from flags.console.searching import PAGES, REFUSED_VIEW
from flags.exceptions import ChangeRefused, Missing
from flags.querytext import LONGEST
from flags.requests import HttpRequest
from flags.viewmodels import SavedView

DENSITIES = ("comfortable", "compact")
A_YEAR = 365 * 86400


class ViewForm(forms.Form):
    """A view's name, and for a new one the list and the query."""

    name = forms.CharField(required=False)
    of = forms.CharField(required=False)
    q = forms.CharField(required=False)


class DensityForm(forms.Form):
    """How dense lists are, and where to go back to."""

    density = forms.ChoiceField(choices=[(each, each) for each in DENSITIES])
    next = forms.CharField(required=False)


@console_view("POST")
def view_save(request: HttpRequest) -> HttpResponse:
    """Keep the present query under a name."""
    form = ViewForm({**request.GET.dict(), **request.POST.dict()})  # An undo says all of it in its address.
    form.is_valid()
    said = form.cleaned_data
    return _after(
        request,
        said.get("of", ""),
        said.get("q", ""),
        lambda: savedviews.save_view(person(request), said.get("of", ""), said.get("name", ""), said.get("q", "")),
        "Saved the view “{}”.",
        name=said.get("name", ""),
    )


@console_view("POST")
def view_rename(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Give a view another name."""
    name = request.POST.get("name", "")
    view = _view(request, pk)
    return _after(
        request,
        view.of,
        view.query,
        lambda: savedviews.rename_view(person(request), pk, name),
        "Renamed the view to “{}”.",
        name=name,
    )


@console_view("POST")
def view_delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Delete a view; its list stays as it is shown."""
    view = _view(request, pk)
    again = urlencode({"of": view.of, "name": view.name, "q": view.query})
    return _after(
        request,
        view.of,
        view.query,
        lambda: savedviews.delete_view(person(request), pk),
        "Deleted the view “{}”.",
        undo=f"{reverse('console:view_save')}?{again}",
    )


def _view(request: HttpRequest, pk: UUID) -> SavedView:
    view = SavedView.objects.filter(person=person(request), pk=pk).first()
    # One that is gone in another window leads to the list.
    return view or SavedView(of=SavedView.Of.FLAGS)


def _after(
    request: HttpRequest,
    of: str,
    query: str,
    act: Callable[[], SavedView],
    said: str,
    *,
    name: str = "",
    undo: str = "",
) -> HttpResponse:
    try:
        messages.success(request, said.format(act().name), extra_tags=undo)
    except ChangeRefused as refusal:
        if isinstance(refusal, Missing) or of not in PAGES or not query:
            messages.warning(request, refusal.detail)
        else:
            request.session[REFUSED_VIEW] = {"name": name[:LONGEST], "why": refusal.detail}
    url = reverse(PAGES.get(of, "console:flag_list"))
    return redirect(f"{url}?{urlencode({'q': query})}" if query else url)


@console_view("POST")
def density(request: HttpRequest) -> HttpResponse:
    """Remember how dense lists are to be, in this browser."""
    form = DensityForm(request.POST)
    if not form.is_valid():
        return malformed(request, form)
    response = redirect(way_back(request, form.cleaned_data["next"], reverse("console:flag_list")))
    response.set_cookie(
        "density", form.cleaned_data["density"], A_YEAR, secure=request.is_secure(), httponly=True, samesite="Lax"
    )
    return response
