"""The drawers that steer a release: each shows what it would do, says so on its button, and does it once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from flags import outbox, releases, rollbacks
from flags.board import card_of
from flags.channels import channels_for, furthest
from flags.console.flags import flag_context
from flags.console.forms import ChangeForm
from flags.console.gate import through_gate
from flags.console.releaseforms import PromoteForm, RollBackForm, SignOffForm, TakeForm
from flags.console.releases import board_context
from flags.console.responses import (
    console_view,
    done,
    drawer_target,
    focus_after,
    fragment,
    malformed,
    page_or_fragment,
    sent,
    wants_fragment,
    way_back,
)
from flags.evaluation import ChannelAnswer
from flags.impact import Impact, Proposed, companies_gaining, impact
from flags.models import Flag
from flags.releasemodels import Gate
from flags.requests import HttpRequest
from flags.standing import rollback, with_channel_of_release
from tenants.models import ReleaseChannel


@dataclass(frozen=True, slots=True)
class WayBack:
    """One channel, or none, that a flag can be rolled back to, and what that would do."""

    to: str
    name: str
    impact: Impact


@console_view("GET", "POST")
def release_start(request: HttpRequest, key: str) -> HttpResponse:
    """Begin a release: on in the first channel, off in every later one."""
    first, *later = ReleaseChannel.objects.order_by("rank")
    answers = {first.slug: ChannelAnswer(True), **{channel.slug: ChannelAnswer(False) for channel in later}}
    return _step(
        request,
        ChangeForm(sent(request)),
        key,
        "start",
        proposed=Proposed(key, channels=answers),
        act=lambda form, why: releases.start(key, **why),
        shown=lambda: {"first": first, "later": later},
    )


@console_view("GET", "POST")
def release_promote(request: HttpRequest, key: str) -> HttpResponse:
    """Let a flag into its next channel, for all of it or a share, past open gates or not, and tell of it."""
    form = PromoteForm(sent(request))
    if not form.is_valid():
        return malformed(request, form)
    card = card_of(key)
    ahead = card.standing if card is not None and card.standing.following is not None else None
    proposed = form.proposes(ahead) if ahead is not None else None

    def act(form: ChangeForm, why: dict[str, Any]) -> None:
        said = form.cleaned_data
        asked = {name: said[name] for name in ("force", "percentage", "tell", "version")}
        releases.promote(key, seen=said["seen"] or None, **asked, **why)

    return _step(
        request,
        form,
        key,
        "promote",
        proposed=proposed,
        act=act,
        shown=lambda: _promotion(form, key),
        # Past open gates there is only force, and that takes a reason.
        needs_reason=ahead is not None and bool(ahead.blockers),
    )


def _promotion(form: PromoteForm, key: str) -> dict[str, Any]:
    """Return what stands in the drawer of a promotion: the card as it is now, and the message with its recipients."""
    card = card_of(key)
    shown: dict[str, Any] = {"card": card, "previewed": form.cleaned_data["ask"]}
    if card is None or card.standing.following is None:
        return shown
    # What was forced from where one thought it was is not forced from where it is.
    shown["forces"] = form.cleaned_data["force"] and form.cleaned_data["seen"] == card.standing.release.channel_id
    if card.standing.flag.is_internal:
        return shown
    found = outbox.preview(card.standing.flag, companies_gaining(form.proposes(card.standing)))
    return shown | {
        "recipients": found.recipients,
        "told": found.companies,
        "first_recipients": found.first,
        "message": found.message,
    }


@console_view("GET", "POST")
def release_roll_back(request: HttpRequest, key: str) -> HttpResponse:
    """Take a flag back to an earlier channel, or out of all."""

    def act(form: ChangeForm, why: dict[str, Any]) -> None:
        said = form.cleaned_data
        releases.roll_back(key, said["to"] or None, version=said["version"], **why)

    return _step(
        request,
        RollBackForm(sent(request)),
        key,
        "roll_back",
        act=act,
        shown=lambda: {"ways": ways_back(key)},
        needs_reason=True,
    )


def ways_back(key: str) -> list[WayBack]:
    """Return where a flag can be rolled back to, nearest channel first and out of all last, with what each would do."""
    flag = get_object_or_404(Flag, key=key)
    found = channels_for([key])
    channels, last = found.all, furthest(flag, found.rail(key))
    card = card_of(key)
    rank = next((one.rank for one in channels if one.slug == last), None)
    if card is not None:
        rank = card.standing.release.channel.rank
    if rank is None:
        return []
    earlier = [channel for channel in reversed(channels) if channel.rank < rank]
    back = [WayBack(to.slug, to.name, impact(rollback(key, channels, to))) for to in earlier]
    return [*back, WayBack("", "", impact(rollback(key, channels, None)))]


@console_view("GET", "POST")
def company_roll_back(request: HttpRequest, key: str) -> HttpResponse:
    """Take a feature from the companies chosen, or from all that have it, as one batch that is undone as one."""
    form = TakeForm(sent(request))
    if not form.is_valid():
        return _nothing_chosen(request, key, form)
    everybody = form.cleaned_data["everybody"]

    def act(form: ChangeForm, why: dict[str, Any]) -> None:
        chosen = None if everybody else form.companies  # type: ignore[attr-defined]
        rollbacks.roll_back_companies(key, chosen, version=form.cleaned_data["version"], **why)

    return _step(
        request,
        form,
        key,
        "companies",
        name="companies" if everybody else "take",
        proposed=form.proposes(key),
        act=act,
        shown=lambda: {"everybody": everybody, "chosen": form.companies},
        needs_reason=True,
    )


def _nothing_chosen(request: HttpRequest, key: str, form: ChangeForm) -> HttpResponse:
    """Say that a choice is missing, on the flag's page, where it can be made."""
    messages.warning(request, " ".join(map(str, form.non_field_errors())) or "There is no such company.")
    context = flag_context(request, key)
    if wants_fragment(request):
        return fragment(request, "console/_flag_page.html", context, target="#flag-page")
    return page_or_fragment(request, "console/flag_detail.html", "", context, status=422)


