"""API tokens: the list, making one, ending one. A secret is in one answer, and nowhere else."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from flags import apitokens, overview, roster
from flags.console.companyforms import TOKEN_STATES, NewTokenForm, TokenFilterForm
from flags.console.forms import ChangeForm, check_typed
from flags.console.paging import address
from flags.console.responses import (
    console_view,
    done,
    drawer_target,
    here,
    malformed,
    page_or_fragment,
    sent,
    status_of,
)
from flags.exceptions import ChangeRefused
from flags.keyset import stretch
from flags.requests import HttpRequest
from tenants.models import ApiToken

TOKENS_PER_PAGE = 50


@console_view("GET")
def token_list(request: HttpRequest) -> HttpResponse:
    """Every API token: what it may do, for whom, since when and until when."""
    filters = TokenFilterForm(request.GET).filters()
    state = filters.get("state", "")
    cursors = {name: filters[name] for name in ("after", "before") if name in filters}
    page = stretch(roster.find_tokens(state=state), ("created_at", "id"), TOKENS_PER_PAGE, descending=True, **cursors)
    context = {
        "tokens": page.rows,
        "choices": [
            {"label": label, "url": address(request, state=value, after=None, before=None), "current": value == state}
            for value, label in TOKEN_STATES
        ],
        "state": state,
        "now": timezone.now(),
        "previous": address(request, before=page.previous, after=None) if page.previous else None,
        "next": address(request, after=page.next, before=None) if page.next else None,
        "here": here(request),
    }
    said = f"{len(page.rows)} token{'' if len(page.rows) == 1 else 's'}"
    return page_or_fragment(request, "console/token_list.html", "console/_token_list.html", context, said=said)


@sensitive_variables("secret", "context")
@console_view("GET", "POST")
def token_new(request: HttpRequest) -> HttpResponse:
    """Make a token. The answer holds its secret, once: it is kept neither here nor in the session."""
    form = NewTokenForm(request.POST if request.method == "POST" else None)
    refusal: ChangeRefused | None = None
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        company = overview.find_company(said["company"]) if said["company"] else None
        form.take_company(company)
        if not form.errors:
            try:
                token, secret = apitokens.create_token(
                    said["name"],
                    actor=request.principal.user,
                    kind=said["kind"],
                    scopes=said["scopes"],
                    company=company,
                    expires_at=said["expires_at"],
                )
            except ChangeRefused as refused:
                refusal = refused
            else:
                return render(request, "console/token_created.html", {"token": token, "secret": secret})
    form.take(refusal)
    status = status_of(refusal) if refusal is not None else 422 if form.errors else 200
    return render(request, "console/token_form.html", {"form": form}, status=status)


@console_view("GET", "POST")
def token_revoke(request: HttpRequest, pk: UUID) -> HttpResponse:
    """End a token at once."""
    token = get_object_or_404(ApiToken.objects.select_related("company", "created_by"), pk=pk)
    form = ChangeForm(sent(request))
    if not form.is_valid():
        return malformed(request, form)
    refusal: ChangeRefused | None = None
    if request.method == "POST":
        try:
            if token.revoked_at is None:
                check_typed(form, token.name, "Revoking a token")
            apitokens.revoke_token(token, actor=request.principal.user, reason=form.cleaned_data["reason"])
        except ChangeRefused as refused:
            refusal = refused
        else:
            token.refresh_from_db()
            return done(
                request,
                back=reverse("console:token_list"),
                part="console/_token_row.html",
                context={"token": token, "now": timezone.now(), "here": here(request)},
                target=f"#token-{pk}",
            )
    context: dict[str, Any] = {
        "token": token,
        "form": form,
        "refusal": refusal,
        "action": request.path,
        "drawer": "console/_token_revoke_drawer.html",
        "drawer_id": f"drawer-revoke-{pk}",
        "target": drawer_target(request, f"drawer-revoke-{pk}"),
        "return_focus": f"revoke-{pk} token-{pk}",
        "close_url": reverse("console:token_list"),
    }
    status = 200 if refusal is None else status_of(refusal)
    return page_or_fragment(request, "console/token_gate.html", context["drawer"], context, status=status)
