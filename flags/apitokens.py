"""Making and ending API tokens, in history. Built like `changes`; what a token is stands in `tenants.tokens`."""

from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone

from flags.exceptions import Invalid, NotAllowed
from flags.recording import Actor, actor_user, authorise, clean_expiry, clean_text, record, writing
from flags.repeating import verb
from tenants import tokens
from tenants.models import ApiToken, Company

WRITE = "tenants:write"


@verb
def create_token(
    name: str,
    *,
    actor: Actor,
    kind: str = ApiToken.Kind.SERVER,
    scopes: Sequence[str] = ("evaluate",),
    company: Company | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """Make a token; returns it with its secret, which is kept nowhere. Raises Invalid. Super admins only."""
    if isinstance(actor, ApiToken):
        raise NotAllowed("A token cannot make tokens. A super admin can.")
    authorise(actor, WRITE)
    name = clean_text(name, "name", longest=80, required=True)
    if kind not in ApiToken.Kind.values:
        raise Invalid(f"There is no kind of token {kind!r}.", errors={"kind": ["server or client."]})
    unknown = sorted(set(scopes) - set(tokens.SCOPES))
    if unknown:
        raise Invalid(f"There is no scope {unknown[0]!r}.", errors={"scopes": [f"From {', '.join(tokens.SCOPES)}."]})
    if kind == ApiToken.Kind.CLIENT and company is None:
        raise Invalid("A client key is bound to a company. Name one.", errors={"company": ["Name a company."]})
    if kind == ApiToken.Kind.CLIENT and set(scopes) != {"evaluate"}:
        raise Invalid("A client key may evaluate and nothing else.", errors={"scopes": ["Only evaluate."]})
    if not scopes:
        raise Invalid("A token without a scope can do nothing.", errors={"scopes": ["Choose at least one."]})
    clean_expiry(expires_at)
    with writing("create a token"):
        token, secret = tokens.mint(
            name=name,
            kind=kind,
            scopes=sorted(set(scopes)),
            company=company,
            created_by=actor_user(actor),
            expires_at=expires_at,
        )
        after = {"name": name, "kind": kind, "scopes": token.scopes, "expires_at": expires_at}
        record("create_token", actor=actor, company=company, before={}, after=after)
    return token, secret


@verb
def revoke_token(token: ApiToken, *, actor: Actor, reason: str = "") -> bool:
    """End a token at once. Returns whether it was still good."""
    if isinstance(actor, ApiToken) and actor.pk != token.pk:
        raise NotAllowed("A token can end only itself. A super admin can end any.")
    if not isinstance(actor, ApiToken):
        authorise(actor, WRITE)
    reason = clean_text(reason, "reason", longest=500)
    with writing("revoke a token"):
        found = ApiToken.objects.select_for_update(of=("self",)).get(pk=token.pk)
        if found.revoked_at is not None:
            return False
        found.revoked_at = timezone.now()
        found.save(update_fields=["revoked_at"])
        record("revoke_token", actor=actor, company=found.company, before={"name": found.name}, after={}, reason=reason)
    return True
