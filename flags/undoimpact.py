"""What taking a batch back, line by line, brings back: grants of people, and what channels answer, by first names.

`flags.bulkimpact` says it of companies that move.
"""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from flags.models import Change, ChannelDefault, Grant
from flags.recording import plain
from flags.reverting import is_as_made
from tenants.models import ReleaseChannel

NAMES_SHOWN = 10
OF_GRANTS = ("grant", "revoke")
OF_CHANNELS = ("set_channel", "remove_channel")

State = dict[str, Any]


@dataclass(slots=True)
class Return:
    """One way in which things go back, for how many and whom: `words` say it, as "The grant ends"."""

    words: str
    number: int = 0
    names: list[str] = field(default_factory=list)

    @property
    def more(self) -> int:
        """How many it is for besides those named."""
        return self.number - len(self.names)


@dataclass(frozen=True, slots=True)
class Undo:
    """What comes back, that of most first; and how many lines were changed again since, and stay."""

    returns: list[Return]
    stay: int


def undo_of(batch: UUID) -> Undo:
    """Say what taking back a batch's lines about grants and channels brings back. At most four queries, and none that
    grows with the batch but in what it reads.
    """
    lines = Change.objects.filter(batch=batch, verb__in=(*OF_GRANTS, *OF_CHANNELS))
    rows = list(
        lines.order_by("company_name", "flag_name", "id").values_list(
            "verb", "flag", "flag_name", "company_id", "company_name", "before", "after"
        )
    )
    keys = {row[1] for row in rows}
    grants = _grants(keys) if any(row[0] in OF_GRANTS for row in rows) else {}
    channels, names = ({}, {}) if all(row[0] in OF_GRANTS for row in rows) else (_channels(keys), _channel_names())
    found: dict[str, Return] = {}
    stay = 0
    for verb, key, flag, company_id, company, before, after in rows:
        if verb in OF_GRANTS:
            email = after.get("user", before.get("user", ""))
            now = grants.get((key, company_id, email), {})
            words, name = _grant_words(flag, before, after), f"{email} ({company})"
        else:
            channel = after.get("channel", before.get("channel", ""))
            now = channels.get((key, channel), {})
            words, name = _channel_words(names.get(channel, channel), now | before if "enabled" in before else {}), flag
        if not is_as_made(after, now):
            stay += 1
            continue
        each = found.setdefault(words, Return(words))
        each.number += 1
        if len(each.names) < NAMES_SHOWN:
            each.names.append(name)
    return Undo(sorted(found.values(), key=lambda each: (-each.number, each.words)), stay)


def _grants(keys: set[str]) -> dict[tuple[str, UUID | None, str], State]:
    rows = Grant.objects.filter(flag__in=keys).order_by()
    return {
        (key, company, email): {"user": email, "enabled": enabled, "reason": reason, "expires_at": plain(expires_at)}
        for key, company, email, enabled, reason, expires_at in rows.values_list(
            "flag_id", "company_id", "user__email", "enabled", "reason", "expires_at"
        )
    }


def _channels(keys: set[str]) -> dict[tuple[str, str], State]:
    rows = ChannelDefault.objects.filter(flag__in=keys).order_by()
    return {
        (key, channel): {"channel": channel, "enabled": enabled, "percentage": percentage}
        for key, channel, enabled, percentage in rows.values_list("flag_id", "channel_id", "enabled", "percentage")
    }


def _channel_names() -> dict[str, str]:
    return dict(ReleaseChannel.objects.values_list("slug", "name"))


def _grant_words(flag: str, before: State, after: State) -> str:
    if not before:
        return f"The {'grant' if after.get('enabled') else 'denial'} of {flag} ends"
    return f"{flag} is {'granted' if before.get('enabled') else 'denied'} again"


def _channel_words(channel: str, was: State) -> str:
    if not was:
        return f"{channel} follows the default again"
    if not was["enabled"]:
        return f"{channel} is off again"
    share = was.get("percentage", 100)
    return f"{channel} is on again" if share == 100 else f"{channel} is on again for {share} %"
