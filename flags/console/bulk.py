"""One change for many companies: choose and look, begin, and watch it go on."""

import uuid
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from flags import bulk, changes, finding, reverting
from flags.batchmodels import Batch
from flags.console.forms import MINUTE
from flags.console.responses import console_view, page_or_fragment, person, status_of
from flags.evaluation import OverrideFact
from flags.exceptions import ChangeRefused
from flags.impact import Impact, Proposed, impact
from flags.models import Change, Flag
from flags.querytext import LONGEST
from flags.requests import HttpRequest
from tenants.models import Company

NAMED = 12
CHANGED_SHOWN = 50


class BulkForm(forms.Form):
    """For which companies, which flag, what, until when and why.

    `company` are those ticked in a list, which says `chosen`; without that, all that match `q` are meant.
    """

    q = forms.CharField(required=False, max_length=LONGEST)
    chosen = forms.BooleanField(required=False)
    company = forms.ModelMultipleChoiceField(
        Company.objects.all(),
        to_field_name="slug",
        required=False,
        error_messages={"invalid_choice": "There is no company %(value)s any more. Choose again."},
    )
    flag = forms.ModelChoiceField(
        Flag.objects.live().order_by("name"),
        to_field_name="key",
        required=False,
        error_messages={"invalid_choice": "There is no such flag. Choose one from the list."},
    )
    deed = forms.ChoiceField(required=False, choices=Batch.Deed.choices)
    expires_at = forms.DateTimeField(
        required=False, input_formats=[MINUTE], error_messages={"invalid": "Write it as 2027-03-03T14:00, in UTC."}
    )
    reason = forms.CharField(required=False, max_length=500)
    expected = forms.IntegerField(required=False, min_value=0)
    batch = forms.UUIDField(required=False)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The companies meant, by ticks or by a query. `problems` are words of the query that were not understood."""

    ids: list[UUID]
    names: list[str]
    problems: list[str]

    @property
    def more(self) -> int:
        return len(self.ids) - len(self.names)


def _chosen(form: BulkForm, request: HttpRequest) -> Chosen:
    ticked = form.cleaned_data.get("company")
    if ticked:
        rows = list(ticked)
        return Chosen([row.pk for row in rows], [row.name for row in rows[:NAMED]], [])
    if form.cleaned_data.get("chosen"):
        return Chosen([], [], ["No company is ticked."])
    found = finding.find_companies(form.cleaned_data.get("q", ""), person(request))
    if found.problems or "company" in form.errors:
        # A word that was left out would mean more companies than somebody wanted.
        return Chosen([], [], [problem.message for problem in found.problems])
    pairs = list(found.rows.order_by("name", "pk").values_list("pk", "name")[: bulk.MOST + 1])
    return Chosen([pk for pk, _ in pairs], [name for _, name in pairs[:NAMED]], [])


@console_view("GET", "POST")
def bulk_companies(request: HttpRequest) -> HttpResponse:
    """Say what a change would do to many companies, and begin it."""
    form = BulkForm(request.POST if request.method == "POST" else request.GET)
    form.is_valid()
    said = form.cleaned_data
    chosen = _chosen(form, request)
    flag, deed = said.get("flag"), said.get("deed", "")
    is_ready = bool(form.is_valid() and chosen.ids and flag and deed and len(chosen.ids) <= bulk.MOST)
    refusal: ChangeRefused | None = None
    if request.method == "POST" and is_ready and flag is not None and said.get("batch"):
        try:
            batch = bulk.begin(
                said["batch"],
                chosen.ids,
                flag.key,
                deed,
                actor=person(request),
                reason=said["reason"],
                expires_at=said["expires_at"],
                expected=said["expected"],
            )
        except ChangeRefused as refused:
            refusal = refused
        else:
            return redirect("console:batch", batch.pk)
    effects = _impact(form, chosen) if is_ready else None
    context = {
        "form": form,
        "chosen": chosen,
        "too_many": bulk.MOST if len(chosen.ids) > bulk.MOST else 0,
        "flag": flag,
        "effect": effects.effect if effects else None,
        "dependents": effects.dependents if effects else [],
        "refusal": refusal,
        "batch": uuid.uuid4(),
        "needs_reason": changes.reason_is_required(),
        "deeds": Batch.Deed.choices,
        "flags": Flag.objects.live().order_by("name").values_list("key", "name"),
    }
    status = status_of(refusal) if refusal else 422 if form.errors or chosen.problems else 200
    return render(request, "console/bulk_companies.html", context, status=status)


def _impact(form: BulkForm, chosen: Chosen) -> Impact:
    said = form.cleaned_data
    fact = None
    if said["deed"] != Batch.Deed.RESET:
        fact = OverrideFact(said["deed"] == Batch.Deed.TURN_ON, said["expires_at"], False)
    return impact(Proposed(said["flag"].key, overrides=dict.fromkeys(chosen.ids, fact)))


@console_view("GET", "POST")
def batch(request: HttpRequest, pk: UUID) -> HttpResponse:
    """How far a batch has come. A POST takes its next step, which scripts do by themselves until it is done."""
    found = get_object_or_404(Batch.objects.defer("companies"), pk=pk)
    refusal: ChangeRefused | None = None
    if request.method == "POST":
        try:
            found = bulk.step(pk, actor=person(request), most=bulk.AT_ONCE)
        except ChangeRefused as refused:
            refusal = refused
        if not request.htmx and refusal is None:
            return redirect("console:batch", pk)
    return _shown(request, found, refusal)


@console_view("POST")
def batch_stop(request: HttpRequest, pk: UUID) -> HttpResponse:
    """End a batch where it is."""
    found = get_object_or_404(Batch.objects.defer("companies"), pk=pk)
    try:
        bulk.stop(pk, actor=person(request))
    except ChangeRefused as refused:
        return _shown(request, found, refused)
    return redirect("console:batch", pk)


def _shown(request: HttpRequest, found: Batch, refusal: ChangeRefused | None) -> HttpResponse:
    lines = Change.objects.filter(batch=found.pk)
    whole = lines.filter(verb="change_companies").first()
    changed = lines.exclude(company_name="").order_by("company_name").values_list("company_name", flat=True)
    context: dict[str, Any] = {
        "batch": found,
        "flag": Flag.objects.filter(key=found.flag).first(),
        "changed": list(changed[:CHANGED_SHOWN]) if found.finished_at else [],
        "changed_more": max(found.changed_count - CHANGED_SHOWN, 0),
        "undo": reverse("console:change_revert", args=[whole.pk]) if whole and reverting.can_revert(whole) else "",
        "is_mine": found.person_id == person(request).pk,
        "refusal": refusal,
    }
    said = "Done" if found.finished_at else ""
    status = 200 if refusal is None else status_of(refusal)
    return page_or_fragment(request, "console/batch.html", "console/_batch.html", context, status=status, said=said)
