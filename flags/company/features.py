"""What a company has, as its admins and coordinators see it. Read-only by absence: nothing here takes a POST."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render

from flags import companyfeatures, companynews, overview
from flags.channels import ChannelState, is_on, rails
from flags.company.entry import reader_page
from flags.companyfeatures import FeatureRow
from flags.evaluation import Reason
from flags.models import Flag
from flags.requests import HttpRequest
from tenants.models import Company

CARDS_SHOWN = 60
NEWS_SHOWN = 5
NEWS_READ = 20
"""Some of what was changed for all moved nothing for the company, and is not told."""


class State(StrEnum):
    """How a feature stands for a company, in words that need no knowledge of flags."""

    ON = "on"
    UNTIL = "until"
    PILOT = "pilot"
    OFF = "off"
    SOON = "soon"
    PLAN = "plan"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Card:
    """One feature on the page. It never carries a key, nor anything about other companies."""

    name: str
    description: str
    category: str
    state: State
    reason: Reason
    until: datetime | None
    plan: str
    needs_grant: bool
    is_self_service: bool
    since: datetime | None
    """Since when it stands like this, where that is known."""


@reader_page
def feature_list(request: HttpRequest) -> HttpResponse:
    """Show every feature the company may know of, by category, with its state in words."""
    company = request.principal.company
    assert company is not None, "reader_page lets nobody in without one"
    flags = overview.by_category(overview.find_flags(viewer=None))
    page = Paginator(flags, CARDS_SHOWN).get_page(request.GET.get("page"))
    groups = groupby(cards(company, page.object_list), lambda card: card.category)
    context = {
        "company": company,
        "groups": [(category, list(found)) for category, found in groups],
        "news": companynews.news(company, companynews.find_news(company, NEWS_READ).rows)[:NEWS_SHOWN],
        "previous": f"?page={page.previous_page_number()}" if page.has_previous() else None,
        "next": f"?page={page.next_page_number()}" if page.has_next() else None,
        "text": f"{page.start_index()}\u2013{page.end_index()} of {page.paginator.count}",
    }
    return render(request, "company/feature_list.html", context)


def cards(company: Company, flags: Iterable[Flag]) -> list[Card]:
    """Return these flags as the company has them, in their order, internal ones left out."""
    rows = companyfeatures.feature_rows(company, internal=False, flags=flags)
    by_key = rails(row.flag.key for row in rows)
    since = companynews.since_when(company, rows)
    return [_card(row, by_key[row.flag.key], since.get(row.flag.key)) for row in rows]


def _card(row: FeatureRow, rail: list[ChannelState], since: datetime | None) -> Card:
    override = row.override if row.override is not None and row.decision.reason == Reason.OVERRIDE else None
    until = override.expires_at if override is not None else None
    return Card(
        name=row.flag.name,
        description=row.flag.description,
        category=row.flag.category,
        state=_state(row, rail, until),
        reason=row.decision.reason,
        until=until,
        plan=row.plan.name if row.plan is not None else "",
        needs_grant=row.flag.needs_grant,
        is_self_service=row.flag.is_self_service,
        since=since,
    )


def _state(row: FeatureRow, rail: list[ChannelState], until: datetime | None) -> State:
    reason = row.decision.reason
    place = next((n for n, stop in enumerate(rail) if stop.slug == row.channel.slug), len(rail))
    if row.decision.enabled:
        by_channel = reason in (Reason.CHANNEL, Reason.ROLLOUT)
        if by_channel and not all(is_on(row.flag, stop) for stop in rail[place + 1 :]):
            return State.PILOT
        return State.UNTIL if until is not None else State.ON
    if reason == Reason.KILLED:
        return State.UNAVAILABLE
    if reason == Reason.PLAN:
        return State.PLAN
    if reason == Reason.ROLLOUT:
        return State.SOON
    is_tried_out = any(is_on(row.flag, stop) for stop in rail[:place])
    return State.SOON if is_tried_out and reason in (Reason.CHANNEL, Reason.DEFAULT) else State.OFF
