"""History as people read it: a Change as a sentence in parts, and its fields as old and new. Pure; reads no database.

Console, company pages and exports all say it in these words. A part names what it is, so that a page can link it and
an export can join the texts.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from string import Formatter
from typing import Any

from django.utils.dateparse import parse_datetime

from flags.models import Change

State = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A few words of a sentence. `kind` is text, flag, company or person; `ref` the key or slug to link to."""

    kind: str
    text: str
    ref: str = ""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Who did what to which thing, for whom, until when and why.

    `tone` is on, off, danger or info and `icon` its sign; `until` an aware datetime or None.
    """

    actor: str
    parts: tuple[Part, ...]
    until: datetime | None
    reason: str
    tone: str
    icon: str

    @property
    def deed(self) -> str:
        """What was done, without who and why: "turned API Access on for Globex until 2027-03-03 00:00 UTC"."""
        deed = "".join(part.text for part in self.parts)
        return deed if self.until is None else f"{deed} until {self.until:%Y-%m-%d %H:%M} UTC"

    @property
    def text(self) -> str:
        """The sentence without marks, for exports: "Ana Ruiz turned API Access on for Globex — contract 881"."""
        said = f"{self.actor} {self.deed}"
        return f"{said} — {self.reason}" if self.reason else said


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field, before and after, as words. A moment is given as datetime, so that a page can show it as one."""

    name: str
    old: str | datetime
    new: str | datetime


def sentence(change: Change) -> Sentence:
    """Return a Change as a sentence. A verb that is not known here still reads as its own words."""
    phrase = PHRASES.get(change.verb)
    template = phrase(change.before, change.after) if phrase is not None else _in_its_own_words(change)
    tone, icon = _mark(change)
    until = change.after.get("expires_at") if change.verb in TIMED else None
    return Sentence(
        actor=change.actor_name or change.actor,
        parts=tuple(_parts(template, change)),
        until=parse_datetime(until) if isinstance(until, str) else None,
        reason=change.reason,
        tone=tone,
        icon=icon,
    )


def fields(change: Change) -> list[FieldChange]:
    """Return what a change changed, field by field. What names the row and stayed the same is left out."""
    return compared(change.before, change.after)


def compared(old: State, new: State) -> list[FieldChange]:
    """Return the fields in which two states of one thing differ."""
    return [
        FieldChange(LABELS.get(name, name.replace("_", " ")), _shown(name, old.get(name)), _shown(name, new.get(name)))
        for name in _in_order(old, new)
        if old.get(name) != new.get(name)
    ]


def _in_order(old: State, new: State) -> list[str]:
    """Return the names of both states in an order of ours: not every database keeps the one they were written in."""
    return sorted({**old, **new})


# Words

LABELS = {
    "default_enabled": "default",
    "default_source": "source of the default",
    "enabled": "answer",
    "expires_at": "until",
    "is_internal": "internal",
    "is_killswitch": "kill switch",
    "is_self_service": "self-service",
    "needs_grant": "needs a grant",
    "minimum_plan": "minimum plan",
    "requires": "requirements",
    "is_active": "active",
}
SWITCHES = ("default_enabled", "enabled")
MOMENTS = ("expires_at",)
TIMED = ("set_override", "grant", "create_token")


def _shown(name: str, value: Any) -> str | datetime:
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, bool):
        return ("on" if value else "off") if name in SWITCHES else ("yes" if value else "no")
    if name in MOMENTS and isinstance(value, str):
        return parse_datetime(value) or value
    if isinstance(value, datetime):
        return value
    if name == "percentage":
        return f"{value} %"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if isinstance(value, dict) else str(value)


def _on_off(enabled: Any) -> str:
    return "on" if enabled else "off"


def _parts(template: str, change: Change) -> Iterator[Part]:
    """Cut a phrase at its {names}, which are flag, company, or a field of either state."""
    for text, name, _, _ in Formatter().parse(template):
        if text:
            yield Part("text", text)
        if name == "flag":
            yield Part("flag", change.flag_name or change.flag or "a flag", change.flag)
        elif name == "company":
            yield Part("company", change.company_name or change.company_slug or "a company", change.company_slug)
        elif name is not None:
            yield Part("person" if name == "user" else "text", str(change.after.get(name, change.before.get(name, ""))))


def _mark(change: Change) -> tuple[str, str]:
    if change.verb in MARKS:
        return MARKS[change.verb]
    for name in SWITCHES:
        if name in change.after:
            return ("on", "check") if change.after[name] else ("off", "minus")
    return "info", "edit"


