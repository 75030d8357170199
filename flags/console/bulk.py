"""One change for many companies or flags: choose, look at what it would do, and begin it."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse

from flags import bulk, bulkimpact, changes, finding
from flags.batchmodels import Batch
from flags.bulk import Wish
from flags.console.bulkforms import CHANNELS, GRANTS, OVERRIDES, ROLES, BulkCompaniesForm, BulkFlagsForm, Chosen
from flags.console.responses import console_view, person, status_of
from flags.evaluation import OverrideFact
from flags.exceptions import ChangeRefused
from flags.impact import Proposed, impact
from flags.requests import HttpRequest
from tenants.models import ReleaseChannel, User

Form = BulkCompaniesForm | BulkFlagsForm


@console_view("GET", "POST")
def bulk_companies(request: HttpRequest) -> HttpResponse:
    """Say what a change would do to many companies or their people, and begin it."""
    form = BulkCompaniesForm(request.POST if request.method == "POST" else request.GET)
    form.is_valid()
    chosen = _chosen(form, "company", finding.find_companies, request)
    what = form.cleaned_data.get("what") or "override"
    people = bulk.members(chosen.ids, form.cleaned_data.get("role", "")) if what == "grant" else None
    context = {
        "belongs_to": reverse("console:company_list"),
        "one": "company",
        "many": "companies",
        "placeholder": "All; or channel:pilot plan:pro",
        "ticked": [row.slug for row in form.cleaned_data.get("company") or ()],
        "errors": form["company"].errors,
        "deeds": GRANTS if what == "grant" else OVERRIDES,
        "roles": ROLES,
        "flag": form.cleaned_data.get("flag"),
    }
    return _answer(request, form, chosen, "console/bulk_companies.html", context, people)


@console_view("GET", "POST")
def bulk_flags(request: HttpRequest) -> HttpResponse:
    """Say what a change would do to many flags, for one company or in one channel, and begin it."""
    form = BulkFlagsForm(request.POST if request.method == "POST" else request.GET)
    form.is_valid()
    chosen = _chosen(form, "flag", _find_live_flags, request)
    what = form.cleaned_data.get("what") or "override"
    context = {
        "belongs_to": reverse("console:flag_list"),
        "one": "flag",
        "many": "flags",
        "placeholder": "All; or category:billing on:pilot",
        "ticked": [row.key for row in form.cleaned_data.get("flag") or ()],
        "errors": form["flag"].errors,
        "deeds": CHANNELS if what == "channel" else OVERRIDES,
        "company": form.cleaned_data.get("company"),
    }
    return _answer(request, form, chosen, "console/bulk_flags.html", context)


def _answer(
    request: HttpRequest,
    form: Form,
    chosen: Chosen,
    template: str,
    context: dict[str, Any],
    people: Sequence[UUID | str] | None = None,
) -> HttpResponse:
    """Begin what is confirmed, or show what it would do, with what is wrong beside what it is about.

    `people` are those that it is about, instead of what was chosen.
    """
    said, refusal = form.cleaned_data, None
    number = chosen.number if people is None else len(people)
    wish = form.wish if form.is_clean and 0 < number <= bulk.MOST else None
    subjects: Sequence[UUID | str] = () if wish is None else chosen.ids if people is None else people
    if request.method == "POST" and wish is not None and said.get("batch"):
        try:
            batch = bulk.begin(
                said["batch"], subjects, wish, actor=person(request), reason=said["reason"], expected=said["expected"]
            )
        except ChangeRefused as refused:
            refusal = refused
        else:
            return redirect("console:batch", batch.pk)
    context |= {
        "form": form,
        "action": request.path,
        "what": said.get("what") or "override",
        "tabs": _tabs(request, form),
        "list_url": list_url(form),
        "chosen": chosen,
        "subjects": number,
        "too_many": bulk.MOST if number > bulk.MOST else 0,
        "wish": wish,
        "channels": ReleaseChannel.objects.order_by("rank").values_list("slug", "name"),
        "refusal": refusal,
        "batch": uuid.uuid4(),
        "needs_reason": changes.reason_is_required(),
    }
    if wish is not None:
        context |= _effects(wish, form, subjects) | {"act": _act(wish, form, len(subjects))}
    status = status_of(refusal) if refusal else 422 if form.errors or chosen.problems else 200
    return render(request, template, context, status=status)


def _find_live_flags(text: str, viewer: User) -> finding.Found:
    found = finding.find_flags(text, viewer)
    return replace(found, rows=found.rows.filter(archived_at=None))


def _chosen(form: Form, one: str, find: Callable[[str, User], finding.Found], request: HttpRequest) -> Chosen:
    """Return what was ticked, in the field of this name, or else all that match."""
    if ticked := form.cleaned_data.get(one):
        return Chosen(ticked, [])
    if form.cleaned_data.get("chosen"):
        return Chosen(None, [f"No {one} is ticked."])
    found = find(form.cleaned_data.get("q", ""), person(request))
    if found.problems or one in form.errors or "q" in form.errors:
        # A word that was left out would mean more than somebody wanted.
        return Chosen(None, [problem.message for problem in found.problems])
    return Chosen(found.rows, [])


def _tabs(request: HttpRequest, form: Form) -> list[dict[str, Any]]:
    """What else can be done with the same choice."""
    kept = QueryDict(mutable=True)
    for name, value in form.only("q", "chosen", "company" if isinstance(form, BulkCompaniesForm) else "flag"):
        kept.appendlist(name, value)
    now, tabs = form.cleaned_data.get("what") or "override", []
    for what, label in form.WHAT:
        kept["what"] = what
        tabs.append({"label": label, "url": f"{request.path}?{kept.urlencode()}", "current": what == now})
    return tabs


def _effects(wish: Wish, form: Form, subjects: Sequence[Any]) -> dict[str, Any]:
    """Return what a wish would do, for the part of the page that shows it."""
    fact = None
    if wish.deed in (Batch.Deed.TURN_ON, Batch.Deed.TURN_OFF):
        fact = OverrideFact(wish.deed == Batch.Deed.TURN_ON, wish.expires_at, False)
    if wish.deed == Batch.Deed.MOVE:
        return {"move": bulkimpact.impact_of_moves(subjects, wish.channel)}
    if wish.of == Batch.Subject.PEOPLE:
        return {"grants": bulkimpact.effect_of_grants(subjects, wish.flag, wish.deed == Batch.Deed.GRANT)}
    if wish.company:
        return {"impact": bulkimpact.impact_of_overrides(wish.company, dict.fromkeys(subjects, fact))}
    if wish.channel:
        is_on = wish.deed == Batch.Deed.CHANNEL_ON
        effects = bulkimpact.impact_of_channel(subjects, wish.channel, is_on, wish.percentage)
        quiet = sum(1 for effect in effects if not effect.changes)
        return {"effects": effects, "quiet": quiet, "turns_off": any(effect.goes_off for effect in effects)}
    found = impact(_proposed(wish, form, subjects, fact))
    return {"effect": found.effect, "dependents": found.dependents}


def _proposed(wish: Wish, form: Form, subjects: Sequence[Any], fact: OverrideFact | None) -> Proposed:
    """Return what overrides for these would propose; for all companies there are, those alike are counted as one."""
    are_all = not form.only("q", "chosen", "company")
    if are_all and fact is not None:
        return Proposed(wish.flag, for_all=fact)
    return Proposed(wish.flag, overrides=dict.fromkeys(subjects, fact))


def _act(wish: Wish, form: Form, total: int) -> str:
    """Return what the button that confirms says."""
    one, many = {"companies": ("company", "companies"), "people": ("person", "people"), "flags": ("flag", "flags")}[
        wish.of
    ]
    them = f"{total} {one if total == 1 else many}"
    said = form.cleaned_data
    if wish.deed == Batch.Deed.MOVE:
        return f"Move {them} to {said['channel'].name}"
    if wish.of == Batch.Subject.FLAGS:
        whom = f"for {wish.company.name}" if wish.company else f"in {said['channel'].name}"
        way = "off" if wish.deed in (Batch.Deed.TURN_OFF, Batch.Deed.CHANNEL_OFF) else "on"
        whom += f" for {wish.percentage} %" if wish.percentage < 100 else ""
        return f"Reset {them} {whom}" if wish.deed == "reset" else f"Turn {them} {way} {whom}"
    flag = said["flag"].name
    acts = {
        Batch.Deed.TURN_ON: f"Turn {flag} on for {them}",
        Batch.Deed.TURN_OFF: f"Turn {flag} off for {them}",
        Batch.Deed.RESET: f"Reset {flag} for {them}",
        Batch.Deed.GRANT: f"Grant {flag} to {them}",
        Batch.Deed.DENY: f"Deny {flag} to {them}",
    }
    return acts[Batch.Deed(wish.deed)]


def list_url(form: Form) -> str:
    """Return the list that the choice was made from."""
    name = "console:company_list" if isinstance(form, BulkCompaniesForm) else "console:flag_list"
    query = QueryDict(mutable=True)
    query["q"] = form.cleaned_data.get("q", "")
    return reverse(name) + (f"?{query.urlencode()}" if query["q"] else "")
