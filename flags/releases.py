"""The verbs of a release: start, sign off, promote, roll back, pause, resume, finish. Built like `changes`.

A promotion writes the channel answers, the history and the evidence in one transaction. While a release is under way,
`changes` sends whoever switches on a later channel through `promote`, whatever door they came by.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator

from flags import outbox
from flags.evaluation import ChannelAnswer
from flags.exceptions import ChangeRefused, Invalid, Missing
from flags.gates import GateState, database_now, next_channel, release_under_way, states
from flags.impact import Proposed, companies_gaining
from flags.models import ChannelDefault, Flag
from flags.recording import (
    Actor,
    actor_user,
    authorise,
    check_version,
    clean_reason,
    clean_text,
    locked_flag,
    record,
    writing,
)
from flags.releasemodels import Gate, GateSignOff, GateTemplate, Promotion, Release
from flags.repeating import verb
from tenants.models import ReleaseChannel, User

WRITE = "releases:write"


def _release(key: str) -> Release:
    release = release_under_way(key)
    if release is None:
        raise ChangeRefused(f"No release of {key!r} is under way. Start one first.", code="NO_RELEASE")
    return release


def _name(actor: Actor) -> str:
    return "Headgate" if actor is None else str(actor)


def _step(
    release: Release,
    kind: str,
    actor: Actor,
    at: datetime,
    *,
    to: str,
    come_from: str = "",
    reason: str = "",
    forced: bool = False,
    evidence: Sequence[GateState] = (),
) -> None:
    Promotion.objects.create(
        release=release,
        kind=kind,
        from_channel=come_from,
        to_channel=to,
        at=at,
        by=actor_user(actor),
        by_name=_name(actor),
        reason=reason,
        forced=forced,
        evidence=[state.as_evidence() for state in evidence],
    )


def _answer(flag: Flag, channel: ReleaseChannel, enabled: bool, percentage: int = 100) -> None:
    ChannelDefault.objects.update_or_create(
        flag=flag, channel=channel, defaults={"enabled": enabled, "percentage": percentage}
    )


def _touch(flag: Flag) -> None:
    flag.version += 1
    flag.save(update_fields=["version", "updated_at"])


@verb
def start(key: str, *, actor: Actor, reason: str = "") -> Release:
    """Begin a release: on in the first channel, off in every later one (seed 001, section 4, step 1).

    The gates of every transition are copied from their templates now. Raises ChangeRefused if one is under way.
    """
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    with writing("start a release"):
        flag = locked_flag(key)
        if release_under_way(key) is not None:
            raise ChangeRefused(f"A release of {flag.name} is already under way.", code="RELEASE_UNDER_WAY")
        if flag.is_killed:
            raise ChangeRefused(f"{flag.name} is killed. Revive it first.", code="FLAG_IS_KILLED")
        if flag.archived_at is not None:
            raise ChangeRefused(f"{flag.name} is archived. Restore it first.", code="FLAG_IS_ARCHIVED")
        if flag.default_enabled:
            raise ChangeRefused(
                f"The default of {flag.name} is on, so no channel could hold it back. Turn the default off first.",
                code="DEFAULT_IS_ON",
            )
        channels = list(ReleaseChannel.objects.order_by("rank"))
        at = database_now()
        release = Release.objects.create(
            flag=flag, channel=channels[0], entered_at=at, started_at=at, started_by=actor_user(actor)
        )
        Gate.objects.bulk_create(
            Gate(release=release, channel_id=one.channel_id, check_kind=one.check_kind, title=one.title, rank=one.rank)
            for one in GateTemplate.objects.all()
        )
        for channel in channels:
            _answer(flag, channel, channel == channels[0])
        _touch(flag)
        _step(release, Promotion.Kind.START, actor, at, to=channels[0].slug, reason=reason)
        after = {"channel": channels[0].slug}
        record("start_release", actor=actor, flag=flag, before={}, after=after, reason=reason)
    return release


@verb
def sign_off(key: str, gate_id: uuid.UUID, *, actor: Actor, note: str = "", link: str = "") -> GateSignOff:
    """Give one's word that a gate holds, for the present stay in the channel. Raises Missing, or ChangeRefused."""
    authorise(actor, WRITE)
    note = clean_text(note, "note", longest=500)
    link = clean_text(link, "link", longest=500)
    if link:
        try:
            URLValidator(schemes=["http", "https"])(link)
        except ValidationError as error:
            raise Invalid("The link is no web address.", errors={"link": ["Begin with https://."]}) from error
    with writing("sign off a gate"):
        flag = locked_flag(key)
        release = _release(key)
        following = next_channel(release)
        gate = Gate.objects.filter(pk=gate_id, release=release).first()
        if gate is None:
            raise Missing(f"{flag.name} has no such gate.", code="GATE_NOT_FOUND")
        if gate.check_kind != GateTemplate.Check.SIGN_OFF:
            raise ChangeRefused(f"“{gate.title}” is checked by itself; nobody signs it off.", code="GATE_IS_AUTOMATIC")
        if following is None or gate.channel_id != following.slug:
            raise ChangeRefused(f"“{gate.title}” is not the next gate of {flag.name}.", code="GATE_IS_NOT_NEXT")
        word = GateSignOff.objects.create(
            gate=gate, by=actor_user(actor), by_name=_name(actor), at=database_now(), note=note, link=link
        )
        after = {"gate": gate.title, "note": note, "link": link}
        record("sign_off_gate", actor=actor, flag=flag, before={}, after=after, reason=note)
    return word


