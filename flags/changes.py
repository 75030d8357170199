"""Every change to flags and to who has them. All doors call these verbs here, whichever file they live in.

Each verb takes its witness by keyword (`actor`), checks authority, locks, writes, and adds one line of history, in one
transaction. What changes nothing is silent. All raise the refusals of flags.exceptions, and nothing is half written.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.utils import timezone

from flags import gatekeeping, usage
from flags.exceptions import ChangeRefused, Invalid, Missing
from flags.grants import grant as grant  # One door for every verb, whichever file it lives in.
from flags.grants import revoke as revoke
from flags.grants import stamp_of_grant as stamp_of_grant
from flags.models import KEY, KEY_PATTERN, ChannelDefault, Flag, Requirement, RetiredKey
from flags.optins import remove_opt_in as remove_opt_in
from flags.optins import set_opt_in as set_opt_in
from flags.overrides import Outcome as Outcome
from flags.overrides import Wish as Wish
from flags.overrides import remove_override as remove_override
from flags.overrides import set_override as set_override
from flags.overrides import set_overrides as set_overrides
from flags.recording import (
    Actor,
    actor_user,
    authorise,
    check_version,
    clean_reason,
    clean_text,
    locked_flag,
    record,
    validate,
    writing,
)
from flags.repeating import verb
from tenants.models import Plan, ReleaseChannel

WRITE = "flags:write"
EDITABLE = (
    "name",
    "description",
    "category",
    "owner",
    "metadata",
    "is_internal",
    "is_killswitch",
    "needs_grant",
    "is_self_service",
)
UNSET: Any = object()
RESERVED_KEYS = ("new", "check")
"""What stands where a key does in /super-admin/feature-flags/new/ and /api/features/check."""


def _save(flag: Flag, *fields: str) -> None:
    flag.version += 1
    flag.save(update_fields=[*fields, "version", "updated_at"])


# Flags


@verb
def create_flag(key: str, *, actor: Actor, reason: str = "", enabled: bool = False, **fields: Any) -> Flag:
    """Make a flag, off unless said otherwise (seed 001: always start disabled).

    `fields` are those of `edit_flag`; `name` defaults to the key in words. Raises Invalid, or ChangeRefused for a key
    that is taken or was ever used.
    """
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    if not isinstance(key, str) or not re.fullmatch(KEY_PATTERN, key):
        raise Invalid(f"{key!r} is no key. {KEY.message}", errors={"key": [str(KEY.message)]})
    if key in RESERVED_KEYS:
        raise Invalid(
            f"{key!r} is an address of Headgate's own. Choose another key.", errors={"key": ["Choose another."]}
        )
    with writing("create a flag"):
        if RetiredKey.objects.filter(key=key).exists():
            raise ChangeRefused(
                f"The key {key!r} belonged to a flag that was deleted. Choose another: a key is never used twice.",
                code="KEY_RETIRED",
                errors={"key": ["This key was used before."]},
            )
        if Flag.objects.filter(key=key).exists():
            raise ChangeRefused(
                f"There already is a flag {key!r}.", code="KEY_TAKEN", errors={"key": ["This key is taken."]}
            )
        requires = fields.pop("requires", ())
        fields.setdefault("name", str(key).replace("_", " ").strip().capitalize()[:120])
        flag = Flag(key=key, default_enabled=enabled)
        _assign(flag, fields)
        validate(flag)
        flag.save(force_insert=True)
        _set_requirements(flag, requires)
        record("create_flag", actor=actor, flag=flag, before={}, after=_state(flag, requires), reason=reason)
    return flag


@verb
def edit_flag(key: str, *, actor: Actor, reason: str = "", version: int | None = None, **fields: Any) -> Flag:
    """Change what a flag is: name, description, category, owner, metadata, is_internal, is_killswitch, needs_grant,
    is_self_service, minimum_plan (a slug or None), requires (keys). Raises Invalid for anything else.
    """
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    with writing("edit a flag"):
        flag = locked_flag(key)
        old_requires = sorted(flag.requires.values_list("key", flat=True))
        before, was_killed = _state(flag, old_requires), flag.is_killed
        check_version(flag.version, version, thing=f"the flag {key!r}", current=before, yours=fields)
        requires = fields.pop("requires", UNSET)
        _assign(flag, fields)
        validate(flag)
        new_requires = old_requires
        if requires is not UNSET:
            new_requires = sorted(set(requires))
        after = _state(flag, new_requires)
        if before == after:
            return flag
        if new_requires != old_requires:
            _set_requirements(flag, new_requires)
        if was_killed and not flag.is_killed:
            gatekeeping.reentered(flag)
        _save(flag, *EDITABLE, "minimum_plan")
        record("edit_flag", actor=actor, flag=flag, before=before, after=after, reason=reason)
    return flag


def _state(flag: Flag, requires: Sequence[str]) -> dict[str, Any]:
    state = {name: getattr(flag, name) for name in EDITABLE}
    return state | {
        "default_enabled": flag.default_enabled,
        "minimum_plan": flag.minimum_plan_id,
        "requires": sorted(requires),
    }


def _assign(flag: Flag, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        if name == "minimum_plan":
            slug = value.pk if isinstance(value, Plan) else value
            if slug is not None and not Plan.objects.filter(pk=slug).exists():
                raise Invalid(f"There is no plan {slug!r}.", errors={"minimum_plan": ["Unknown plan."]})
            flag.minimum_plan_id = slug
        elif name == "metadata":
            if not isinstance(value, dict):
                raise Invalid("Metadata is a JSON object.", errors={"metadata": ["Give a JSON object."]})
            if len(str(value)) > 20_000:
                raise Invalid("The metadata is too long.", errors={"metadata": ["At most 20,000 characters."]})
            flag.metadata = value
        elif name in ("name", "category", "owner", "description"):
            longest = getattr(Flag._meta.get_field(name), "max_length", None) or 5000
            required = name in ("name", "category")
            setattr(
                flag, name, clean_text(value, name, longest=longest, required=required, lines=name == "description")
            )
        elif name in EDITABLE:
            if not isinstance(value, bool):
                raise Invalid(f"{name} is true or false.", errors={name: ["Say true or false."]})
            setattr(flag, name, value)
        else:
            raise Invalid(f"A flag's {name!r} cannot be changed here.", errors={name: ["Not a field to change."]})


def _set_requirements(flag: Flag, keys: Sequence[str]) -> None:
    wanted = set(keys)
    known = set(Flag.objects.filter(key__in=wanted).values_list("key", flat=True))
    for missing in sorted(wanted - known):
        raise Invalid(f"There is no flag {missing!r} to require.", errors={"requires": [f"No flag {missing!r}."]})
    others: dict[str, list[str]] = {}
    for one, required in Requirement.objects.exclude(flag=flag).values_list("flag_id", "requires_id"):
        others.setdefault(one, []).append(required)
    circle = _path(others, wanted, flag.key)
    if circle:
        path = " → ".join([flag.key, *circle])
        raise Invalid(f"These flags would require each other: {path}.", errors={"requires": [f"A circle: {path}."]})
    Requirement.objects.filter(flag=flag).exclude(requires__in=wanted).delete()
    present = set(Requirement.objects.filter(flag=flag).values_list("requires_id", flat=True))
    for required in sorted(wanted - present):
        Requirement.objects.create(flag=flag, requires_id=required)


def _path(edges: Mapping[str, Sequence[str]], starts: set[str], goal: str) -> list[str]:
    """Return the way from any start to the goal along requirements, or nothing."""
    waiting: list[list[str]] = [[start] for start in sorted(starts)]
    seen: set[str] = set()
    while waiting:
        way = waiting.pop()
        if way[-1] == goal:
            return way
        if way[-1] not in seen:
            seen.add(way[-1])
            waiting.extend([*way, following] for following in edges.get(way[-1], ()))
    return []


@verb
def delete_flag(key: str, *, actor: Actor, reason: str = "", version: int | None = None) -> None:
    """Delete a flag with its answers and grants. Its key is never free again.

    Raises ChangeRefused, naming the dependents, if others require it.
    """
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    with writing("delete a flag"):
        usage.hold_still()
        flag = locked_flag(key)
        dependents = sorted(flag.requirements_of_others.values_list("flag_id", flat=True))
        if dependents:
            raise ChangeRefused(
                f"{', '.join(dependents)} require{'s' if len(dependents) == 1 else ''} {key!r}. Change that first.",
                code="FLAG_IS_REQUIRED",
                dependents=dependents,
            )
        before = _state(flag, list(flag.requires.values_list("key", flat=True)))
        check_version(flag.version, version, thing=f"the flag {key!r}", current=before, yours="deleted")
        record("delete_flag", actor=actor, flag=flag, before=before, after={}, reason=reason)
        flag.delete()


@verb
def set_default(
    key: str,
    enabled: bool,
    *,
    actor: Actor,
    reason: str = "",
    version: int | None = None,
    batch: uuid.UUID | None = None,
) -> Flag:
    """Turn a flag on or off for every company that has no answer of its own (rule 10)."""
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    with writing("set a default"):
        flag = locked_flag(key)
        before = {"default_enabled": flag.default_enabled, "default_source": flag.default_source}
        check_version(flag.version, version, thing=f"the flag {key!r}", current=flag.default_enabled, yours=enabled)
        if enabled and not flag.default_enabled:
            gatekeeping.refuse_default(flag)
        flag.default_enabled, flag.is_default_set = enabled, True
        after = {"default_enabled": enabled, "default_source": flag.default_source}
        if before != after:
            _save(flag, "default_enabled", "is_default_set")
            record("set_default", actor=actor, flag=flag, before=before, after=after, reason=reason, batch=batch)
    return flag


@verb
def inherit_default(key: str, *, actor: Actor, reason: str = "", version: int | None = None) -> Flag:
    """Let a flag's default be what the environment, or else the catalogue, says."""
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    with writing("inherit a default"):
        flag = locked_flag(key)
        if not flag.inherited_from:
            raise ChangeRefused(
                f"Neither the environment nor the catalogue knows {key!r}, so there is nothing to inherit.",
                code="NOTHING_TO_INHERIT",
            )
        before = {"default_enabled": flag.default_enabled, "default_source": flag.default_source}
        check_version(flag.version, version, thing=f"the flag {key!r}", current=before, yours="inherited")
        if flag.inherited_enabled and not flag.default_enabled:
            gatekeeping.refuse_default(flag)
        flag.default_enabled, flag.is_default_set = flag.inherited_enabled, False
        after = {"default_enabled": flag.default_enabled, "default_source": flag.default_source}
        if before != after:
            _save(flag, "default_enabled", "is_default_set")
            record("inherit_default", actor=actor, flag=flag, before=before, after=after, reason=reason)
    return flag


