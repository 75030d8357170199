"""The style page: every component with made-up data, for people who build pages. In development only."""

import re
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from django import forms
from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from flags.batchmodels import Batch
from flags.console.responses import console_view, person
from flags.console.searching import Chip, Choice, Search
from flags.requests import HttpRequest
from tenants.models import User

TONES = ("on", "off", "danger", "warn", "info", "plum", "plain")
CHANNELS = ("internal", "pilot", "general")
SPRITE = Path(settings.BASE_DIR) / "static" / "icons.svg"
RULES = (
    ("No such flag", "The flag exists"),
    ("Killed", "Nobody pulled the kill switch"),
    ("Super admin", "Ana is viewing as Globex"),
    ("No company", "Globex is asking"),
    ("Prerequisites", "Billing System is on"),
    ("Override", "None for Globex"),
    ("Plan", "Globex has Pro, it needs Starter"),
    ("Self-service", "Globex made no choice"),
    ("Release channel", "On for 25 % of pilot; Globex is among them"),
    ("Default", "Would say off"),
    ("Denied to this person", "No grant row denies it"),
    ("Granted to this person", "No grant is needed"),
)
DECIDING_RULE = 9
USES = (14, 12, 13, 9, 11, 8, 9, 6, 7, 4, 6, 3, 4, 2)


class SampleForm(forms.Form):
    """One field of each kind."""

    name = forms.CharField(initial="Trip Management")
    key = forms.SlugField(help_text="Permanent: lower_snake.")
    description = forms.CharField(widget=forms.Textarea(attrs={"rows": 2}), required=False)
    plan = forms.ChoiceField(choices=[("starter", "Starter"), ("pro", "Pro")])
    who = forms.ChoiceField(choices=[("all", "Everyone"), ("part", "A part")], widget=forms.RadioSelect)
    internal = forms.BooleanField(
        label="Hidden from companies", required=False, help_text="Only super admins see that it exists."
    )


@console_view("GET")
def style(request: HttpRequest) -> HttpResponse:
    """Show every component. Does not exist unless DEBUG is on."""
    if not settings.DEBUG:
        raise Http404("The style page is for development.")
    context = {
        "now": timezone.now(),
        "density": "compact" if request.GET.get("density") == "compact" else "comfortable",
        "tabs": [
            {"label": "All", "url": "#all", "current": True, "count": 12},
            {"label": "Releasing", "url": "#releasing", "count": 3},
            {"label": "Killed", "url": "#killed", "count": 1},
            {"label": "Stale", "url": "#stale"},
        ],
        "groups": _groups(),
        "steps": [
            {
                "number": number,
                "title": title,
                "text": text,
                "outcome": _outcome(number),
                "link": "#change" if number == DECIDING_RULE else "",
            }
            for number, (title, text) in enumerate(RULES, 1)
        ],
        "search": _search(),
        "gates": _gates(),
        "batch": _batch(person(request)),
        "found": _found(),
        "globex": SimpleNamespace(name="Globex"),
        "rows": _features(),
        "form": SampleForm({"name": "Trip", "key": "Bad Key"}),
        "finder_errors": ["There is no company “Globx”. Type its slug or its name."],
        "board": _board(),
        "tones": TONES,
        "icons": re.findall(r'<symbol id="([\w-]+)"', SPRITE.read_text()),
        "impact_names": ["Globex", "Initech", "Umbrella Logistics", "Wayne Freight"],
        "spark": " ".join(f"{day * 100 / (len(USES) - 1):.1f},{uses}" for day, uses in enumerate(USES)),
        "spark_rows": [(f"{day} Nov", 20 - uses) for day, uses in enumerate(USES, 1)],
    }
    return render(request, "console/style.html", context)


def _search() -> Search:
    choices = [Choice("is:killed", "Killed flags", "?", True), Choice("on:pilot", "On in a channel", "?", False)]
    return Search(
        of="flags",
        url=reverse("console:flag_list"),
        text="is:killed colour:red",
        chips=[Chip("is", "killed", "?")],
        choices=choices,
        problems=[("“colour:” means nothing here.", "owner:red", "?")],
        views=[],
        current=None,
    )


def _gates() -> list[SimpleNamespace]:
    rows = (
        ("Soaked for 7 days", "Since 3 November", True, False),
        ("Isolation audit", "Older than the promotion", False, False),
        ("Support has signed off", "Refused by Bo Lind: the guide is missing", False, True),
    )
    return [
        SimpleNamespace(gate=SimpleNamespace(title=title), words=words, holds=holds, is_broken=is_broken)
        for title, words, holds, is_broken in rows
    ]


def _batch(viewer: User) -> Batch:
    return Batch(
        person=viewer,
        name="Trip Management: turn on by override",
        total=412,
        done=160,
        changed_count=151,
        unchanged_count=8,
        refused_count=1,
        refused=[["Initech", "The expiry lies in the past."]],
    )