MARKS = {
    "kill": ("danger", "kill"),
    "revive": ("on", "revive"),
    "delete_flag": ("danger", "trash"),
    "create_flag": ("info", "plus"),
    "create_company": ("info", "plus"),
    "add_member": ("info", "user"),
    "set_role": ("info", "user"),
    "remove_member": ("off", "user"),
    "view_as": ("info", "eye"),
    "create_token": ("info", "key"),
    "revoke_token": ("off", "key"),
    "remove_override": ("off", "undo"),
    "remove_channel": ("off", "undo"),
    "remove_opt_in": ("off", "undo"),
    "revoke": ("off", "undo"),
    "inherit_default": ("info", "undo"),
    "move_company": ("info", "arrow-right"),
    "promote": ("info", "rocket"),
    "force_promote": ("danger", "rocket"),
    "start_release": ("info", "rocket"),
    "finish_release": ("on", "rocket"),
    "sign_off_gate": ("on", "check"),
    "roll_back": ("danger", "undo"),
    "roll_back_companies": ("danger", "undo"),
    "undo_batch": ("info", "undo"),
    "change_companies": ("info", "building"),
    "change_people": ("info", "users"),
    "change_flags": ("info", "flag"),
    "archive_flag": ("off", "minus"),
    "restore_flag": ("info", "undo"),
    "isolation_audit": ("info", "shield"),
}


# Phrases: what stands between the actor and the reason.


def _in_its_own_words(change: Change) -> str:
    flag = " {flag}" if change.flag else ""
    return change.verb.replace("_", " ") + flag + (" for {company}" if change.company_slug else "")


