"""The twelve rules as the Inspector shows them: what each said, and where it can be changed."""

from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from flags.evaluation import Outcome, Reason, Step, bucket
from flags.inspector import Cell
from flags.models import Flag

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


def rung(step: Step, cell: Cell, flag: Flag) -> dict[str, Any]:
    """Return one rule as `components/_ladder.html` draws it."""
    link, link_text = _link(step, cell, flag)
    return {
        "number": step.number,
        "title": TITLES[step.rule],
        "outcome": str(step.outcome),
        "text": _text(step, cell, flag),
        "link": link,
        "link_text": link_text,
    }


def _text(step: Step, cell: Cell, flag: Flag) -> str:
    said = {None: "Says nothing", True: "Says On", False: "Says Off"}[step.would]
    if step.rule == "unknown_flag" and step.outcome is Outcome.PASSED:
        return "It exists"
    if step.reason is Reason.ROLLOUT:
        said += f" by the company's place in the rollout: it is in from {bucket(flag.key, str(cell.company.pk)) + 1} %"
    if step.rule == "default" and step.reason is Reason.DEFAULT:
        said += f" ({flag.default_source})"
    if step.outcome is Outcome.NOT_REACHED:
        return f"Not reached. {said.replace('Says', 'Would say')}"
    if step.outcome is Outcome.OVERRULED:
        return f"{said}, and was overruled"
    return said


# Which page changes what a rule looks at, and where on it.
FLAG_PAGE = {
    "killed": ("Kill or revive", "flag_detail", ""),
    "prerequisite": ("Change requirements", "flag_edit", ""),
    "plan": ("Change the minimum plan", "flag_edit", ""),
    "channel": ("Change the channels", "flag_detail", "channels"),
    "default": ("Change the default", "flag_detail", "default"),
    "grant_missing": ("Grant it", "flag_detail", "grants"),
}
COMPANY_PAGE = {
    "override": ("Change the override", "company_features"),
    "no_company": ("See the company", "company_detail"),
    "opt_in": ("See or take back the choice", "company_features"),
    "grant_denied": ("Change grants", "company_members"),
}


def _link(step: Step, cell: Cell, flag: Flag) -> tuple[str, str]:
    if step.rule in COMPANY_PAGE:
        text, name = COMPANY_PAGE[step.rule]
        url = reverse(f"console:{name}", args=[cell.company.slug])
        in_its_row = f"?{urlencode({'q': flag.key})}#feature-{flag.key}"
        return (f"{url}{in_its_row}" if name == "company_features" else url), text
    if step.rule in FLAG_PAGE:
        text, page, place = FLAG_PAGE[step.rule]
        if step.rule == "grant_missing" and not flag.needs_grant:
            # Its page has nothing to grant until the flag needs it.
            text, page, place = "Change who needs a grant", "flag_edit", ""
        return reverse(f"console:{page}", args=[flag.key]) + (f"#{place}" if place else ""), text
    return "", ""