@console_view("GET", "POST")
def release_pause(request: HttpRequest, key: str) -> HttpResponse:
    """Hold a release where it is."""
    return _hold(request, key, "pause", releases.pause)


@console_view("GET", "POST")
def release_resume(request: HttpRequest, key: str) -> HttpResponse:
    """Let a paused release go on."""
    return _hold(request, key, "resume", releases.resume)


@console_view("GET", "POST")
def release_finish(request: HttpRequest, key: str) -> HttpResponse:
    """End a release that has reached the last channel."""
    return _hold(request, key, "finish", releases.finish)


def _hold(request: HttpRequest, key: str, verb: str, act: Callable[..., Any]) -> HttpResponse:
    return _step(
        request,
        ChangeForm(sent(request)),
        key,
        "hold",
        name=verb,
        act=lambda form, why: act(key, **why),
        shown=lambda: {"verb": verb, "card": card_of(key)},
    )


@console_view("GET", "POST")
def gate_sign_off(request: HttpRequest, key: str, gate: UUID) -> HttpResponse:
    """Give one's word that a gate holds, with a note and a link."""
    stands = get_object_or_404(Gate, pk=gate, release__flag=key)

    def act(form: ChangeForm, why: dict[str, Any]) -> None:
        said = form.cleaned_data
        releases.sign_off(key, gate, actor=why["actor"], note=said["note"], link=said["link"])

    form = SignOffForm(sent(request))
    return _step(request, form, key, "sign_off", name=f"gate-{gate}", act=act, shown=lambda: {"gate": stands})


def _step(
    request: HttpRequest,
    form: ChangeForm,
    key: str,
    kind: str,
    *,
    act: Callable[[ChangeForm, dict[str, Any]], Any],
    shown: Callable[[], dict[str, Any]],
    proposed: Proposed | None = None,
    name: str = "",
    needs_reason: bool = False,
) -> HttpResponse:
    """Bring one step of a release through the gate. `name` tells its control from others of the flag."""
    if not form.is_valid():
        return malformed(request, form)
    place = form.cleaned_data["place"]
    home = reverse("console:release_board") if place == "board" else reverse("console:flag_detail", args=[key])
    back = way_back(request, form.cleaned_data["next"], home)
    drawer_id = f"drawer-{name or kind}-{key}"

    def look() -> dict[str, Any]:
        flag = get_object_or_404(with_channel_of_release(Flag.objects.all()), key=key)
        return {
            "flag": flag,
            "version": flag.version,
            "action": request.path,
            "drawer_id": drawer_id,
            "target": drawer_target(request, drawer_id),
            "return_focus": focus_after(name or kind, key, "promote", "release"),
            "close_url": back,
            **shown(),
        }

    return through_gate(
        request,
        form,
        proposed=proposed,
        act=lambda: act(form, {"actor": request.principal.user, "reason": form.cleaned_data["reason"]}),
        drawer=f"console/_release_{kind}_drawer.html",
        look=look,
        finish=lambda: moved(request, key, place, back),
        always_asks=True,
        needs_reason=needs_reason,
    )


def moved(request: HttpRequest, key: str, place: str, back: str) -> HttpResponse:
    """Answer after a release was steered: with the board, or with the flag's page."""
    if place == "board":
        return done(
            request, back=back, part="console/_release_board.html", context=board_context(request), target="#board"
        )
    return done(
        request, back=back, part="console/_flag_page.html", context=flag_context(request, key), target="#flag-page"
    )
