"""No switch acts blindly: a change that alters an answer is shown with its impact first, and made when confirmed."""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse

from flags import changes
from flags.console.forms import ChangeForm
from flags.console.responses import both_values, page_or_fragment, status_of
from flags.exceptions import ChangeRefused, Invalid
from flags.impact import Proposed, impact
from flags.requests import HttpRequest


def through_gate(
    request: HttpRequest,
    form: ChangeForm,
    *,
    proposed: Proposed | None,
    act: Callable[[], Any],
    drawer: str,
    look: Callable[[], dict[str, Any]],
    finish: Callable[[], HttpResponse],
    always_asks: bool = False,
    needs_reason: bool = False,
    wrong: Invalid | None = None,
) -> HttpResponse:
    """Ask about a change, make it, or say why it was refused, whatever the request is about.

    A POST makes it at once, unless it asks (`ask`) and there is something to see: an answer that would change, a
    reason that is required, or a change that `always_asks`. `proposed` is None for what moves no answer. `act` makes
    the change, `finish` answers after it. `drawer` is the template that asks, and `look` reads afresh what stands in
    it, so that a refused change is shown beside how things are now; what was typed stays. `wrong` is what a form typed
    by hand holds that cannot be: nothing is done, and the drawer says so at its field.
    """
    needs_reason = needs_reason or changes.reason_is_required()
    refusal: ChangeRefused | None = wrong
    effects = impact(proposed) if proposed is not None else None
    worth_asking = always_asks or needs_reason or (effects is not None and not effects.alters_nothing)
    if request.method == "POST" and wrong is None and not (form.asks and worth_asking):
        try:
            act()
        except ChangeRefused as refused:
            refusal = refused
            effects = impact(proposed) if proposed is not None else None
        else:
            return finish()
    context = {
        **look(),
        "form": form,
        "effect": effects.effect if effects is not None else None,
        "dependents": effects.dependents if effects is not None else [],
        "needs_reason": needs_reason,
        "refusal": refusal,
        "both": both_values(refusal),
        "drawer": drawer,
    }
    status = 200 if refusal is None else status_of(refusal)
    return page_or_fragment(request, "console/flag_gate.html", drawer, context, status=status)
