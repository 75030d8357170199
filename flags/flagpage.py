"""One flag as its page shows it: with the flags beside it, its counts and its channels, in two queries."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Q

from flags.channels import Channels, channels_for
from flags.gates import database_clock
from flags.models import Flag, Grant, Requirement
from flags.overview import FlagRow, with_override_counts
from flags.staleness import with_last_asked


@dataclass(frozen=True, slots=True)
class Head:
    """A flag, the flags it requires and those that require it, by name, and what channels answer for all of them.

    `has_grants` says whether anybody was granted or denied it, `at` is the database's time when it was read.
    """

    row: FlagRow
    requires: list[Flag]
    dependents: list[Flag]
    channels: Channels
    has_grants: bool
    at: datetime

    @property
    def flag(self) -> Flag:
        return self.row.flag


def head_of(key: str) -> Head | None:
    """Return what a flag's page begins with, or None for a key that no flag has. Two queries."""
    required = Requirement.objects.filter(flag=key).order_by()
    requiring = Requirement.objects.filter(requires=key).order_by()
    near = Q(pk=key) | Q(pk__in=required.values("requires")) | Q(pk__in=requiring.values("flag"))
    flags = with_last_asked(with_override_counts(Flag.objects.filter(near))).annotate(
        is_required=Exists(required.filter(requires=OuterRef("pk"))),
        has_grants=Exists(Grant.objects.filter(flag=OuterRef("pk"))),
        read_at=database_clock(),
    )
    found = {flag.key: flag for flag in flags.select_related("killed_by", "minimum_plan").order_by("name", "key")}
    flag = found.pop(key, None)
    if flag is None:
        return None
    channels = channels_for([key, *found])
    return Head(
        row=FlagRow(flag, channels.rail(key), flag.overrides_on, flag.overrides_off),  # type: ignore[attr-defined]
        requires=[other for other in found.values() if other.is_required],
        dependents=[other for other in found.values() if not other.is_required],
        channels=channels,
        has_grants=flag.has_grants,
        at=flag.read_at,
    )