@verb
def promote(
    key: str,
    *,
    actor: Actor,
    reason: str = "",
    force: bool = False,
    percentage: int = 100,
    tell: bool = False,
    seen: str | None = None,
    version: int | None = None,
    batch: uuid.UUID | None = None,
) -> Release:
    """Let a flag into its next channel, if every gate before it holds.

    With `force` a super admin goes past gates that do not, for a reason that is required and recorded as such for ever.
    With `tell` the admins of the companies that gain the feature get a message. `seen` is the channel the flag was in
    when one decided: if somebody was faster, the promotion is refused; `version` is that of the flag.
    Raises ChangeRefused naming every open gate in words (`extra["gates"]`).
    """
    authorise(actor, WRITE)
    reason = clean_reason(reason, always=force)
    if force and not isinstance(actor, User):
        raise ChangeRefused("Only a person may force a promotion: a super admin, by name.", code="FORCE_NEEDS_A_PERSON")
    if isinstance(percentage, bool) or not 0 <= percentage <= 100:
        raise Invalid("A percentage is a whole number from 0 to 100.", errors={"percentage": ["0 to 100."]})
    with writing("promote a flag"):
        flag = locked_flag(key)
        release = _release(key)
        following = next_channel(release)
        if seen is not None and seen != release.channel_id:
            raise ChangeRefused(
                f"{flag.name} is in {release.channel.name} by now: somebody else moved it.",
                code="ALREADY_MOVED",
                current=release.channel_id,
                yours=seen,
            )
        check_version(flag.version, version, thing=f"the flag {key!r}", current=release.channel_id, yours="promoted")
        if following is None:
            raise ChangeRefused(f"{flag.name} is in {release.channel.name}, the last channel.", code="LAST_CHANNEL")
        if flag.is_killed:
            raise ChangeRefused(
                f"{flag.name} is killed, and its release with it. Revive it first.", code="FLAG_IS_KILLED"
            )
        if release.paused_at is not None:
            raise ChangeRefused(f"The release of {flag.name} is paused. Resume it first.", code="RELEASE_PAUSED")
        if tell and flag.is_internal:
            raise Invalid(
                f"{flag.name} is internal: companies may not know of it. Promote it without telling them.",
                errors={"tell": ["Nobody may know of an internal flag."]},
            )
        at = database_now()
        evidence = states(release, at)
        not_yet = [state for state in evidence if not state.holds]
        if not_yet and not force:
            words = "; ".join(f"“{state.gate.title}” {state.words}" for state in not_yet)
            raise ChangeRefused(
                f"{flag.name} cannot go to {following.name} yet: {words}.",
                code="GATES_OPEN",
                gates=[state.as_evidence() for state in not_yet],
            )
        before, forced = release.channel_id, bool(not_yet)
        after = {"channel": following.slug, "percentage": percentage}
        if tell:
            answer = ChannelAnswer(True, percentage)
            gaining = companies_gaining(Proposed(key, channels={following.slug: answer}))
            after["told"] = outbox.queue(outbox.gained(flag), gaining)
        _answer(flag, following, True, percentage)
        release.channel, release.entered_at = following, at
        release.save(update_fields=["channel", "entered_at"])
        kind, to = Promotion.Kind.PROMOTE, following.slug
        _step(release, kind, actor, at, to=to, come_from=before, reason=reason, forced=forced, evidence=evidence)
        _touch(flag)
        verb = "force_promote" if forced else "promote"
        record(verb, actor=actor, flag=flag, before={"channel": before}, after=after, reason=reason, batch=batch)
    return release


