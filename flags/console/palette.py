"""The command palette: a list for its dialog, and the same as a page of its own where scripts are off."""

from dataclasses import dataclass

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.utils.http import urlencode

from flags.console.forms import FilterForm
from flags.console.responses import console_view, page_or_fragment, person
from flags.palette import Item, find
from flags.requests import HttpRequest


class PaletteForm(FilterForm):
    """What was typed."""

    q = forms.CharField(required=False, max_length=100)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the palette: something found, and its address."""

    item: Item
    url: str


@console_view("GET")
def palette(request: HttpRequest) -> HttpResponse:
    """Find flags, companies, pages and actions by a few letters."""
    text = PaletteForm(request.GET).filters().get("q", "")
    groups = [
        {"title": group.title, "lines": [_line(item) for item in [*group.items, *([group.more] if group.more else [])]]}
        for group in find(text, person(request))
    ]
    number = sum(len(group["lines"]) for group in groups)
    said = f"{number} result{'' if number == 1 else 's'}" if number else "Nothing found"
    context = {"text": text, "groups": groups}
    return page_or_fragment(request, "console/palette.html", "console/_palette_results.html", context, said=said)


def _line(item: Item) -> Line:
    url = reverse(f"console:{item.place}", args=item.args)
    return Line(item, f"{url}?{urlencode({'q': item.query})}" if item.query else url)
