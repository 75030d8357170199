"""Several changes of one flag as one: all of them, or none. Built from the verbs of `changes`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flags import changes
from flags.changes import UNSET
from flags.models import Flag, Override
from flags.recording import Actor, writing
from flags.repeating import verb
from tenants.models import Company

Channels = Mapping[str, Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a flag: the flag, whether it is new, and the override where a company was named."""

    flag: Flag
    is_new: bool
    override: Override | None = None


@verb
def revise_flag(
    key: str,
    *,
    actor: Actor,
    reason: str = "",
    version: int | None = None,
    default_enabled: bool | None = UNSET,
    channels: Channels | None = None,
    **fields: Any,
) -> Flag:
    """Change what a flag is, its default and its channels' answers, in one transaction.

    `default_enabled` None inherits the default again. `channels` maps slugs to {"enabled", "percentage"}, None taking
    the answer away; those not named stay. `fields` are those of `changes.edit_flag`, and so are the refusals.
    """
    with writing("revise a flag"):
        changes.edit_flag(key, actor=actor, reason=reason, version=version, **fields)
        if default_enabled is None:
            changes.inherit_default(key, actor=actor, reason=reason)
        elif default_enabled is not UNSET:
            changes.set_default(key, default_enabled, actor=actor, reason=reason)
        for slug, answer in (channels or {}).items():
            if answer is None:
                changes.remove_channel(key, slug, actor=actor, reason=reason)
            else:
                changes.set_channel(
                    key,
                    slug,
                    answer["enabled"],
                    percentage=answer.get("percentage", 100),
                    actor=actor,
                    reason=reason,
                )
        return Flag.objects.get(pk=key)


@verb
def put_flag(
    key: str,
    enabled: bool,
    *,
    actor: Actor,
    company: Company | None = None,
    reason: str = "",
    version: int | None = None,
    **fields: Any,
) -> Outcome:
    """Set any flag (seed 003): its default, or one company's answer; makes the flag if there is none yet.

    A flag made for one company is off for all others. `version` is the flag's, or with a company the override's.
    `description` describes the flag; for one company it is the note on the override where there is no `reason`.
    """
    with writing("set a flag"):
        is_new = not Flag.objects.filter(key=key).exists()
        if company is None:
            if is_new:
                flag = changes.create_flag(key, actor=actor, reason=reason, enabled=enabled, **fields)
            else:
                flag = revise_flag(key, actor=actor, reason=reason, version=version, default_enabled=enabled, **fields)
            return Outcome(flag, is_new)
        if is_new:
            changes.create_flag(key, actor=actor, reason=reason, **fields)
        note = reason or fields.get("description", "")
        override = changes.set_override(company, key, enabled, actor=actor, reason=note, version=version)
        return Outcome(Flag.objects.get(pk=key), is_new, override)
