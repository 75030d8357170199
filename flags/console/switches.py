"""The switches of a flag: what it answers by default and on each channel, kill and revive, and its end."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from flags import archiving, changes, overview, staleness
from flags.console.flags import flag_context
from flags.console.forms import ChangeForm, ChannelForm, DeleteForm, SwitchForm
from flags.console.gate import through_gate
from flags.console.responses import (
    console_view,
    done,
    drawer_target,
    focus_after,
    go_to,
    here,
    malformed,
    say_what_changed,
    sent,
    way_back,
)
from flags.evaluation import ChannelAnswer
from flags.exceptions import Invalid
from flags.impact import Proposed
from flags.models import Flag
from flags.requests import HttpRequest
from tenants.models import ReleaseChannel


@console_view("GET", "POST")
def flag_default(request: HttpRequest, key: str) -> HttpResponse:
    """Turn a flag on or off for every company that has no answer of its own."""
    form = SwitchForm(sent(request))
    if not form.is_valid():
        return malformed(request, form)
    enabled = form.cleaned_data["enabled"]
    return _switch(
        request,
        form,
        key,
        "default",
        proposed=Proposed(key, rules={"default_enabled": enabled}),
        shown={"supposed": urlencode({"default": "on" if enabled else "off"})},
        act=lambda why: changes.set_default(key, enabled, version=form.cleaned_data["version"], **why),
    )


@console_view("GET", "POST")
def flag_inherit(request: HttpRequest, key: str) -> HttpResponse:
    """Let a flag's default be what the environment, or else the catalogue, says."""
    flag = get_object_or_404(Flag, key=key)
    form = ChangeForm(sent(request))
    if not form.is_valid():
        return malformed(request, form)
    return _switch(
        request,
        form,
        key,
        "inherit",
        proposed=Proposed(key, rules={"default_enabled": flag.inherited_enabled}),
        act=lambda why: changes.inherit_default(key, version=form.cleaned_data["version"], **why),
    )


@console_view("GET", "POST")
def flag_channel(request: HttpRequest, key: str, channel: str) -> HttpResponse:
    """Give a flag an answer for one release channel, or take it away."""
    stage = get_object_or_404(ReleaseChannel, pk=channel)
    form = ChannelForm(sent(request))
    wrong = None
    if not form.is_valid():
        if set(form.errors) != {"percentage"}:
            return malformed(request, form)
        form.cleaned_data["percentage"] = 100
        wrong = Invalid(
            "That is no share of a channel.", errors={"percentage": ["A whole number from 0 to 100, please."]}
        )
    version, percentage = form.cleaned_data["version"], form.cleaned_data["percentage"]
    answer = form.channel_answer

    def act(why: dict[str, Any]) -> None:
        if answer is None:
            changes.remove_channel(key, channel, version=version, **why)
        else:
            changes.set_channel(key, channel, answer.enabled, percentage=percentage, version=version, **why)

    return _switch(
        request,
        form,
        key,
        "channel",
        proposed=None if wrong else Proposed(key, channels={channel: answer}),
        act=act,
        wrong=wrong,
        name=f"channel-{channel}",
        shown={"stage": stage, "supposed": _supposed(channel, answer)},
    )


def _supposed(channel: str, answer: ChannelAnswer | None) -> str:
    """Return what the Inspector is to suppose of a channel, as a query string."""
    said = {"channel": channel, "answer": "none" if answer is None else "on" if answer.enabled else "off"}
    if answer is not None and answer.enabled and answer.percentage < 100:
        said["percentage"] = str(answer.percentage)
    return urlencode(said)


@console_view("GET", "POST")
def flag_kill(request: HttpRequest, key: str) -> HttpResponse:
    """Turn a flag off for everybody, at once, keeping what is stored."""
    return _life(
        request,
        key,
        "kill",
        rules={"killed": True},
        act=changes.kill,
        needs_reason=True,
        shown={"supposed": urlencode({"killed": "on"})},
    )


@console_view("GET", "POST")
def flag_revive(request: HttpRequest, key: str) -> HttpResponse:
    """Take a kill back: exactly the state before it returns."""
    return _life(request, key, "revive", rules={"killed": False}, act=changes.revive, needs_reason=True)


