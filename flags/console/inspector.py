"""The Inspector: why somebody has a feature or not, and what if (seed 001, section 8)."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from flags.decorators import feature_required
from flags.evaluation import Outcome, Reason, Step
from flags.inspector import Cell, WhatIf, grid, sentence_for_customer
from flags.models import Flag
from flags.requests import HttpRequest
from tenants.access import super_admin_required
from tenants.models import Company, Plan, ReleaseChannel, User

COMPANIES_AT_MOST = 6
FLAGS_AT_MOST = 200
CHOICES = ("on", "off", "none")

TITLES = {
    "unknown_flag": "There is such a flag",
    "killed": "Kill switch",
    "super_admin": "Super admin",
    "no_company": "Company",
    "prerequisite": "Required flags",
    "override": "Override for the company",
    "plan": "Plan",
    "opt_in": "The company's own choice",
    "channel": "Release channel",
    "default": "Global default",
    "grant_denied": "Denied to the person",
    "grant_missing": "Grant to the person",
}


class Query:
    """What is asked, read from the URL. Whatever makes no sense is named in `problems` and left out."""

    def __init__(self, request: HttpRequest) -> None:
        self.problems: list[str] = []
        get = request.GET
        slugs = list(dict.fromkeys(slug.strip() for slug in get.getlist("company") if slug.strip()))
        found = Company.objects.select_related("channel", "plan").in_bulk(slugs[:COMPANIES_AT_MOST], field_name="slug")
        self.companies = [found[slug] for slug in slugs if slug in found]
        self.problems += [f"There is no company “{slug}”." for slug in slugs[:COMPANIES_AT_MOST] if slug not in found]
        if len(slugs) > COMPANIES_AT_MOST:
            self.problems.append(f"At most {COMPANIES_AT_MOST} companies at once.")
        self.flags_asked = list(dict.fromkeys(key.strip() for key in get.getlist("flag") if key.strip()))
        flags = Flag.objects.all().in_bulk(self.flags_asked[:FLAGS_AT_MOST])
        self.problems += [f"There is no flag “{key}”." for key in self.flags_asked[:FLAGS_AT_MOST] if key not in flags]
        self.flags = [flags[key] for key in self.flags_asked if key in flags]
        self.person = self._person(get.get("person", "").strip())
        self.at = self._moment(get.get("at", "").strip())
        self.compare = get.get("compare") == "1"
        self.open = get.get("open", "")
        self.what_if = self._what_if(get)

    def _person(self, email: str) -> User | None:
        if not email:
            return None
        person = User.objects.filter(email=email.lower()).first()
        if person is None:
            self.problems.append(f"There is nobody with the address “{email}”.")
        return person

    def _moment(self, text: str) -> datetime | None:
        if not text:
            return None
        try:
            moment = parse_datetime(text)
        except ValueError:
            moment = None
        if moment is None:
            self.problems.append(f"“{text}” is no moment. Write 2026-03-01T09:00.")
            return None
        return moment if timezone.is_aware(moment) else timezone.make_aware(moment)

    def _what_if(self, get: Any) -> WhatIf:
        channel, plan = get.get("channel", ""), get.get("plan", "")
        if channel and not ReleaseChannel.objects.filter(pk=channel).exists():
            self.problems.append(f"There is no channel “{channel}”.")
            channel = ""
        if plan and not Plan.objects.filter(pk=plan).exists():
            self.problems.append(f"There is no plan “{plan}”.")
            plan = ""
        share = get.get("percentage", "").strip()
        percentage = int(share) if share.isascii() and share.isdigit() and int(share) <= 100 else None
        if share and percentage is None:
            self.problems.append(f"“{share}” is no percentage from 0 to 100.")
        override, default = get.get("override", ""), get.get("default", "")
        return WhatIf(
            channel,
            plan,
            percentage,
            override if override in CHOICES else "",
            default if default in CHOICES[:2] else "",
        )


@require_GET
@never_cache
@super_admin_required
@feature_required("inspector")
def inspector(request: HttpRequest) -> HttpResponse:
    """Explain every flag asked for (all, if none is named) for every company asked for."""
    query = Query(request)
    now = timezone.now()
    flags = query.flags or ([] if query.flags_asked else list(Flag.objects.live()[:FLAGS_AT_MOST]))
    names = {flag.key: flag for flag in flags}
    rows = []
    if query.companies:
        rows = grid(
            query.companies,
            [flag.key for flag in flags],
            person=query.person,
            at=query.at or now,
            now=now,
            what_if=query.what_if,
        )
    if query.compare and len(query.companies) > 1:
        rows = [row for row in rows if row.differs]
    opened = _opened(rows, query.open, names)
    context = {
        "query": query,
        "rows": [
            {
                "flag": names[row.flag.key],
                "cells": [{"cell": cell, "url": _open_url(request, cell)} for cell in row.cells],
            }
            for row in rows
        ],
        "opened": opened,
        "close_url": _url(request, open=""),
        "channels": ReleaseChannel.objects.all(),
        "plans": Plan.objects.all(),
        "all_flags": Flag.objects.live().only("key", "name"),
        "moment": query.at.strftime("%Y-%m-%dT%H:%M") if query.at else "",
        "tabs": tabs("explain"),
    }
    return render(request, "console/inspector.html", context)


def tabs(current: str) -> list[dict[str, Any]]:
    """Return the Inspector's tabs, those whose pages exist."""
    found = []
    for name, label, url_name in (
        ("explain", "Explain", "console:inspector"),
        ("isolation", "Tenant isolation", "console:isolation"),
    ):
        try:
            found.append({"label": label, "url": reverse(url_name), "current": name == current})
        except NoReverseMatch:
            continue
    return found


