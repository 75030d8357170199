"""Which companies of a channel have a flag, and who comes in next: a part of the flag's page."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from flags.channelcompanies import NOW, SHARES, lines, share_of, shares
from flags.channels import ChannelState, channels_for
from flags.console.forms import FilterForm
from flags.console.paging import counted, on_its_page
from flags.console.responses import came_by_itself, console_view, fragment, wants_fragment
from flags.models import Flag
from flags.requests import HttpRequest

COMPANIES_SHOWN = 10


class CompaniesForm(FilterForm):
    """Which companies: a channel, text in the name, a share of a rollout, and where a page begins or ends."""

    channel = forms.CharField(required=False, max_length=40)
    company = forms.CharField(required=False, max_length=120)
    share = forms.CharField(required=False, max_length=4)
    later = forms.CharField(required=False, max_length=400)
    earlier = forms.CharField(required=False, max_length=400)


@console_view("GET")
def flag_companies(request: HttpRequest, key: str) -> HttpResponse:
    """Show a channel's companies on the flag's page. Without scripts, the page does."""
    flag = get_object_or_404(Flag, key=key)
    if not wants_fragment(request):
        query = f"?{request.GET.urlencode() or 'show=all'}"
        return redirect(reverse("console:flag_detail", args=[key]) + query + "#companies")
    channels = channels_for([key])
    context = companies_context(request.GET, flag, channels.rail(key), channels.companies) | {"flag": flag}
    if came_by_itself(request, "company-table"):
        return fragment(request, "console/_channel_companies.html", context)
    said = counted(context["channel_companies"].rows, "company", "companies")
    response = fragment(request, "console/_channel_companies.html", context, said=said)
    return on_its_page(request, response, reverse("console:flag_detail", args=[key]), CompaniesForm.base_fields)


def companies_context(
    asked: QueryDict, flag: Flag, rail: Sequence[ChannelState], counts: Mapping[str, int], at: str = ""
) -> dict[str, Any]:
    """Return the companies asked for, of a channel on the flag's rail; by default of `at`, or else of the first.

    `counts` says how many companies each channel has.
    """
    filters = CompaniesForm(asked).filters()
    wanted = (filters.get("channel"), at)
    channel = next((state for name in wanted for state in rail if state.slug == name), rail[0])
    percentage = share_of(flag, channel)
    steps = shares(flag, channel.slug, percentage) if "share" in filters else []
    share = next((step for step in steps if step.name == filters["share"]), steps[0] if steps else None)
    return {
        "channel_companies": lines(
            flag,
            channel.slug,
            COMPANIES_SHOWN,
            q=filters.get("company", ""),
            share=share,
            after=filters.get("later", ""),
            before=filters.get("earlier", ""),
        ),
        "channel": channel,
        "channel_counts": [(state, counts.get(state.slug, 0)) for state in rail],
        "percentage": percentage,
        "steps": steps,
        "share": share,
        "first_share": NOW if percentage else str(SHARES[0]),
        "named": filters.get("company", ""),
    }
