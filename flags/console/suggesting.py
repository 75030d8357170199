"""What may be meant by what is typed into a field that finds one of many: `components/_finder.html` asks here."""

from django import forms
from django.http import HttpResponse
from django.shortcuts import render

from flags import overview, roster
from flags.console.forms import FilterForm
from flags.console.responses import console_view, person
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
