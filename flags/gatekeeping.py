"""No door leads past a gate: what `changes` asks before it writes, while a release of the flag is under way."""

import uuid
from datetime import datetime

from flags import releases
from flags.exceptions import ChangeRefused
from flags.gates import database_now, next_channel, open_gates, release_under_way
from flags.models import Flag
from flags.recording import Actor
from tenants.models import ReleaseChannel


def is_promotion(flag: Flag, channel: str) -> bool:
    """Whether switching this channel on would carry a release further than it is."""
    release = release_under_way(flag.key)
    target = ReleaseChannel.objects.filter(pk=channel).first()
    return release is not None and target is not None and target.rank > release.channel.rank


def promote_to(
    flag: Flag, channel: str, *, percentage: int, actor: Actor, reason: str, batch: uuid.UUID | None
) -> None:
    """Promote to exactly this channel. Raises ChangeRefused for one that is not the next."""
    release = release_under_way(flag.key)
    assert release is not None
    following = next_channel(release)
    if following is None or channel != following.slug:
        raise ChangeRefused(
            f"{flag.name} is in {release.channel.name}: a release goes one channel at a time. "
            f"Promote it to {following.name if following else release.channel.name} first.",
            code="ONE_STEP_AT_A_TIME",
        )
    releases.promote(flag.key, actor=actor, reason=reason, percentage=percentage, batch=batch)


def refuse_default(flag: Flag) -> None:
    """Refuse to turn the default on while a release has channels to go: that would pass every gate at once."""
    release = release_under_way(flag.key)
    if release is not None and next_channel(release) is not None:
        raise ChangeRefused(
            f"A release of {flag.name} is under way, in {release.channel.name}. Turning the default on would be a "
            "promotion to everybody; promote it channel by channel.",
            code="RELEASE_UNDER_WAY",
            gates=[state.as_evidence() for state in open_gates(release)],
        )


def refuse_removal(flag: Flag, channel: str) -> None:
    """Refuse to take away the answer that holds a release back from a later channel: the default would speak there."""
    release = release_under_way(flag.key)
    if release is not None and is_promotion(flag, channel):
        raise ChangeRefused(
            f"A release of {flag.name} is under way, in {release.channel.name}, and this answer holds it back. "
            "Promote it channel by channel, or roll it back.",
            code="RELEASE_UNDER_WAY",
        )


def reentered(flag: Flag, channel: str | None = None) -> None:
    """Start the soak anew: the release's channel (or with None, all of the flag) was off, and is on again.

    Soak is continuous time on.
    """
    release = release_under_way(flag.key)
    if release is not None and channel in (None, release.channel_id):
        release.entered_at = database_now()
        release.save(update_fields=["entered_at"])


def revived(flag: Flag, killed_at: datetime) -> None:
    """Leave the time a flag was killed out of its soak: a killed flag's release is paused."""
    release = release_under_way(flag.key)
    if release is not None:
        until = release.paused_at or database_now()
        since = max(killed_at, release.entered_at)
        if until > since:
            release.entered_at += until - since
            release.save(update_fields=["entered_at"])