@verb
def set_channel(
    key: str,
    channel: str,
    enabled: bool,
    *,
    percentage: int = 100,
    actor: Actor,
    reason: str = "",
    version: int | None = None,
    batch: uuid.UUID | None = None,
) -> ChannelDefault:
    """Give a flag an answer for one release channel: off, or on for a percentage of its companies (rule 9).

    Raises ChangeRefused where a release is under way whose gates stand before this channel.
    """
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    if isinstance(percentage, bool) or not isinstance(percentage, int) or not 0 <= percentage <= 100:
        raise Invalid("A percentage is a whole number from 0 to 100.", errors={"percentage": ["0 to 100."]})
    with writing("set a channel's answer"):
        flag = locked_flag(key)
        if not ReleaseChannel.objects.filter(pk=channel).exists():
            raise Missing(f"There is no release channel {channel!r}.", code="CHANNEL_NOT_FOUND")
        row = ChannelDefault.objects.filter(flag=flag, channel=channel).first()
        before = {} if row is None else {"enabled": row.enabled, "percentage": row.percentage}
        after = {"enabled": enabled, "percentage": percentage}
        check_version(flag.version, version, thing=f"the flag {key!r}", current=before, yours=after)
        if enabled and gatekeeping.is_promotion(flag, channel):
            # While a release is under way, switching a later channel on is a promotion, by whatever door.
            gatekeeping.promote_to(flag, channel, percentage=percentage, actor=actor, reason=reason, batch=batch)
            return ChannelDefault.objects.get(flag=flag, channel=channel)
        row = row or ChannelDefault(flag=flag, channel_id=channel)
        if before != after:
            if enabled and percentage and not (before.get("enabled") and before["percentage"]):
                gatekeeping.reentered(flag, channel)
            row.enabled, row.percentage = enabled, percentage
            row.save()
            _save(flag)
            record(
                "set_channel",
                actor=actor,
                flag=flag,
                before={"channel": channel, **before},
                after={"channel": channel, **after},
                reason=reason,
                batch=batch,
                keep=("channel", "enabled"),
            )
    return row


