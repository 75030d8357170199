"""Who of a company may use what it has (rules 11 and 12). `changes` is their door."""

import uuid
from datetime import datetime
from typing import Any

from flags.exceptions import Invalid
from flags.models import Grant
from flags.recording import (
    Actor,
    actor_user,
    authorise,
    check_seen,
    clean_expiry,
    clean_reason,
    locked_flag,
    record,
    stamp,
    writing,
)
from flags.repeating import verb
from tenants.models import Company, Membership, User

WRITE = "tenants:write"


@verb
def grant(
    company: Company,
    user: User,
    key: str,
    *,
    enabled: bool = True,
    actor: Actor,
    reason: str = "",
    expires_at: datetime | None = None,
    batch: uuid.UUID | None = None,
    seen: str | None = None,
) -> Grant:
    """Let one person use, or with `enabled=False` not use, what the company has (rules 11 and 12).

    Raises Invalid for somebody who is not of the company: a grant never widens it; Conflict if `seen`, the
    `stamp_of_grant` of what they held, is out of date.
    """
    authorise(actor, WRITE, company)
    reason = clean_reason(reason)
    with writing("grant a feature"):
        flag = locked_flag(key)
        if not Membership.objects.filter(company=company, user=user).exists():
            raise Invalid(
                f"{user} does not belong to {company.name}. Add them first.", errors={"user": ["Not of this company."]}
            )
        row = Grant.objects.filter(company=company, user=user, flag=flag).first()
        before = {} if row is None else _grant_state(row)
        after = {"user": user.email, "enabled": enabled, "reason": reason, "expires_at": expires_at}
        check_seen(before, seen, thing=f"what {user} holds of {flag.name}", yours=after)
        if row is None or row.expires_at != expires_at:
            clean_expiry(expires_at)
        row = row or Grant(company=company, user=user, flag=flag)
        if before != after:
            row.enabled, row.reason, row.expires_at = enabled, reason, expires_at
            row.created_by = actor_user(actor)
            row.save()
            record(
                "grant",
                actor=actor,
                flag=flag,
                company=company,
                before=before,
                after=after,
                reason=reason,
                batch=batch,
                keep=("user", "enabled"),
            )
    return row


@verb
def revoke(
    company: Company,
    user: User,
    key: str,
    *,
    actor: Actor,
    reason: str = "",
    batch: uuid.UUID | None = None,
    seen: str | None = None,
) -> bool:
    """Take a person's grant, or denial, away. Returns whether there was one. Raises Conflict like `grant`."""
    authorise(actor, WRITE, company)
    reason = clean_reason(reason)
    with writing("revoke a grant"):
        flag = locked_flag(key)
        row = Grant.objects.filter(company=company, user=user, flag=flag).first()
        if row is None:
            return False
        before = _grant_state(row)
        check_seen(before, seen, thing=f"what {user} holds of {flag.name}", yours={})
        row.delete()
        record("revoke", actor=actor, flag=flag, company=company, before=before, after={}, reason=reason, batch=batch)
    return True


def stamp_of_grant(row: Grant | None) -> str:
    """Return what a form carries of what a person holds, or of nothing, to say later what it saw."""
    return stamp({} if row is None else _grant_state(row))


def _grant_state(row: Grant) -> dict[str, Any]:
    return {"user": row.user.email, "enabled": row.enabled, "reason": row.reason, "expires_at": row.expires_at}
