"""Many companies of a batch moved to a channel at once, with what comes of each as if it were moved alone.

The rules are those of `companies.edit_company`; a test holds both to the same answers, rows and lines of history.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from flags import announcements, features, snapshots
from flags.batchmodels import Batch
from flags.exceptions import ChangeRefused
from flags.recording import clean_reason, line
from flags.setwise import OF_COMPANY, among, insert_for_each
from tenants.models import Company, ReleaseChannel


class Placed(NamedTuple):
    """As much of a company as a move needs."""

    pk: UUID
    name: str
    channel: str


def load(ids: Sequence[str]) -> dict[str, Placed]:
    """Return the companies of these ids that are still there. One query."""
    rows = Company.objects.filter(pk__in=among([UUID(pk) for pk in ids])).order_by()
    return {str(row[0]): Placed(*row) for row in rows.values_list("pk", "name", "channel_id")}


def change_all(batch: Batch, companies: Iterable[Placed]) -> dict[UUID, bool | str]:
    """Move these companies. Returns whether each changed, or why not. Inside `writing`, with authority checked."""
    apart: dict[str, list[UUID]] = defaultdict(list)
    for company in companies:
        apart[company.channel].append(company.pk)
    try:
        reason = clean_reason(batch.reason)
    except ChangeRefused as refusal:
        return {pk: refusal.detail for some in apart.values() for pk in some}
    if not ReleaseChannel.objects.filter(pk=batch.channel).exists():
        return {pk: f"There is no release channel {batch.channel!r}." for some in apart.values() for pk in some}
    outcomes: dict[UUID, bool | str] = dict.fromkeys(apart.pop(batch.channel, []), False)
    moving = [pk for some in apart.values() for pk in some]
    if moving:
        known = line("move_company", actor=batch.person, before={}, after={}, reason=reason, batch=batch.pk)
        known.at = timezone.now()
        after = {"channel": batch.channel}
        kinds = [({"before": {"channel": was}, "after": after}, some) for was, some in apart.items()]
        insert_for_each(known, kinds, OF_COMPANY)
        rows = Company.objects.filter(pk__in=among(moving))
        rows.update(channel=batch.channel, version=F("version") + 1, updated_at=known.at)
        snapshots.mark_changed(*moving)
        features.forget_here()
        announcements.announce()
    return outcomes | dict.fromkeys(moving, True)