@verb
def roll_back(key: str, to: str | None, *, actor: Actor, reason: str, version: int | None = None) -> Release | None:
    """Take a flag back to an earlier channel, or with None out of all. One action, no gates; a reason is required.

    Every later channel is switched off. Overrides stay: `impact` says how many companies stay on by one. The soak
    starts anew. A release that had ended goes on from the earlier channel, so that its gates stand there again; a flag
    without any is just switched off. Returns the release, if there is one.
    """
    authorise(actor, WRITE)
    reason = clean_reason(reason, always=True)
    with writing("roll a release back"):
        flag = locked_flag(key)
        release = release_under_way(key) or _finished(key)
        channels = list(ReleaseChannel.objects.order_by("rank"))
        furthest = release.channel if release is not None else _furthest(flag, channels)
        check_version(flag.version, version, thing=f"the flag {key!r}", current=flag.version, yours="rolled back")
        if furthest is None:
            raise ChangeRefused(
                f"{flag.name} is on in no channel, so there is nothing to roll back.", code="NOTHING_TO_ROLL_BACK"
            )
        target = next((channel for channel in channels if channel.slug == to), None)
        if to is not None and target is None:
            raise Missing(f"There is no release channel {to!r}.", code="CHANNEL_NOT_FOUND")
        if target is not None and target.rank >= furthest.rank:
            raise ChangeRefused(
                f"{flag.name} is in {furthest.name}; it can be rolled back to an earlier channel only.",
                code="NOT_AN_EARLIER_CHANNEL",
            )
        at = database_now()
        for channel in later_than(target, channels):
            _answer(flag, channel, False)
        if release is not None:
            if target is None:
                release.ended_at = at
            else:
                release.channel, release.entered_at, release.ended_at = target, at, None
            release.save(update_fields=["channel", "entered_at", "ended_at"])
            kind = Promotion.Kind.ROLL_BACK
            _step(release, kind, actor, at, to=to or "", come_from=furthest.slug, reason=reason)
        _touch(flag)
        before, after = {"channel": furthest.slug}, {"channel": to or ""}
        record("roll_back", actor=actor, flag=flag, before=before, after=after, reason=reason)
    return release


def later_than(channel: ReleaseChannel | None, channels: Sequence[ReleaseChannel]) -> list[ReleaseChannel]:
    """Return the channels that a rollback to `channel` switches off: all later ones, or with None all."""
    return [other for other in channels if channel is None or other.rank > channel.rank]


def _finished(key: str) -> Release | None:
    """Return a flag's latest release, if it was brought to its end and not rolled back."""
    release = Release.objects.select_related("channel").filter(flag=key).first()
    if release is None or release.ended_at is None:
        return None
    ends = release.promotions.filter(kind=Promotion.Kind.END, at=release.ended_at)
    return release if ends.exists() else None


def _furthest(flag: Flag, channels: Sequence[ReleaseChannel]) -> ReleaseChannel | None:
    """Return the last channel that a flag is on in, by its answer or by its default."""
    answers = dict(flag.channel_defaults.values_list("channel_id", "enabled"))
    on = [channel for channel in channels if answers.get(channel.slug, flag.default_enabled)]
    return on[-1] if on else None


@verb
def finish(key: str, *, actor: Actor, reason: str = "") -> Release:
    """End a release that has reached the last channel. Its answers stay; its gates no longer stand in the way."""
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    with writing("finish a release"):
        flag = locked_flag(key)
        release = _release(key)
        if next_channel(release) is not None:
            raise ChangeRefused(
                f"{flag.name} has not reached the last channel. Promote it, or roll it back.",
                code="NOT_THE_LAST_CHANNEL",
            )
        release.ended_at = at = database_now()
        release.save(update_fields=["ended_at"])
        _step(
            release, Promotion.Kind.END, actor, at, to=release.channel_id, come_from=release.channel_id, reason=reason
        )
        record(
            "finish_release", actor=actor, flag=flag, before={}, after={"channel": release.channel_id}, reason=reason
        )
    return release


@verb
def pause(key: str, *, actor: Actor, reason: str = "") -> Release:
    """Hold a release where it is: nothing is promoted, and the soak stops counting. The answers stay."""
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    with writing("pause a release"):
        flag = locked_flag(key)
        release = _release(key)
        if release.paused_at is None:
            release.paused_at = database_now()
            release.save(update_fields=["paused_at"])
            record(
                "pause_release", actor=actor, flag=flag, before={"paused": False}, after={"paused": True}, reason=reason
            )
    return release


@verb
def resume(key: str, *, actor: Actor, reason: str = "") -> Release:
    """Let a paused release go on. The time it was paused does not count as soak."""
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    with writing("resume a release"):
        flag = locked_flag(key)
        release = _release(key)
        if release.paused_at is not None:
            # What follows the pull of the kill switch is left out of the soak when the flag is revived.
            until = min(database_now(), flag.killed_at or datetime.max.replace(tzinfo=UTC))
            since = max(release.paused_at, release.entered_at)
            release.entered_at += max(until - since, timedelta(0))
            release.paused_at = None
            release.save(update_fields=["entered_at", "paused_at"])
            record(
                "resume_release",
                actor=actor,
                flag=flag,
                before={"paused": True},
                after={"paused": False},
                reason=reason,
            )
    return release
