"""Putting a flag away and bringing it back. Built like `changes`.

An archived flag leaves the lists and keeps its history. Code that still asks gets its last global default, with the
reason `archived`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max
from django.utils import timezone

from flags.exceptions import ChangeRefused
from flags.gates import release_under_way
from flags.models import Flag
from flags.recording import Actor, authorise, check_version, clean_reason, locked_flag, record, writing
from flags.releasemodels import DailyUsage, Release
from flags.repeating import verb

WRITE = "flags:write"
QUIET_FOR = timedelta(days=14)
"""How long nobody must have asked for a flag before putting it away is called safe."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """What speaks against archiving a flag. `dependents` and `release` stand in the way; recent use only warns."""

    last_evaluated: datetime | None
    dependents: list[str]
    release: Release | None
    is_in_use: bool

    @property
    def is_possible(self) -> bool:
        """Whether `archive` would go through."""
        return not self.dependents and self.release is None

    @property
    def is_safe(self) -> bool:
        """Whether besides nobody has asked for the flag lately."""
        return self.is_possible and not self.is_in_use


def readiness(flag: Flag, at: datetime | None = None) -> Readiness:
    """Say whether a flag can be put away, as of now or `at`. Three queries."""
    last = DailyUsage.objects.filter(flag=flag).aggregate(last=Max("last_at"))["last"]
    return judged(last, _live_dependents(flag), release_under_way(flag.key), at)


def judged(
    last: datetime | None, dependents: list[str], release: Release | None, at: datetime | None = None
) -> Readiness:
    """Say the same of a flag about which this is known: when it was last asked for, who requires it, its release."""
    in_use = last is not None and (at or timezone.now()) - last < QUIET_FOR
    return Readiness(last, dependents, release, in_use)


def _live_dependents(flag: Flag) -> list[str]:
    rows = flag.requirements_of_others.filter(flag__archived_at=None)
    return sorted(rows.values_list("flag_id", flat=True))


@verb
def archive(key: str, *, actor: Actor, reason: str = "", version: int | None = None) -> Flag:
    """Put a flag away. Its answer becomes its global default, for every company. Silent where it is archived already.

    Raises ChangeRefused while a live flag requires it, naming the dependents, or while a release is under way.
    """
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    with writing("archive a flag"):
        flag = locked_flag(key)
        if flag.archived_at is not None:
            return flag
        check_version(flag.version, version, thing=f"the flag {key!r}", current={"archived": False}, yours="archived")
        found = readiness(flag)
        if found.dependents:
            raise ChangeRefused(
                f"{', '.join(found.dependents)} require{'s' if len(found.dependents) == 1 else ''} {key!r}. "
                "Change or archive that first.",
                code="FLAG_IS_REQUIRED",
                dependents=found.dependents,
            )
        if found.release is not None:
            raise ChangeRefused(
                f"A release of {flag.name} is under way, in {found.release.channel.name}. "
                "Finish it, or roll it back, first.",
                code="RELEASE_UNDER_WAY",
            )
        flag.archived_at = timezone.now()
        _save(flag)
        record(
            "archive_flag", actor=actor, flag=flag, before={"archived": False}, after={"archived": True}, reason=reason
        )
    return flag


@verb
def restore(key: str, *, actor: Actor, reason: str = "", version: int | None = None) -> Flag:
    """Bring an archived flag back, with everything that was stored. Silent where it is not archived."""
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    with writing("restore a flag"):
        flag = locked_flag(key)
        if flag.archived_at is None:
            return flag
        check_version(flag.version, version, thing=f"the flag {key!r}", current={"archived": True}, yours="restored")
        flag.archived_at = None
        _save(flag)
        record(
            "restore_flag", actor=actor, flag=flag, before={"archived": True}, after={"archived": False}, reason=reason
        )
    return flag


def _save(flag: Flag) -> None:
    flag.version += 1
    flag.save(update_fields=["archived_at", "version", "updated_at"])
