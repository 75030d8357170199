"""What may be meant by what is typed into a field that finds one of many, or several of them.

`components/_finder.html` asks here for the one, `console/_flag_requires.html` for the other.
"""

import re

from django import forms
from django.http import HttpResponse
from django.shortcuts import render

from flags import overview, roster
from flags.console.forms import FilterForm, FlagsField
from flags.console.responses import console_view, person
from flags.querytext import Completion
from flags.requests import HttpRequest

SUGGESTED = 12


class SuggestionForm(FilterForm):
    """What was typed, under the name of the field. Flags that need a grant come `first`, or are the `only` ones."""

    flag = forms.CharField(required=False, max_length=120)
    company = forms.CharField(required=False, max_length=120)
    needs_grant = forms.ChoiceField(required=False, choices=[("first", "first"), ("only", "only")])


@console_view("GET")
def suggestion(request: HttpRequest) -> HttpResponse:
    """Name the first flags or companies with such a name, for a datalist; with nothing typed, the first of all."""
    said = SuggestionForm(request.GET).filters()
    if "flag" in request.GET:
        grants = said.get("needs_grant", "")
        state = "grant" if grants == "only" else ""
        flags = overview.find_flags(q=said.get("flag", ""), state=state, viewer=person(request))
        flags = flags.order_by(*(["-needs_grant"] if grants else []), "name", "key")
        options = [
            (flag.key, f"{flag.name} · needs a grant" if flag.needs_grant and grants == "first" else flag.name)
            for flag in flags[:SUGGESTED]
        ]
    else:
        companies = roster.find_companies(q=said.get("company", ""))[:SUGGESTED]
        options = [(company.slug, f"{company.name} · {company.channel_id}") for company in companies]
    return render(request, "console/_options.html", {"options": options})


class RequirementForm(FilterForm):
    """The keys that were typed so far, where the caret stands, and the flag (`of`) that they are typed for."""

    requires = forms.CharField(required=False, max_length=FlagsField.LONGEST, strip=False)
    caret = forms.IntegerField(required=False, min_value=0)
    of = forms.CharField(required=False, max_length=63)


@console_view("GET")
def requirement(request: HttpRequest) -> HttpResponse:
    """Name the first flags with such a name as stands at the caret, among keys: a list for the field's listbox."""
    said = RequirementForm(request.GET).filters()
    text = said.get("requires", "")
    caret = said.get("caret", len(text))
    before, word = re.fullmatch(r"(.*?)([^\s,]*)", text[:caret], re.DOTALL).groups()  # type: ignore[union-attr]
    rest, after = re.fullmatch(r"([^\s,]*)[\s,]*(.*)", text[caret:], re.DOTALL).groups()  # type: ignore[union-attr]
    others = re.split(FlagsField.SEPARATORS, f"{before} {after}".lower())
    flags = overview.find_flags(q=word + rest, viewer=person(request)).exclude(key__in=[*others, said.get("of", "")])
    found = [
        Completion(flag.key, flag.name, f"{before}{flag.key} {after}", True)
        for flag in flags.order_by("name", "key")[:SUGGESTED]
    ]
    return render(request, "console/_completions.html", {"completions": found})
