"""What a company is told of its own history: in its words, without the names of our staff, their reasons, or a key."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max, Q
from django.utils.dateparse import parse_datetime

from flags import history, releasenews
from flags.companyfeatures import FeatureRow
from flags.evaluation import Reason
from flags.keyset import Stretch
from flags.models import DEFAULT_VERBS, Change, ChannelDefault, Flag
from flags.releasenews import Words
from tenants.models import Company, Membership
from tenants.rls import acting_as_system

State = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class News:
    """One line: what happened and when, until when, and by whom where it was one of their own people."""

    at: datetime
    text: str
    until: datetime | None
    by: str
    tone: str
    icon: str


def find_news(company: Company, size: int, *, after: str = "", before: str = "") -> Stretch:
    """Return up to `size` lines of history for a company, newest first: its own, and those that may have moved its
    answers without naming it; none about a flag it may not know of. `after` and `before` are cursors of another page.
    """
    known = Flag.objects.filter(is_internal=False).order_by().values("key")
    own = Change.objects.filter(Q(flag="") | Q(flag__in=known), company_id=company.pk, verb__in=list(WORDS))
    # What concerns every company is no company's to read; which of it is told is chosen here. Apart, since each of the
    # two has an index to be found by, and both together have none.
    with acting_as_system("tell a company what has changed for it"):
        general = history.newest_first(releasenews.changes_for_all(company), size, after=after, before=before)
    return history.merged(history.newest_first(own, size, after=after, before=before), general, size, before=before)


def news(company: Company, changes: Iterable[Change]) -> list[News]:
    """Put these lines into the company's words, but for those that moved nothing for it. A few queries more."""
    lines = list(changes)
    told = releasenews.told(company, [change for change in lines if change.company_id is None])
    found = [change for change in lines if change.company_id is not None or change.pk in told]
    actors = {change.actor_id for change in found if change.actor_id is not None}
    concerned = {_whom(change) for change in found} - {""}
    own: dict[Any, str] = {}
    if actors or concerned:
        # Our own staff are not named, wherever they may be members.
        people = Membership.objects.filter(
            Q(user__in=actors) | Q(user__email__in=concerned), company=company, user__is_superuser=False
        )
        for user_id, email, name in people.values_list("user_id", "user__email", "user__name"):
            own[user_id] = own[email] = name or email
    return [_line(change, own, told.get(change.pk)) for change in found]


def _whom(change: Change) -> str:
    return str(change.after.get("user", change.before.get("user", "")))


def _line(change: Change, own: Mapping[Any, str], told: Words | None) -> News:
    text, tone, icon = told or WORDS[change.verb](change.before, change.after)
    # Who is gone by now is nobody whose address a page may still show.
    names = {"flag": change.flag_name or "A feature", "user": own.get(_whom(change), "Somebody")}
    until = change.after.get("expires_at") if tone in ("on", "off") else None
    return News(
        at=change.at,
        text=text.format(**names),
        until=parse_datetime(until) if isinstance(until, str) else None,
        by=own.get(change.actor_id, ""),
        tone=tone,
        icon=icon,
    )


def _switched(enabled: Any, how: str) -> Words:
    return (f"{{flag}} was {how} on", "on", "check") if enabled else (f"{{flag}} was {how} off", "off", "minus")


def _override(before: State, after: State) -> Words:
    if before.get("paused") != after.get("paused") and (before or after.get("paused")):
        word = "does not count for now" if after.get("paused") else "counts again"
        return f"Your own setting of {{flag}} {word}", "info", "pause"
    if before and before.get("enabled") == after.get("enabled"):
        return f"{{flag}} stays {'on' if after.get('enabled') else 'off'} for you", "info", "clock"
    return _switched(after.get("enabled"), "turned")


def _moved(before: State, after: State) -> Words:
    moves = [f"Your {what} is now {after[what]}" for what in ("plan", "channel") if what in after]
    return " and ".join(moves).replace("channel", "release channel") or "Your company was moved", "info", "arrow-right"


def _granted(before: State, after: State) -> Words:
    if after.get("enabled"):
        return "{user} may use {flag}", "on", "user"
    return "{user} may not use {flag}", "off", "user"


WORDS: Mapping[str, Callable[[State, State], Words]] = {
    "set_override": _override,
    "remove_override": lambda *_: ("{flag} is as for everybody again", "info", "undo"),
    "set_opt_in": lambda _, after: _switched(after.get("enabled"), "switched"),
    "remove_opt_in": lambda *_: ("Your own choice of {flag} was taken back", "info", "undo"),
    "grant": _granted,
    "revoke": lambda *_: ("What {user} may do with {flag} is as for everybody again", "info", "undo"),
    "move_company": _moved,
    "add_member": lambda *_: ("{user} joined", "info", "user"),
    "set_role": lambda _, after: (f"{{user}} is now {after.get('role', 'something else')}", "info", "user"),
    "remove_member": lambda *_: ("{user} left", "off", "user"),
    "edit_settings": lambda *_: ("Your company's settings were changed", "info", "edit"),
}


def since_when(company: Company, rows: Iterable[FeatureRow]) -> dict[str, datetime]:
    """Return, by key, since when a company's features stand as they do: the last change of what decides them.

    One is left out where that is not known: its default was never touched, or a plan or a requirement decides.
    """
    found = list(rows)
    keys = [row.flag.key for row in found]
    answers = ChannelDefault.objects.filter(flag__in=keys, channel=company.channel_id).order_by()
    by_channel = dict(answers.values_list("flag_id", "updated_at"))
    with acting_as_system("say since when a default is what it is"):
        told = Change.objects.filter(flag__in=keys, verb__in=DEFAULT_VERBS).order_by()
        by_default = dict(told.values_list("flag").annotate(at=Max("at")))
    since = {row.flag.key: _since(row, by_channel, by_default) for row in found}
    return {key: at for key, at in since.items() if at is not None}


def _since(row: FeatureRow, by_channel: State, by_default: State) -> datetime | None:
    key, reason = row.flag.key, row.decision.reason
    if reason == Reason.OVERRIDE and row.override is not None:
        return row.override.updated_at
    if reason == Reason.OPT_IN and row.opt_in is not None:
        return row.opt_in.updated_at
    if reason == Reason.KILLED:
        return row.flag.killed_at
    known = {
        Reason.CHANNEL: by_channel.get(key),
        Reason.ROLLOUT: by_channel.get(key),
        Reason.DEFAULT: by_default.get(key),
    }.get(reason)
    if known is not None and row.override_is_over and row.override is not None and row.override.expires_at is not None:
        return max(known, row.override.expires_at)
    return known
