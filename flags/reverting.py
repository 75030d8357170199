"""Taking a change back: which verb undoes which, and whether what it made is still there to be undone.

Nothing here writes by itself; it calls the verbs of changes and companies, so every rule and refusal is theirs.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.dateparse import parse_datetime

from flags import archiving, changes, companies, gatetemplates, rollbacks
from flags.changes import EDITABLE
from flags.evaluation import ChannelAnswer, OverrideFact
from flags.exceptions import ChangeRefused, Conflict, Missing
from flags.impact import Proposed
from flags.models import Change, ChannelDefault, Flag, Grant, OptIn, Override
from flags.recording import Actor, plain, writing
from flags.repeating import verb
from tenants.models import Company, Plan, User

State = dict[str, Any]
WHOLES = ("change_companies", "change_people", "change_flags", "undo_batch")
BATCHES = ("roll_back_companies", *WHOLES)
OF_COMPANIES = ("edit_company", "move_company")
MOVING = frozenset(("channel", "plan", "is_active"))
OF_OVERRIDES = ("turn_on", "turn_off", "reset")


def can_revert(change: Change) -> bool:
    """Whether there is a verb that takes this change back. It may still refuse."""
    return change.verb in _UNDO


def goes_in_steps(change: Change) -> bool:
    """Whether it stands for a batch that is taken back line by line (`bulk.undo`), and not as one statement.

    Batches of overrides are taken back at once (`rollbacks.undo_batch`), all others so.
    """
    return change.verb in WHOLES and change.after.get("deed", "reset") not in OF_OVERRIDES


@verb
def revert(change: Change, *, actor: Actor, reason: str = "", batch: UUID | None = None) -> None:
    """Bring back what a change replaced, as a change of its own.

    Raises Conflict if somebody has changed the same thing since, Missing if it is gone, and whatever the verb that
    takes it back refuses.
    """
    if change.verb in ("promote", "force_promote"):
        raise ChangeRefused("A promotion is taken back by rolling the release back.")
    if not can_revert(change):
        raise ChangeRefused("This cannot be taken back by itself.")
    if goes_in_steps(change):
        raise ChangeRefused("This is taken back in steps. Open its batch in history, and undo all of it there.")
    look, undo = _UNDO[change.verb]
    with writing("take a change back"):
        now = {name: plain(value) for name, value in look(change).items()}
        if not is_as_made(change.after, now):
            raise Conflict(
                "Somebody changed this again since. Look at what it is now, and decide again.",
                current=now,
                yours=change.before,
            )
        undo(
            change, now | dict(change.before), {"actor": actor, "reason": reason} | ({"batch": batch} if batch else {})
        )


def is_as_made(after: State, now: State) -> bool:
    """Whether what a change made (`after`, as history keeps it) is how things still are, in the same words."""
    # A state that is empty means the row was taken away, and must still be.
    return not now if not after else all(now.get(name) == value for name, value in after.items())


def deactivates(change: Change) -> bool:
    """Whether taking it back deactivates a company, so that its people lose access at once."""
    return change.verb in OF_COMPANIES and change.before.get("is_active") is False


def proposed(change: Change) -> Proposed | None:
    """Return what taking this change back would propose, so that its impact can be shown; None if it moves no answer.

    Raises Missing if what was changed is gone.
    """
    if not can_revert(change):
        return None
    before = change.before
    was = _UNDO[change.verb][0](change) | dict(before)
    if change.verb in ("set_default", "inherit_default"):
        return Proposed(change.flag, rules={"default_enabled": was["default_enabled"]})
    if change.verb in ("kill", "revive"):
        return Proposed(change.flag, rules={"killed": before["killed"]})
    if change.verb in ("archive_flag", "restore_flag"):
        return Proposed(change.flag, rules={"archived": before["archived"]})
    if change.verb in ("set_channel", "remove_channel"):
        answer = ChannelAnswer(was["enabled"], was["percentage"]) if "enabled" in before else None
        return Proposed(change.flag, channels={change.after.get("channel", before.get("channel")): answer})
    if change.verb in ("set_override", "remove_override"):
        fact = OverrideFact(was["enabled"], _moment(was), was["paused"]) if before else None
        return Proposed(change.flag, overrides={_company(change).pk: fact})
    if change.verb in ("set_opt_in", "remove_opt_in"):
        return Proposed(change.flag, opt_ins={_company(change).pk: was["enabled"] if before else None})
    if change.verb in BATCHES and change.batch is not None:
        after = rollbacks.overrides_after_undo(change.batch)
        keys = {key for _, key in after}
        return Proposed(keys.pop(), overrides={pk: fact for (pk, _), fact in after.items()}) if len(keys) == 1 else None
    if change.verb == "edit_flag":
        rules = {name: before[name] for name in ("is_killswitch", "is_self_service") if name in before}
        if "requires" in before:
            rules["requires"] = tuple(before["requires"])
        if "minimum_plan" in before:
            plan = Plan.objects.filter(pk=before["minimum_plan"]).first()
            rules["minimum_plan"] = None if plan is None else plan.rank
        return Proposed(change.flag, rules=rules) if rules else None
    return None


# How things are now, in the words of history.


def _flag(change: Change) -> Flag:
    flag = Flag.objects.filter(key=change.flag).first()
    if flag is None:
        raise Missing(f"There is no flag {change.flag!r} any more.", code="FLAG_NOT_FOUND")
    return flag


def _company(change: Change) -> Company:
    company = None if change.company_id is None else Company.objects.filter(pk=change.company_id).first()
    if company is None:
        raise Missing(f"There is no company {change.company_name!r} any more.", code="COMPANY_NOT_FOUND")
    return company


def _flag_state(change: Change) -> State:
    flag = _flag(change)
    state = {name: getattr(flag, name) for name in EDITABLE}
    return state | {
        "default_enabled": flag.default_enabled,
        "default_source": flag.default_source,
        "killed": flag.killed_at is not None,
        "archived": flag.archived_at is not None,
        "minimum_plan": flag.minimum_plan_id,
        "requires": sorted(flag.requires.values_list("key", flat=True)),
    }


def _channel_state(change: Change) -> State:
    channel = change.after.get("channel", change.before.get("channel"))
    row = ChannelDefault.objects.filter(flag=change.flag, channel=channel).first()
    return {} if row is None else {"channel": channel, "enabled": row.enabled, "percentage": row.percentage}


def _row_state(model: type[Override | OptIn], *names: str) -> Callable[[Change], State]:
    def state(change: Change) -> State:
        row = model.objects.filter(flag=change.flag, company=change.company_id).first()
        return {} if row is None else {name: getattr(row, name) for name in names}

    return state


def _grant_state(change: Change) -> State:
    row = Grant.objects.filter(flag=change.flag, company=change.company_id, user__email=_email(change)).first()
    if row is None:
        return {}
    return {"user": _email(change), "enabled": row.enabled, "reason": row.reason, "expires_at": row.expires_at}


def _company_state(change: Change) -> State:
    company = _company(change)
    return {
        "name": company.name,
        "channel": company.channel_id,
        "plan": company.plan_id,
        "is_active": company.is_active,
    }


def _gate_state(change: Change) -> State:
    told = change.before
    return gatetemplates.state_of(str(told.get("channel", "")), str(told.get("gate", "")))


def _email(change: Change) -> str:
    return change.after.get("user", change.before.get("user", ""))


def _person(change: Change) -> User:
    user = User.objects.filter(email=_email(change)).first()
    if user is None:
        raise Missing(f"There is nobody called {_email(change)} any more.")
    return user


def _moment(state: Mapping[str, Any]) -> datetime | None:
    text = state.get("expires_at")
    return parse_datetime(text) if isinstance(text, str) else text


# What takes a change back. `was` is the state to return to, whole; `by` is who takes it back, and why.


def _undo_default(change: Change, was: State, by: State) -> None:
    if was["default_source"] == "operator":
        changes.set_default(change.flag, was["default_enabled"], **by)
    else:
        changes.inherit_default(change.flag, **by)


def _undo_channel(change: Change, was: State, by: State) -> None:
    if "enabled" in change.before:
        changes.set_channel(change.flag, was["channel"], was["enabled"], percentage=was["percentage"], **by)
    else:
        changes.remove_channel(change.flag, was["channel"], **by)


def _undo_override(change: Change, was: State, by: State) -> None:
    if change.before:
        until = _moment(was)
        changes.set_override(
            _company(change), change.flag, was["enabled"], expires_at=until, paused=bool(was.get("paused")), **by
        )
    else:
        changes.remove_override(_company(change), change.flag, **by)


def _undo_opt_in(change: Change, was: State, by: State) -> None:
    if change.before:
        changes.set_opt_in(_company(change), change.flag, was["enabled"], **by)
    else:
        changes.remove_opt_in(_company(change), change.flag, **by)


def _undo_grant(change: Change, was: State, by: State) -> None:
    if change.before:
        until = _moment(was)
        changes.grant(_company(change), _person(change), change.flag, enabled=was["enabled"], expires_at=until, **by)
    else:
        changes.revoke(_company(change), _person(change), change.flag, **by)


def _undo_edit(change: Change, was: State, by: State) -> None:
    changes.edit_flag(change.flag, **by, **dict(change.before))


def _undo_batch(change: Change, was: State, by: State) -> None:
    assert change.batch is not None
    rollbacks.undo_batch(change.batch, **by)


def _undo_gate(change: Change, was: State, by: State) -> None:
    by = {name: value for name, value in by.items() if name != "batch"}  # A gate is of no batch.
    gatetemplates.add_gate(was["channel"], was["gate"], check_kind=was["kind"], rank=was["rank"], **by)


def _undo_company(change: Change, was: State, by: State) -> None:
    companies.edit_company(_company(change), **by, **dict(change.before))


_override_state = _row_state(Override, "enabled", "reason", "expires_at", "paused")
_opt_in_state = _row_state(OptIn, "enabled")

_UNDO: Mapping[str, tuple[Callable[[Change], State], Callable[[Change, State, State], Any]]] = {
    "set_default": (_flag_state, _undo_default),
    "inherit_default": (_flag_state, _undo_default),
    "edit_flag": (_flag_state, _undo_edit),
    "kill": (_flag_state, lambda change, was, by: changes.revive(change.flag, **by)),
    "revive": (_flag_state, lambda change, was, by: changes.kill(change.flag, **by)),
    "archive_flag": (_flag_state, lambda change, was, by: archiving.restore(change.flag, **by)),
    "restore_flag": (_flag_state, lambda change, was, by: archiving.archive(change.flag, **by)),
    "set_channel": (_channel_state, _undo_channel),
    "remove_channel": (_channel_state, _undo_channel),
    "set_override": (_override_state, _undo_override),
    "remove_override": (_override_state, _undo_override),
    "set_opt_in": (_opt_in_state, _undo_opt_in),
    "remove_opt_in": (_opt_in_state, _undo_opt_in),
    "grant": (_grant_state, _undo_grant),
    "revoke": (_grant_state, _undo_grant),
    # What a batch changed is looked at line by line, by the verb that undoes it.
    "roll_back_companies": (lambda change: dict(change.after), _undo_batch),
    **dict.fromkeys(WHOLES, (lambda change: dict(change.after), _undo_batch)),
    "remove_gate": (_gate_state, _undo_gate),
    "edit_company": (_company_state, _undo_company),
    "move_company": (_company_state, _undo_company),
}
