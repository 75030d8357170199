"""A company's features: what it has and why, and its own answers."""

from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any
from urllib.parse import quote

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from flags import changes, companyfeatures, overview
from flags.companyfeatures import FeatureRow, with_last_asked
from flags.console.companies import company_or_404, tabs
from flags.console.companyforms import FEATURE_STATES, FeatureFilterForm, PauseForm
from flags.console.forms import ChangeForm
from flags.console.gate import through_gate
from flags.console.overridegate import drawer_of, override_of, through_override_gate, through_reset_gate
from flags.console.paging import Page, address
from flags.console.responses import console_view, done, here, malformed, page_or_fragment, sent, way_back
from flags.evaluation import OverrideFact
from flags.exceptions import Missing
from flags.impact import Proposed
from flags.models import Flag
from flags.requests import HttpRequest
from tenants.models import Company

FEATURES_PER_PAGE = 25


@dataclass(frozen=True, slots=True)
class Group:
    """One category's part of a page, and how many features of it there are in all."""

    category: str
    total: int
    rows: list[FeatureRow]


@console_view("GET")
def company_features(request: HttpRequest, slug: str) -> HttpResponse:
    """Every feature by category as this company has it: global, channel, plan, override, and what comes of them."""
    company = company_or_404(slug)
    filters = FeatureFilterForm(request.GET).filters()
    basis = companyfeatures.basis_of(company)
    states = companyfeatures.feature_states(company, internal=True, basis=basis)
    found = overview.find_flags(q=filters.get("q", ""), viewer=request.principal.user)
    if "state" in filters:
        found = found.filter(pk__in=states[filters["state"]])
    counts = overview.category_counts(found)
    page = Page.of(request, sum(counts.values()), FEATURES_PER_PAGE)
    flags = with_last_asked(overview.by_category(found), company)[page.first : page.last]
    rows = companyfeatures.feature_rows(company, internal=True, flags=flags, basis=basis)
    context = {
        "company": company,
        "tabs": tabs(company, "company_features"),
        "filters": filters,
        "choices": [
            {
                "label": label,
                "url": address(request, state=state, page=None),
                "current": state == filters.get("state", ""),
                "count": len(states[state]) if state else None,
            }
            for state, label in FEATURE_STATES
        ],
        "groups": [
            Group(category, counts[category], list(members))
            for category, members in groupby(rows, key=lambda row: row.flag.category)
        ],
        "page": page,
        "here": here(request),
        **_addresses(request, company),
    }
    said = f"{page.total} feature{'' if page.total == 1 else 's'}"
    return page_or_fragment(request, "console/company_features.html", "console/_feature_list.html", context, said=said)


@console_view("GET", "POST")
def company_override(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Give the company its own answer, or change it. A new one starts as the opposite of what it inherits."""
    company, flag = company_or_404(slug), _flag_or_404(key)
    look = partial(_drawer, request, company, flag, "override")
    return through_override_gate(request, company, flag, look=look, finish=partial(_changed, request, company, flag))


@console_view("GET", "POST")
def company_override_reset(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Take the company's own answer away, so that it inherits again."""
    company, flag = company_or_404(slug), _flag_or_404(key)
    look = partial(_drawer, request, company, flag, "reset")
    return through_reset_gate(request, company, flag, look=look, finish=partial(_changed, request, company, flag))


@console_view("GET", "POST")
def company_override_pause(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Keep the company's own answer without counting it, or let it count again."""
    company, flag = company_or_404(slug), _flag_or_404(key)
    form = PauseForm(sent(request))
    if not form.is_valid():
        return malformed(request, form)
    said = form.cleaned_data
    seen = override_of(company, flag)
    if seen is not None:
        said["reason"] = (
            said["reason"] or seen.reason
        )  # It stays the reason of the override, unless a new one is given.
    fact = None if seen is None else OverrideFact(seen.enabled, seen.expires_at, said["paused"])

    def act() -> None:
        override = override_of(company, flag)
        if override is None:
            raise Missing(f"{company.name} has no override of {flag.name}.", code="OVERRIDE_NOT_FOUND")
        changes.set_override(
            company,
            key,
            override.enabled,
            actor=request.principal.user,
            reason=said["reason"],
            expires_at=override.expires_at,
            paused=said["paused"],
            version=said["version"],
        )

    return through_gate(
        request,
        form,
        proposed=Proposed(key, overrides={company.pk: fact}),
        act=act,
        drawer="console/_override_pause_drawer.html",
        look=lambda: {**_drawer(request, company, flag, "pause"), "pausing": said["paused"]},
        finish=lambda: _changed(request, company, flag, said["place"]),
    )


@console_view("GET", "POST")
def company_choice_remove(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Take back what the company chose for itself, so that it inherits again."""
    company, flag = company_or_404(slug), _flag_or_404(key)
    form = ChangeForm(sent(request))
    if not form.is_valid():
        return malformed(request, form)
    said = form.cleaned_data
    return through_gate(
        request,
        form,
        proposed=Proposed(key, opt_ins={company.pk: None}),
        act=lambda: changes.remove_opt_in(company, key, actor=request.principal.user, reason=said["reason"]),
        drawer="console/_choice_remove_drawer.html",
        look=partial(_drawer, request, company, flag, "choice"),
        finish=lambda: _changed(request, company, flag, said["place"]),
    )


def _flag_or_404(key: str) -> Flag:
    return get_object_or_404(Flag.objects.live(), key=key)


def _drawer(request: HttpRequest, company: Company, flag: Flag, name: str) -> dict[str, Any]:
    """Return what each of a feature's drawers shows, as of now. `name` tells its control from the row's others."""
    shown = drawer_of(
        request,
        company,
        flag,
        drawer_id=f"drawer-{name}-{flag.key}",
        return_focus=f"{name}-{flag.key} override-{flag.key}",  # A reset leaves no button to reset.
        back=_back(request, company, flag),
    )
    return shown | {"of_company": company}


def _back(request: HttpRequest, company: Company, flag: Flag) -> str:
    home = reverse("console:company_features", args=[company.slug]) + f"#feature-{flag.key}"
    return way_back(request, request.POST.get("next") or request.GET.get("next", ""), home)


def _addresses(request: HttpRequest, company: Company) -> dict[str, str]:
    """Return where the links of all rows lead: worked out once, and not for each."""
    return {
        "own_url": reverse("console:company_features", args=[company.slug]),
        "flags_url": reverse("console:flag_list"),
        "next": quote(here(request)),
    }


def _changed(request: HttpRequest, company: Company, flag: Flag, place: str) -> HttpResponse:
    """Answer after an override was changed: with the feature's row, or the way back to it."""
    [row] = companyfeatures.feature_rows(
        company, internal=True, flags=with_last_asked(Flag.objects.filter(key=flag.key), company)
    )
    return done(
        request,
        back=_back(request, company, flag),
        part="console/_feature_row.html",
        context={"company": company, "row": row, **_addresses(request, company)},
        target=f"#feature-{flag.key}",
    )