def _list(names: list[str]) -> str:
    words = [LABELS.get(name, name.replace("_", " ")) for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _edited(thing: str) -> Callable[[State, State], str]:
    def phrase(before: State, after: State) -> str:
        names = [name for name in _in_order(before, after) if before.get(name) != after.get(name)]
        return f"changed the {_list(names)} of {thing}" if names else f"edited {thing}"

    return phrase


def _set_default(before: State, after: State) -> str:
    if "default_enabled" not in after:
        return "pinned the default of {flag}"
    return f"turned {{flag}} {_on_off(after['default_enabled'])} by default"


def _inherit_default(before: State, after: State) -> str:
    source = after.get("default_source", "catalogue")
    says = f", which says {_on_off(after['default_enabled'])}" if "default_enabled" in after else ""
    return f"let {{flag}} follow the {source} again{says}"


def _sync_default(before: State, after: State) -> str:
    source = after.get("default_source", before.get("default_source", "catalogue"))
    if "default_enabled" in after:
        return f"turned {{flag}} {_on_off(after['default_enabled'])} by default, as the {source} says"
    return f"took the default of {{flag}} from the {source}"


def _set_channel(before: State, after: State) -> str:
    enabled = after.get("enabled", before.get("enabled"))
    percentage = after.get("percentage", 100)
    share = f"{percentage} % of " if enabled and percentage < 100 else ""
    return f"turned {{flag}} {_on_off(enabled)} for {share}the {{channel}} channel"


def _set_override(before: State, after: State) -> str:
    if before.get("paused") != after.get("paused") and (before or after.get("paused")):
        return ("paused" if after.get("paused") else "resumed") + " the override of {flag} for {company}"
    if not before or before.get("enabled") != after.get("enabled"):
        return f"turned {{flag}} {_on_off(after.get('enabled'))} for {{company}}"
    if "expires_at" in after:
        limit = "" if after["expires_at"] else ", without an end"
        return f"kept {{flag}} {_on_off(after.get('enabled'))} for {{company}}{limit}"
    return "changed the reason why {flag} is " + _on_off(after.get("enabled")) + " for {company}"


def _grant(before: State, after: State) -> str:
    if before and before.get("enabled") == after.get("enabled"):
        return "changed the grant of {flag} to {user} at {company}"
    return "granted {flag} to {user} at {company}" if after.get("enabled") else "denied {flag} to {user} at {company}"


def _edit_company(before: State, after: State) -> str:
    if "is_active" in after:
        return "activated {company}" if after["is_active"] else "deactivated {company}"
    if "name" in after:
        return "renamed {company} to {name}"
    return "edited {company}"


def _move_company(before: State, after: State) -> str:
    moves = [f"from {before.get(what)} to {after[what]}" for what in ("channel", "plan") if what in after]
    return "moved {company} " + " and ".join(moves)


def _token(verb: str) -> Callable[[State, State], str]:
    return lambda before, after: f"{verb} the token {{name}}"


def _promoted(how: str) -> Callable[[State, State], str]:
    def phrase(before: State, after: State) -> str:
        percentage = after.get("percentage", 100)
        share = f", for {percentage} % of its companies" if percentage < 100 else ""
        return f"{how} to the {{channel}} channel{share}"

    return phrase


def _isolation_audit(before: State, after: State) -> str:
    of = f" of {after['of']}" if after.get("of") else ""
    part = "" if after.get("complete") else ", in part"
    return f"audited the isolation of tenants{of}{part}: " + ("it passed" if after.get("passed") else "it failed")


def _roll_back(before: State, after: State) -> str:
    return "rolled {flag} back " + ("to the {channel} channel" if after.get("channel") else "out of every channel")


def _number(after: State, name: str, one: str, many: str) -> str:
    """Return how many a batch changed, as history keeps it under this name: "2 companies"."""
    number = after.get(name, 0)
    return f"{number} {one if number == 1 else many}"


def _change_companies(before: State, after: State) -> str:
    them = _number(after, "companies", "company", "companies")
    if after.get("deed") == "move":
        return f"moved {them} to the {{channel}} channel at once"
    deeds = {"turn_on": "turned {flag} on by override", "turn_off": "turned {flag} off by override"}
    return f"{deeds.get(after.get('deed', ''), 'reset {flag}')} for {them} at once"


def _change_people(before: State, after: State) -> str:
    them = _number(after, "people", "person", "people")
    return ("denied" if after.get("deed") == "deny" else "granted") + f" {{flag}} to {them} at once"


def _change_flags(before: State, after: State) -> str:
    them = _number(after, "flags", "flag", "flags")
    deeds = {
        "turn_on": f"turned {them} on by override for {{company}}",
        "turn_off": f"turned {them} off by override for {{company}}",
        "channel_on": f"turned {them} on in the {{channel}} channel",
        "channel_off": f"turned {them} off in the {{channel}} channel",
    }
    return deeds.get(after.get("deed", ""), f"reset {them} for {{company}}") + " at once"


def _undo_batch(before: State, after: State) -> str:
    them = (
        _number(after, "lines", "change", "changes")
        if "lines" in after
        else _number(after, "overrides", "override", "overrides")
    )
    return f"took back a batch of {them}"


def _roll_back_companies(before: State, after: State) -> str:
    return f"turned {{flag}} off by override for {_number(after, 'companies', 'company', 'companies')}"


PHRASES: Mapping[str, Callable[[State, State], str]] = {
    "create_flag": lambda _, after: "created {flag}" + (", on by default" if after.get("default_enabled") else ""),
    "edit_flag": _edited("{flag}"),
    "delete_flag": lambda *_: "deleted {flag}",
    "set_default": _set_default,
    "inherit_default": _inherit_default,
    "set_channel": _set_channel,
    "remove_channel": lambda *_: "let the {channel} channel follow the default of {flag} again",
    "kill": lambda *_: "killed {flag}",
    "revive": lambda *_: "revived {flag}",
    "set_override": _set_override,
    "remove_override": lambda *_: "removed the override of {flag} for {company}",
    "set_opt_in": lambda _, after: f"switched {{flag}} {_on_off(after.get('enabled'))} at {{company}}",
    "remove_opt_in": lambda *_: "took back the choice of {flag} at {company}",
    "grant": _grant,
    "revoke": lambda *_: "revoked the grant of {flag} to {user} at {company}",
    "archive_flag": lambda *_: "archived {flag}",
    "restore_flag": lambda *_: "restored {flag}",
    "start_release": lambda *_: "started the release of {flag} in the {channel} channel",
    "sign_off_gate": lambda *_: "signed off “{gate}” for {flag}",
    "promote": _promoted("promoted {flag}"),
    "force_promote": _promoted("forced {flag} past open gates"),
    "roll_back": _roll_back,
    "pause_release": lambda *_: "paused the release of {flag}",
    "resume_release": lambda *_: "resumed the release of {flag}",
    "finish_release": lambda *_: "finished the release of {flag}",
    "add_gate": lambda *_: "put the gate “{gate}” before the {channel} channel",
    "edit_gate": lambda *_: "changed the gate “{gate}” before the {channel} channel",
    "remove_gate": lambda *_: "took the gate “{gate}” away from before the {channel} channel",
    "roll_back_companies": _roll_back_companies,
    "change_companies": _change_companies,
    "change_people": _change_people,
    "change_flags": _change_flags,
    "undo_batch": _undo_batch,
    "sync_default": _sync_default,
    "load_scale": lambda *_: "filled the database with data to measure on",
    "view_as": lambda _, after: ("began" if after.get("viewing") else "stopped") + " viewing as {company}",
    "create_company": lambda *_: "created {company}",
    "edit_company": _edit_company,
    "move_company": _move_company,
    "edit_settings": _edited("{company}"),
    "add_member": lambda *_: "added {user} to {company} as {role}",
    "set_role": lambda *_: "made {user} {role} at {company}",
    "remove_member": lambda *_: "removed {user} from {company}",
    "create_token": _token("made"),
    "revoke_token": _token("revoked"),
    "isolation_audit": _isolation_audit,
}