def _found() -> list[dict[str, Any]]:
    def line(icon: str, title: str, state: str) -> dict[str, Any]:
        return {"item": {"icon": icon, "title": title, "state": state}, "url": "#found"}

    return [
        {
            "title": "Flags",
            "lines": [line("flag", "Billing System", "On"), line("flag", "Self-Service Billing", "Off")],
        },
        {"title": "Actions", "lines": [line("kill", "Kill Billing System…", "")]},
    ]


def _outcome(number: int) -> str:
    if number == DECIDING_RULE:
        return "decided"
    return "passed" if number < DECIDING_RULE else "not_reached"


def _rail(*answers: bool | None, soak: float | None = None, percentage: int | None = None) -> list[dict[str, Any]]:
    return [
        {
            "slug": name,
            "name": name,
            "enabled": enabled,
            "percentage": percentage if name == "pilot" and enabled else None,
            "soak_fraction": soak if name == "pilot" else None,
        }
        for name, enabled in zip(CHANNELS, answers, strict=True)
    ]


def _flag(key: str, name: str, stages: list, on: int, off: int, *, days: int, **more: Any) -> dict[str, Any]:
    since = timezone.now() - timedelta(days=days, hours=3)
    flag = {"key": key, "name": name, "stages": stages, "on": on, "off": off, "since": since}
    return flag | {"owner": "Ana Ruiz", "enabled": False} | more


def _groups() -> list[dict[str, Any]]:
    billing = [
        _flag("billing_enabled", "Billing System", _rail(True, True, False, soak=0.62, percentage=25), 3, 1, days=2),
        _flag("billing_self_service", "Self-Service Billing", _rail(True, False, False), 0, 0, days=12),
        _flag("billing_enforcement", "Limit Enforcement", _rail(None, None, None), 0, 2, days=220, owner="Bo Lind"),
    ]
    operations = [
        _flag("trip_management", "Trip Management", _rail(True, True, None, soak=1.0), 12, 3, days=4, drawer=True),
        _flag(
            "driver_payments",
            "Driver Payments",
            _rail(True, True, True),
            41,
            0,
            days=0,
            owner="Constantin Featherstonehaugh",
            killed=True,
        ),
        _flag("release_inspector", "Release Inspector", _rail(True, False, False), 0, 0, days=40, is_internal=True),
    ]
    core = [
        _flag(
            "driver_management", "Driver Management", _rail(True, True, True), 0, 1, days=400, owner="", enabled=True
        ),
        _flag(
            "vehicle_and_equipment_management_for_mixed_fleets",
            "Vehicle and equipment management for mixed fleets",
            _rail(True, True, True),
            0,
            0,
            days=400,
            enabled=True,
        ),
    ]
    named = (("billing", "Billing", billing), ("operations", "Operations", operations), ("core", "Core", core))
    return [{"slug": slug, "name": name, "flags": flags} for slug, name, flags in named]


def _features() -> list[dict[str, Any]]:
    fields = ("key", "name", "default", "channel", "override", "override_text", "enabled", "reason")
    rows = (
        ("api_access", "API Access", False, None, True, "On until 3 Mar", True, "override"),
        ("white_label", "White Label", False, None, None, "None", False, "plan"),
        ("driver_payments", "Driver Payments", True, True, None, "None", False, "killed"),
        ("trip_management", "Trip Management", False, True, None, "None", True, "rollout"),
    )
    return [dict(zip(fields, row, strict=True)) for row in rows]


def _card(key: str, name: str, channel: str, soak: float, passed: int, wait: str = "") -> SimpleNamespace:
    """Return a release as the board's card takes it."""
    gates = [SimpleNamespace(holds=number < passed, is_broken=False) for number in range(5)]
    release = SimpleNamespace(channel=SimpleNamespace(name=channel), entered_at=timezone.now() - timedelta(days=4))
    standing = SimpleNamespace(
        flag=SimpleNamespace(key=key, name=name, owner="Ana Ruiz"),
        release=release,
        soak_fraction=soak,
        gates=gates,
        passed=passed,
        blockers=[SimpleNamespace(is_broken=False)] if wait else [],
        following=SimpleNamespace(name="General"),
        last_channel=SimpleNamespace(name="General"),
        can_promote=not wait,
        seen=SimpleNamespace(evaluations=1284, errors=0),
    )
    answer = "Not before Tuesday 14:00." if wait else "Now."
    stages = _rail(True, channel == "pilot", False, soak=soak)
    return SimpleNamespace(standing=standing, stages=stages, blocker=wait, answer=answer, moved_by="Ana Ruiz")


def _board() -> list[dict[str, Any]]:
    waiting = "Waits until Tue 14:00 (2 d 3 h of soak left); the isolation audit is older than the promotion"
    ready = [_card("white_label", "White Label", "internal", 1.0, 5)]
    waits = [
        _card("trip_management", "Trip Management", "pilot", 0.62, 3, waiting),
        _card("billing_enabled", "Billing System", "pilot", 0.1, 1, "Support has not signed off"),
    ]
    return [
        {"name": "internal", "companies": 2, "cards": ready},
        {"name": "pilot", "companies": 9, "cards": waits},
        {"name": "general", "companies": 117, "cards": []},
    ]
