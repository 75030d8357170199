"""A company's own answers: set, replaced, taken away, one or many at once (rule 6). `changes` is their door."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flags.exceptions import ChangeRefused, Invalid
from flags.models import Flag, Override
from flags.recording import (
    Actor,
    actor_user,
    authorise,
    check_version,
    clean_expiry,
    clean_reason,
    locked_flag,
    record,
    writing,
)
from flags.repeating import verb
from tenants.models import Company

WRITE = ("flags:write", "tenants:write")


def _override_state(override: Override | None) -> dict[str, Any]:
    if override is None:
        return {}
    return {
        "enabled": override.enabled,
        "reason": override.reason,
        "expires_at": override.expires_at,
        "paused": override.paused,
    }


def _locked(company: Company, flag: Flag) -> Override | None:
    # Without the order in which lists have them: it would join the company, and lock it too.
    return Override.objects.select_for_update().filter(company=company, flag=flag).order_by("pk").first()


@verb
def set_override(
    company: Company,
    key: str,
    enabled: bool,
    *,
    actor: Actor,
    reason: str = "",
    expires_at: datetime | None = None,
    paused: bool = False,
    version: int | None = None,
    batch: uuid.UUID | None = None,
) -> Override:
    """Give a company its own answer (rule 6), until `expires_at` if given. Replaces the one it has.

    `version` is that of the override one saw, 0 for none. Raises Conflict when it is another by now.
    """
    authorise(actor, WRITE, company)
    reason = clean_reason(reason)
    if not isinstance(enabled, bool):
        raise Invalid("enabled is true or false.", errors={"enabled": ["Say true or false."]})
    with writing("set an override"):
        flag = locked_flag(key)
        override = _locked(company, flag)
        before = _override_state(override)
        after = {"enabled": enabled, "reason": reason, "expires_at": expires_at, "paused": paused}
        stored = 0 if override is None else override.version
        check_version(stored, version, thing=f"the override for {company.name}", current=before, yours=after)
        if before == after and override is not None:
            return override
        if override is None or override.expires_at != expires_at:
            clean_expiry(expires_at)
        if override is None:
            override = Override(company=company, flag=flag, version=0)
        override.enabled, override.reason, override.expires_at = enabled, reason, expires_at
        override.paused, override.created_by = paused, actor_user(actor)
        override.version += 1
        override.save()
        record(
            "set_override",
            actor=actor,
            flag=flag,
            company=company,
            before=before,
            after=after,
            reason=reason,
            batch=batch,
            keep=("enabled",),
        )
    return override


@verb
def remove_override(
    company: Company,
    key: str,
    *,
    actor: Actor,
    reason: str = "",
    version: int | None = None,
    batch: uuid.UUID | None = None,
) -> bool:
    """Take a company's own answer away; it inherits again. Returns whether there was one."""
    authorise(actor, WRITE, company)
    reason = clean_reason(reason)
    with writing("remove an override"):
        flag = locked_flag(key)
        override = _locked(company, flag)
        if override is None:
            return False
        before = _override_state(override)
        check_version(
            override.version, version, thing=f"the override for {company.name}", current=before, yours="removed"
        )
        override.delete()
        record(
            "remove_override",
            actor=actor,
            flag=flag,
            company=company,
            before=before,
            after={},
            reason=reason,
            batch=batch,
        )
    return True


@dataclass(frozen=True, slots=True)
class Wish:
    """One row of a batch of overrides."""

    company: Company
    key: str
    enabled: bool
    reason: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a batch did: its id in history, and how many rows it changed and left as they were."""

    batch: uuid.UUID
    changed: int
    unchanged: int


@verb
def set_overrides(wishes: Sequence[Wish], *, actor: Actor, reason: str = "") -> Outcome:
    """Set many overrides in one transaction and one batch of history. All or nothing.

    A row that is refused raises its refusal with `index` (from 0) in `extra`. `reason` serves rows without their own.
    """
    batch = uuid.uuid4()
    changed = 0
    with writing("set many overrides"):
        for index, wish in enumerate(wishes):
            try:
                before = Override.objects.filter(company=wish.company, flag=wish.key).values_list("version").first()
                override = set_override(
                    wish.company,
                    wish.key,
                    wish.enabled,
                    actor=actor,
                    reason=wish.reason or reason,
                    expires_at=wish.expires_at,
                    batch=batch,
                )
                changed += before is None or before[0] != override.version
            except ChangeRefused as refusal:
                refusal.extra["index"] = index
                refusal.detail = f"Row {index}: {refusal.detail}"
                raise
    return Outcome(batch, changed, len(wishes) - changed)