def _url(request: HttpRequest, **changed: str) -> str:
    query = request.GET.copy()
    for name, value in changed.items():
        query[name] = value
        if not value:
            del query[name]
    return f"{request.path}?{query.urlencode()}"


def _open_url(request: HttpRequest, cell: Cell) -> str:
    return f"{_url(request, open=f'{cell.company.slug}:{cell.key}')}#ladder"


def _opened(rows: list[Any], wanted: str, flags: dict[str, Flag]) -> dict[str, Any] | None:
    slug, _, key = wanted.partition(":")
    for row in rows:
        for cell in row.cells:
            if (cell.company.slug, cell.key) == (slug, key):
                flag = flags[key]
                return {
                    "cell": cell,
                    "flag": flag,
                    "steps": [_rung(step, cell, flag) for step in cell.steps],
                    "sentence": sentence_for_customer(cell, flag.name),
                }
    return None


def _rung(step: Step, cell: Cell, flag: Flag) -> dict[str, Any]:
    link, link_text = _link(step, cell, flag)
    return {
        "number": step.number,
        "title": TITLES[step.rule],
        "outcome": str(step.outcome),
        "text": _text(step, flag),
        "link": link,
        "link_text": link_text,
    }


def _text(step: Step, flag: Flag) -> str:
    said = {None: "Says nothing", True: "Says On", False: "Says Off"}[step.would]
    if step.rule == "unknown_flag" and step.outcome is Outcome.PASSED:
        return "It exists"
    if step.reason is Reason.ROLLOUT:
        said += " by the company's place in the rollout"
    if step.rule == "default" and step.reason is Reason.DEFAULT:
        said += f" ({flag.default_source})"
    if step.outcome is Outcome.NOT_REACHED:
        return f"Not reached. {said.replace('Says', 'Would say')}"
    if step.outcome is Outcome.OVERRULED:
        return f"{said}, and was overruled"
    return said


# Which page changes what a rule looks at, and where on it.
FLAG_PAGE = {
    "killed": ("Kill or revive", ""),
    "prerequisite": ("Change requirements", "edit"),
    "plan": ("Change the minimum plan", "edit"),
    "channel": ("Change the channels", ""),
    "default": ("Change the default", ""),
    "grant_missing": ("Change who needs a grant", "edit"),
}
COMPANY_PAGE = {
    "override": ("Change the override", "company_features"),
    "no_company": ("See the company", "company_detail"),
    "opt_in": ("See the company's choices", "company_features"),
    "grant_denied": ("Change grants", "company_members"),
}


def _link(step: Step, cell: Cell, flag: Flag) -> tuple[str, str]:
    try:
        if step.rule in COMPANY_PAGE:
            text, name = COMPANY_PAGE[step.rule]
            url = reverse(f"console:{name}", args=[cell.company.slug])
            return (f"{url}?{urlencode({'q': flag.key})}" if name == "company_features" else url), text
        if step.rule in FLAG_PAGE:
            text, page = FLAG_PAGE[step.rule]
            return reverse("console:flag_edit" if page == "edit" else "console:flag_detail", args=[flag.key]), text
    except NoReverseMatch:
        pass
    return "", ""
