"""A change of many that has begun: watch it go on, stop it, and take all of it back."""

import uuid
from collections import defaultdict
from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from flags import bulk, bulkdeeds, changes, reverting
from flags.batchmodels import Batch
from flags.bulkimpact import Move, impact_of_moves
from flags.console.bulkforms import UndoForm
from flags.console.responses import console_view, page_or_fragment, person, status_of
from flags.exceptions import ChangeRefused
from flags.models import Change, Flag
from flags.requests import HttpRequest
from flags.sentences import sentence
from flags.undoimpact import undo_of
from tenants.models import Company, ReleaseChannel

CHANGED_SHOWN = 50
PLACES = {Batch.Subject.FLAGS.value: "console:flag_list", Batch.Subject.LINES.value: "console:change_list"}
"""Where in the sidebar batches belong, by what they are about; all others are about companies and their people."""


@console_view("GET", "POST")
def batch(request: HttpRequest, pk: UUID) -> HttpResponse:
    """How far a batch has come. A POST takes its next step, which scripts do by themselves until it is done."""
    found = get_object_or_404(Batch.objects.defer("subjects"), pk=pk)
    refusal: ChangeRefused | None = None
    if request.method == "POST":
        try:
            found = bulk.step(pk, actor=person(request))
        except ChangeRefused as refused:
            refusal = refused
        if not request.htmx and refusal is None:
            return redirect("console:batch", pk)
    return _shown(request, found, refusal)


@console_view("POST")
def batch_stop(request: HttpRequest, pk: UUID) -> HttpResponse:
    """End a batch where it is."""
    found = get_object_or_404(Batch.objects.defer("subjects"), pk=pk)
    try:
        bulk.stop(pk, actor=person(request))
    except ChangeRefused as refused:
        return _shown(request, found, refused)
    return redirect("console:batch", pk)


@console_view("GET", "POST")
def batch_undo(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask before a batch is taken back line by line, and begin that. `pk` is the batch's id in history."""
    whole = Change.objects.filter(batch=pk, verb__in=reverting.WHOLES).first()
    if whole is None:
        raise Http404("History knows no such batch.")
    if not reverting.goes_in_steps(whole):
        return redirect("console:change_revert", whole.pk)
    form = UndoForm(request.POST or None)
    refusal: ChangeRefused | None = None
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            begun = bulk.undo(
                pk, said["batch"], actor=person(request), reason=said["reason"], expected=said["expected"]
            )
        except ChangeRefused as refused:
            refusal = refused
        else:
            return redirect("console:batch", begun.pk)
    context = {
        "sentence": sentence(whole),
        "whole": whole,
        "total": bulk.lines_of(pk).count(),
        "moves": _moves_back(pk),
        "undo": undo_of(pk),
        "form": form,
        "refusal": refusal,
        "batch": uuid.uuid4(),
        "needs_reason": changes.reason_is_required(),
        "back": reverse("console:change_list") + f"?batch={pk}",
        "belongs_to": reverse("console:change_list"),
    }
    status = status_of(refusal) if refusal else 422 if form.errors else 200
    return render(request, "console/batch_undo.html", context, status=status)


def _shown(request: HttpRequest, found: Batch, refusal: ChangeRefused | None) -> HttpResponse:
    whole = Change.objects.filter(batch=found.pk, verb__in=reverting.WHOLES).first()
    changed = _changed(found) if found.finished_at else []
    context: dict[str, Any] = {
        "batch": found,
        "belongs_to": reverse(PLACES.get(found.of, "console:company_list")),
        "flag": Flag.objects.filter(key=found.flag).first(),
        "company": Company.objects.filter(pk=found.company).first() if found.company else None,
        "changed": changed,
        "changed_more": max(found.changed_count - len(changed), 0),
        "refused_more": max(found.refused_count - len(found.refused), 0),
        "unchanged_more": max(found.unchanged_count - len(found.unchanged), 0),
        "undo": reverse("console:change_revert", args=[whole.pk]) if whole and reverting.can_revert(whole) else "",
        "is_mine": found.person_id == person(request).pk,
        "refusal": refusal,
    }
    said = "Done" if found.finished_at else ""
    status = 200 if refusal is None else status_of(refusal)
    return page_or_fragment(request, "console/batch.html", "console/_batch.html", context, status=status, said=said)


def _moves_back(pk: UUID) -> list[tuple[ReleaseChannel, Move]]:
    """Return the channels that companies moved by a batch would go back to, each with what that does.

    Those that somebody has moved on since are left out, as they would be.
    """
    lines = bulk.lines_of(pk).filter(verb="move_company").order_by("id")
    now = dict(Company.objects.filter(pk__in=lines.order_by().values("company_id")).values_list("pk", "channel"))
    found: dict[str, list[UUID]] = defaultdict(list)
    for company, was, became in lines.values_list("company_id", "before__channel", "after__channel"):
        if was and now.get(company) == became:
            found[was].append(company)
    channels = ReleaseChannel.objects.filter(pk__in=found).order_by("rank")
    return [(channel, impact_of_moves(found[channel.pk], channel.pk)) for channel in channels]


def _changed(found: Batch) -> list[str]:
    """Return the first names of what a batch changed, as history calls them."""
    lines = bulk.lines_of(found.pk)
    if found.of == Batch.Subject.FLAGS:
        return list(lines.order_by("flag_name").values_list("flag_name", flat=True)[:CHANGED_SHOWN])
    lines = lines.order_by("company_name", "id")[:CHANGED_SHOWN]
    if found.of == Batch.Subject.COMPANIES:
        return [line.company_name for line in lines]
    return [bulkdeeds.called(line) for line in lines]
