"""The board: every release under way, by channel; and the way to start another."""

from typing import Any
from urllib.parse import urlsplit

from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse

from flags import overview
from flags.board import board
from flags.console.releaseforms import BoardFilterForm, PickFlagForm
from flags.console.responses import console_view, fragment, here, page_or_fragment
from flags.models import Flag
from flags.requests import HttpRequest

SUGGESTED = 12


@console_view("GET")
def release_board(request: HttpRequest) -> HttpResponse:
    """Every release under way, in columns by channel, with search in the address."""
    context = board_context(request)
    total = context["board"].total
    said = f"{total} release{'' if total == 1 else 's'}"
    return page_or_fragment(request, "console/release_board.html", "console/_release_board.html", context, said=said)


def board_context(request: HttpRequest) -> dict[str, Any]:
    """Return what the board shows, for the search in the address that somebody is on."""
    address = request.get_full_path() if request.method == "GET" else here(request)
    filters = BoardFilterForm(QueryDict(urlsplit(address).query)).filters()
    home = reverse("console:release_board")
    return {"board": board(**filters), "filters": filters, "here": address if filters else home}


@console_view("GET")
def release_pick(request: HttpRequest) -> HttpResponse:
    """Find the flag whose release shall start, and go on to it. `suggest` names candidates while one types."""
    text = PickFlagForm(request.GET).filters().get("flag", "")
    found = overview.find_flags(q=text, viewer=request.principal.user).order_by("name", "key")
    if "suggest" in request.GET:
        return fragment(request, "console/_release_options.html", {"flags": found[:SUGGESTED] if text else []})
    flag = _meant(text, found[: SUGGESTED + 1])
    if flag is not None:
        return redirect(
            f"{reverse('console:release_start', args=[flag.key])}?place=board&next={reverse('console:release_board')}"
        )
    context = board_context(request) | {"picked": text, "not_found": bool(text), "near": found[:SUGGESTED]}
    return render(request, "console/release_board.html", context, status=422 if text else 200)


def _meant(text: str, candidates: Any) -> Flag | None:
    """Return the flag with exactly this key or name, or the only one that comes near."""
    found = list(candidates) if text else []
    exact = [flag for flag in found if text.lower() in (flag.key, flag.name.lower())]
    wanted = exact or found
    return wanted[0] if len(wanted) == 1 else None