@console_view("GET", "POST")
def flag_delete(request: HttpRequest, key: str) -> HttpResponse:
    """Delete a flag and all its answers, once its key has been typed. The key is never free again."""
    form = DeleteForm(sent(request))
    if not form.is_valid():
        return malformed(request, form)

    def act(why: dict[str, Any]) -> None:
        if form.cleaned_data["key"] != key:
            raise Invalid("The key was not typed as it is.", errors={"key": [f"Type {key} to delete it."]})
        changes.delete_flag(key, version=form.cleaned_data["version"], **why)

    def finish() -> HttpResponse:
        say_what_changed(request)
        return go_to(request, reverse("console:flag_list"))

    return _switch(
        request,
        form,
        key,
        "delete",
        proposed=Proposed(key, rules={"archived": True, "default_enabled": False}),
        act=act,
        finish=finish,
        shown={"dependents_left": Flag.objects.filter(requirements__requires=key).order_by("name")},
        always_asks=True,
    )


@console_view("GET", "POST")
def flag_archive(request: HttpRequest, key: str) -> HttpResponse:
    """Put a flag away: its default becomes its answer for everybody. Says first who still asks for it."""
    flag = get_object_or_404(Flag, key=key)
    return _life(
        request,
        key,
        "archive",
        rules={"archived": True},
        act=archiving.archive,
        minds_others=True,
        shown={
            "readiness": archiving.readiness(flag),
            "dependents_left": Flag.objects.live().filter(requirements__requires=key).order_by("name"),
        },
    )


@console_view("GET", "POST")
def flag_restore(request: HttpRequest, key: str) -> HttpResponse:
    """Bring an archived flag back, with everything that was stored."""
    return _life(request, key, "restore", rules={"archived": False}, act=archiving.restore, minds_others=True)


def _life(
    request: HttpRequest,
    key: str,
    kind: str,
    *,
    rules: dict[str, bool],
    act: Callable[..., Any],
    needs_reason: bool = False,
    minds_others: bool = False,
    shown: dict[str, Any] | None = None,
) -> HttpResponse:
    """Bring what ends or begins a flag's working life through the gate. It is always asked about.

    With `minds_others` it is refused where somebody changed the flag since the drawer was drawn; a kill never is.
    """
    form = ChangeForm(sent(request))
    if not form.is_valid():
        return malformed(request, form)
    seen = {"version": form.cleaned_data["version"]} if minds_others else {}
    return _switch(
        request,
        form,
        key,
        kind,
        proposed=Proposed(key, rules=rules),
        act=lambda why: act(key, **seen, **why),
        shown=shown,
        always_asks=True,
        needs_reason=needs_reason,
    )


def _switch(
    request: HttpRequest,
    form: ChangeForm,
    key: str,
    kind: str,
    *,
    proposed: Proposed | None,
    act: Callable[[dict[str, Any]], Any],
    wrong: Invalid | None = None,
    name: str = "",
    shown: dict[str, Any] | None = None,
    finish: Callable[[], HttpResponse] | None = None,
    **gate: bool,
) -> HttpResponse:
    """Bring one switch of a flag through the gate. `name` tells its control from others of the flag."""
    get_object_or_404(Flag, key=key)
    name = name or kind
    home = reverse("console:flag_list") + f"#flag-{key}"
    back = way_back(request, form.cleaned_data["next"], home)

    def look() -> dict[str, Any]:
        flag = get_object_or_404(Flag, key=key)
        return {
            "flag": flag,
            "version": flag.version,
            "action": request.path,
            "drawer_id": f"drawer-{name}-{key}",
            "target": drawer_target(request, f"drawer-{name}-{key}"),
            "return_focus": focus_after(name, key, "default"),
            "close_url": back,
            **(shown or {}),
        }

    return through_gate(
        request,
        form,
        proposed=proposed,
        wrong=wrong,
        act=lambda: act({"actor": request.principal.user, "reason": form.cleaned_data["reason"]}),
        drawer=f"console/_flag_{kind}_drawer.html",
        look=look,
        finish=finish or (lambda: flag_changed(request, key, form.cleaned_data["place"], back)),
        **gate,
    )


def flag_changed(request: HttpRequest, key: str, place: str, back: str, **shown: Any) -> HttpResponse:
    """Answer after a flag or who has it was changed: with its row in the list, or with its page."""
    if place == "page":
        context, part, target = flag_context(request, key), "console/_flag_page.html", "#flag-page"
    else:
        [row] = overview.flag_rows([get_object_or_404(staleness.with_facts(Flag.objects.all()), key=key)])
        context, part, target = (
            {"row": row, "flag": row.look, "here": here(request)},
            "console/_flag_row.html",
            f"#flag-{key}",
        )
    return done(request, back=back, part=part, context=context | shown, target=target)
