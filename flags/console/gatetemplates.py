"""The gates that releases begin with: a page on which operators add, rename, move and remove them."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from flags import changes, gatetemplates
from flags.console.forms import ChangeForm
from flags.console.releaseforms import GateTemplateForm, MoveForm
from flags.console.responses import (
    both_values,
    console_view,
    done,
    drawer_target,
    malformed,
    page_or_fragment,
    seen_by,
    status_of,
)
from flags.exceptions import ChangeRefused
from flags.releasemodels import GateTemplate
from flags.requests import HttpRequest
from flags.standing import under_way
from tenants.models import ReleaseChannel


@console_view("GET", "POST")
def gate_list(request: HttpRequest) -> HttpResponse:
    """Every gate that a release begins with, by the channel it stands before; a POST adds one."""
    form = GateTemplateForm(request.POST or None)
    refusal: ChangeRefused | None = None
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            gatetemplates.add_gate(
                said["channel"].pk if said["channel"] else "",
                said["title"],
                actor=request.principal.user,
                check_kind=said["check_kind"] or GateTemplate.Check.SIGN_OFF,
                rank=_last_place(said["channel"]),
                reason=said["reason"],
            )
        except ChangeRefused as refused:
            refusal = refused
        else:
            return _changed(request)
    status = status_of(refusal) if refusal is not None else 422 if form.errors else 200
    form.take(refusal)
    context = gates_context() | {"form": form}
    return page_or_fragment(request, "console/gate_list.html", "console/_gate_list.html", context, status=status)


def gates_context() -> dict[str, Any]:
    """Return the gates by channel, and how many releases keep those they began with."""
    by_channel: dict[str, list[GateTemplate]] = {}
    for gate in gatetemplates.templates():
        by_channel.setdefault(gate.channel_id, []).append(gate)
    _, *later = ReleaseChannel.objects.order_by("rank")
    return {
        "groups": [(channel, by_channel.get(channel.slug, [])) for channel in later],
        "in_flight": under_way().count(),
        "form": GateTemplateForm(),
        "needs_reason": changes.reason_is_required(),
    }


@console_view("GET", "POST")
def gate_edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Rename a gate."""
    gate = get_object_or_404(GateTemplate.objects.select_related("channel"), pk=pk)
    form = GateTemplateForm(request.POST) if request.method == "POST" else GateTemplateForm(initial={"title": gate})
    return _ask(
        request,
        gate,
        form,
        "edit",
        lambda said, who: gatetemplates.edit_gate(
            pk, actor=who, title=said["title"], reason=said["reason"], seen=said["seen"] or None
        ),
    )


@console_view("GET", "POST")
def gate_remove(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Take a gate away."""
    gate = get_object_or_404(GateTemplate.objects.select_related("channel"), pk=pk)
    form = ChangeForm(request.POST) if request.method == "POST" else ChangeForm()
    return _ask(
        request,
        gate,
        form,
        "remove",
        lambda said, who: gatetemplates.remove_gate(pk, actor=who, reason=said["reason"], seen=said["seen"] or None),
    )


@console_view("POST")
def gate_move(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Move a gate one place up or down."""
    gate = get_object_or_404(GateTemplate, pk=pk)
    form = MoveForm(request.POST)
    if not form.is_valid():
        return malformed(request, form)
    reason = "Moved" if changes.reason_is_required() else ""
    gatetemplates.move_gate(gate.pk, form.cleaned_data["places"], actor=request.principal.user, reason=reason)
    return _changed(request)


def _ask(
    request: HttpRequest,
    gate: GateTemplate,
    form: ChangeForm,
    kind: str,
    act: Callable[[dict[str, Any], Any], Any],
) -> HttpResponse:
    """Show the drawer that asks, do it, or say why it was refused."""
    refusal: ChangeRefused | None = None
    if request.method == "POST":
        if not form.is_valid():
            return malformed(request, form)
        try:
            act(form.cleaned_data, request.principal.user)
        except ChangeRefused as refused:
            refusal = refused
        else:
            return _changed(request)
        gate = get_object_or_404(GateTemplate.objects.select_related("channel"), pk=gate.pk)
    drawer_id = f"drawer-{kind}-{gate.pk}"
    context: dict[str, Any] = {
        "gate": gate,
        "form": form,
        "seen": seen_by(form, refusal, gatetemplates.stamp_of(gate)),
        "refusal": refusal,
        "both": both_values(refusal),
        "needs_reason": changes.reason_is_required(),
        "action": request.path,
        "drawer": f"console/_gate_{kind}_drawer.html",
        "drawer_id": drawer_id,
        "target": drawer_target(request, drawer_id),
        "return_focus": f"{kind}-{gate.pk} gates-title",
        "close_url": reverse("console:gate_list"),
        "next": reverse("console:gate_list"),
    }
    status = 200 if refusal is None else status_of(refusal)
    if form.is_bound:
        form.take(refusal)
    return page_or_fragment(request, "console/gate_gate.html", context["drawer"], context, status=status)


def _changed(request: HttpRequest) -> HttpResponse:
    back = reverse("console:gate_list")
    return done(request, back=back, part="console/_gate_list.html", context=gates_context(), target="#gates")


def _last_place(channel: ReleaseChannel | None) -> int:
    last = GateTemplate.objects.filter(channel=channel).order_by("-rank").first()
    return min(last.rank + 10, 1000) if last is not None else 10