@verb
def remove_channel(
    key: str,
    channel: str,
    *,
    actor: Actor,
    reason: str = "",
    version: int | None = None,
    batch: uuid.UUID | None = None,
) -> None:
    """Take a channel's answer away; its companies fall back to the default. Silent where there is none."""
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    with writing("remove a channel's answer"):
        flag = locked_flag(key)
        if not ReleaseChannel.objects.filter(pk=channel).exists():
            raise Missing(f"There is no release channel {channel!r}.", code="CHANNEL_NOT_FOUND")
        row = ChannelDefault.objects.filter(flag=flag, channel=channel).first()
        if row is not None:
            gatekeeping.refuse_removal(flag, channel)
            before = {"channel": channel, "enabled": row.enabled, "percentage": row.percentage}
            check_version(flag.version, version, thing=f"the flag {key!r}", current=before, yours="removed")
            row.delete()
            _save(flag)
            record("remove_channel", actor=actor, flag=flag, before=before, after={}, reason=reason, batch=batch)


@verb
def kill(key: str, *, actor: Actor, reason: str) -> Flag:
    """Turn a flag off for everybody, super admins too, keeping everything stored (rule 2). A reason is required."""
    authorise(actor, WRITE)
    reason = clean_reason(reason, always=True)
    with writing("kill a flag"):
        flag = locked_flag(key)
        if flag.killed_at is None:
            flag.killed_at, flag.killed_by, flag.kill_reason = timezone.now(), actor_user(actor), reason
            _save(flag, "killed_at", "killed_by", "kill_reason")
            record("kill", actor=actor, flag=flag, before={"killed": False}, after={"killed": True}, reason=reason)
    return flag


@verb
def revive(key: str, *, actor: Actor, reason: str) -> Flag:
    """Take the kill back: exactly the state before it returns. A reason is required."""
    authorise(actor, WRITE)
    reason = clean_reason(reason, always=True)
    with writing("revive a flag"):
        flag = locked_flag(key)
        if flag.killed_at is not None:
            gatekeeping.revived(flag, flag.killed_at)
            flag.killed_at, flag.killed_by, flag.kill_reason = None, None, ""
            _save(flag, "killed_at", "killed_by", "kill_reason")
            record("revive", actor=actor, flag=flag, before={"killed": True}, after={"killed": False}, reason=reason)
        elif flag.is_killed:
            raise ChangeRefused(
                f"Nobody pulled {key!r}: it is a kill switch, and off while its default is off. Turn the default on.",
                code="KILL_SWITCH_RESTS_ON_OFF",
            )
    return flag


def reason_is_required() -> bool:
    """Whether ordinary changes need a reason, so that doors can say so before it is missing."""
    return bool(settings.FLAGS_REQUIRE_REASON)
