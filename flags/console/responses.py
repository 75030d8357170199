"""How the console answers: a page, or the fragment of it that htmx asked for, with what just happened."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.text import capfirst
from django.views.decorators.cache import cache_control
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRedirect, reswap, retarget, trigger_client_event

from flags import history, reverting
from flags.exceptions import ChangeRefused, Conflict, Missing, NotAllowed
from flags.requests import HttpRequest
from flags.sentences import FieldChange, compared, sentence
from tenants import provenance
from tenants.access import super_admin_required, takes
from tenants.models import User

View = Callable[..., HttpResponseBase]

# What each of these verbs leaves in its place: what takes it back.
WAYS_BACK = {"kill": "revive", "archive": "restore", "pause": "resume"}
WAYS_BACK |= {back: verb for verb, back in WAYS_BACK.items()}

UNCHANGED = "Nothing to change: it already is so."


def console_view(*methods: str) -> Callable[[View], View]:
    """Open a view to super admins, for these methods only. Nothing of it is ever stored by a cache."""

    def opened(view: View) -> View:
        guarded = super_admin_required(takes(*methods)(view))
        return wraps(view)(cache_control(no_store=True)(vary_on_headers("HX-Request")(guarded)))

    return opened


def person(request: HttpRequest) -> User:
    """Return the super admin who asks; a view of the console has one."""
    user = request.principal.user
    assert user is not None
    return user


def wants_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks for a piece of the page it is on, rather than a browser for a whole one."""
    return bool(request.htmx) and not request.htmx.boosted and not request.htmx.history_restore_request


def came_by_itself(request: HttpRequest, place: str) -> bool:
    """Whether a page fetches the part of it at `place` for the first time: nobody asked, so nothing is announced."""
    return request.htmx.trigger == place


def here(request: HttpRequest) -> str:
    """Return the address of the page somebody is on, also while htmx fetches a piece of it."""
    return request.htmx.current_url_abs_path or request.get_full_path()


def sent(request: HttpRequest) -> QueryDict:
    """Return what was sent: the fields of a form, and beside them those of the address.

    The buttons of a long list share one form, so each says in its address which version of its row was seen.
    """
    said = request.GET.copy()
    for name, values in request.POST.lists():
        said.setlist(name, values)
    return said


def fragment(
    request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200, target: str = "", said: str = ""
) -> HttpResponse:
    """Answer htmx with a fragment; `target` says what it replaces as a whole, `said` what is read out.

    What just happened travels along and joins the toasts.
    """
    content = render_to_string(template, context, request)
    if messages.get_messages(request):
        content += render_to_string("components/_messages.html", {"oob": True, "here": here(request)}, request)
    response = HttpResponse(content, status=status)
    if target:
        reswap(retarget(response, target), "outerHTML")
    if said:
        trigger_client_event(response, "announce", {"text": said})
    return response


def page_or_fragment(
    request: HttpRequest, page: str, part: str, context: dict[str, Any], *, status: int = 200, said: str = ""
) -> HttpResponse:
    """Answer with the page, or with the part that it includes."""
    if wants_fragment(request):
        return fragment(request, part, context, status=status, said=said)
    return render(request, page, context, status=status)


def drawer_target(request: HttpRequest, drawer_id: str) -> str:
    """Return what the form in a drawer replaces: the drawer that htmx brought; nothing on a page of its own."""
    return f"#{drawer_id}" if wants_fragment(request) else ""


def focus_after(verb: str, key: str, *otherwise: str) -> str:
    """Return ids of a flag's controls: the first of them that is there has the focus after its drawer.

    First what opened it, then what takes that verb back, which stands in its place once it is done, then the others.
    """
    return " ".join(f"{name}-{key}" for name in dict.fromkeys((verb, WAYS_BACK.get(verb, verb), *otherwise)))


def malformed(request: HttpRequest, form: forms.Form) -> HttpResponse:
    """Answer what no page of ours would send: a page that names what is wrong. Where scripts run, a toast comes up."""
    labels = {name: form[name].label for name in form.fields}
    errors = [(labels.get(name, "Form"), " ".join(map(str, messages))) for name, messages in form.errors.items()]
    return render(request, "400.html", {"errors": errors}, status=400)


def way_back(request: HttpRequest, following: str, otherwise: str) -> str:
    """Return the address somebody came from, if it is one of this site."""
    is_ours = url_has_allowed_host_and_scheme(following, {request.get_host()}, request.is_secure())
    return following if following and is_ours else otherwise


def go_to(request: HttpRequest, address: str) -> HttpResponse:
    """Send somebody to another page, with and without scripts."""
    return HttpResponseClientRedirect(address) if wants_fragment(request) else redirect(address)


def status_of(refusal: ChangeRefused) -> int:
    """Return the status that a refused form is shown with again.

    Raises Http404 or PermissionDenied for what no form can mend: the thing is gone, or the right to change it.
    """
    if isinstance(refusal, Missing):
        raise Http404(refusal.detail) from refusal
    if isinstance(refusal, NotAllowed):
        raise PermissionDenied(refusal.detail) from refusal
    return refusal.status if refusal.status == 409 else 422


def both_values(refusal: ChangeRefused | None) -> list[FieldChange]:
    """Return, where somebody else was faster, what differs between how it is now and what was wanted here."""
    if not isinstance(refusal, Conflict):
        return []
    now, wanted = (_as_state(refusal.extra.get(side)) for side in ("current", "yours"))
    return compared(now, wanted)


def seen_by(form: forms.Form, refusal: ChangeRefused | None, now: str) -> str:
    """Return what a form is to say it saw: how things are `now` where that is shown, otherwise what it said before."""
    said = str(form["seen"].value() or "") if form.is_bound else ""
    return now if isinstance(refusal, Conflict) or not said else said


def _as_state(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    # A default stands for itself; "removed" and "inherited" say that nothing of its own was to be left.
    return {"default_enabled": value} if isinstance(value, bool) else {}


def say_what_changed(request: HttpRequest) -> str:
    """Leave a message with what history says this request did, and a way to take it back. Returns its words."""
    change = history.made_by_request(provenance.request_id.get())
    if change is None:
        messages.info(request, UNCHANGED)
        return UNCHANGED
    said = capfirst(sentence(change).deed) + "."
    undo = reverse("console:change_revert", args=[change.pk]) if reverting.can_revert(change) else ""
    messages.success(request, said, extra_tags=undo)
    return said


def done(request: HttpRequest, *, back: str, part: str, context: dict[str, Any], target: str) -> HttpResponse:
    """Answer after a change: the part of the page that changed, or the way back to it."""
    said = say_what_changed(request)
    if wants_fragment(request):
        return fragment(request, part, context, target=target, said=said)
    return redirect(back)
