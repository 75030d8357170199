"""The search field of a list: its text is the address, its chips write the same text, and it completes words."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode

from flags.console.forms import FilterForm
from flags.console.responses import console_view
from flags.finding import Found, values_for
from flags.querytext import COMPANIES, FLAGS, LONGEST, Language, completions, quoted
from flags.requests import HttpRequest
from flags.viewmodels import SavedView
from tenants.models import User

LANGUAGES: Mapping[str, Language] = {"flags": FLAGS, "companies": COMPANIES}
PAGES = {"flags": "console:flag_list", "companies": "console:company_list"}

# What addresses said before there was a language, and how it says the same.
FOLDED: Mapping[str, Mapping[str, str]] = {
    "state": {
        **{state: f"is:{state}" for state in ("on", "off", "killed", "overridden", "internal", "archived")},
        "grant": "needs:grant",
        "self_service": "is:self-service",
    },
    "active": {"yes": "is:active", "no": "is:inactive"},
}
FOLDED_FREELY = ("category", "channel", "plan")


class CompletionForm(FilterForm):
    """What was typed so far, where the caret stands, and in the search of what."""

    q = forms.CharField(required=False, max_length=LONGEST, strip=False)
    caret = forms.IntegerField(required=False, min_value=0)
    of = forms.ChoiceField(required=False, choices=[(name, name) for name in LANGUAGES])


@dataclass(frozen=True, slots=True)
class Chip:
    """One word of the query: what it is about, what it says, and the address without it."""

    name: str
    value: str
    remove_url: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One word that can be added or, where it is there already, taken away."""

    word: str
    meaning: str
    url: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class View:
    """A query that somebody keeps under a name."""

    pk: UUID
    name: str
    url: str
    is_current: bool


REFUSED_VIEW = "refused_view"
"""What the session keeps of a view that could not be kept, until its list is shown."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search field as its component shows it. `problems` pairs what was not understood with where a guess leads."""

    of: str
    url: str
    text: str
    chips: list[Chip]
    choices: list[Choice]
    problems: list[tuple[str, str, str]]
    views: list[View]
    current: View | None
    refused: Mapping[str, str] | None = None
    """The `name` that was typed for a view and could not be kept, and `why`."""


def text_of(request: HttpRequest, of: str) -> str:
    """Return the query that the address asks: `q`, and what older addresses said in parameters of their own."""
    words = [request.GET.get("q", "")[:LONGEST]]
    for name, known in FOLDED.items():
        words.append(known.get(request.GET.get(name, ""), ""))
    for name in FOLDED_FREELY:
        value = request.GET.get(name, "").replace('"', "").strip()
        if value and name in LANGUAGES[of].qualifiers:
            words.append(f"{name}:{quoted(value)}")
    return " ".join(filter(None, words)).strip()


def search(of: str, found: Found, viewer: User, refused: Mapping[str, str] | None = None) -> Search:
    """Return the search field of a list with what its query found, and the views that its reader keeps. One query."""
    url, query = reverse(PAGES[of]), found.query

    def at(text: str) -> str:
        return f"{url}?{urlencode({'q': text})}" if text else url

    chips = [
        Chip(("not " if term.negated else "") + (term.name or "text"), ", ".join(term.values), at(query.without(term)))
        for term in query.terms
    ]
    choices = []
    for value, meaning in (LANGUAGES[of].qualifiers["is"].values or {}).items():
        word = f"is:{value}"
        term = next((each for each in query.terms if each.typed.lower() == word), None)
        changed = query.without(term) if term else query.with_word(word)
        choices.append(Choice(word, meaning, at(changed), term is not None))
    problems = [(each.message, each.better, at(each.better) if each.better else "") for each in found.problems]
    kept = SavedView.objects.filter(person=viewer, of=of)
    views = [View(each.pk, each.name, at(each.query), each.query == query.text) for each in kept]
    current = next((view for view in views if view.is_current), None)
    return Search(of, url, query.text, chips, choices, problems, views, current, refused)


@console_view("GET")
def completion(request: HttpRequest) -> HttpResponse:
    """How the word at the caret may go on: a list for the search field's listbox."""
    said = CompletionForm(request.GET).filters()
    language = LANGUAGES[said.get("of", "flags")]
    text = said.get("q", "")
    found = completions(
        text, said.get("caret", len(text)), language, lambda name, begun: values_for(language, name, begun)
    )
    return render(request, "console/_completions.html", {"completions": found})
