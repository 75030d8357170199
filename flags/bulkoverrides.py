"""One flag's override for many companies of a batch at once, with what comes of each as if it were changed alone.

The rules are those of `overrides.set_override` and `overrides.remove_override`; a test holds both to the same answers,
rows and lines of history. Here they cost a few statements, however many companies there are.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from django.utils import timezone

from flags.batchmodels import Batch
from flags.exceptions import ChangeRefused
from flags.manyoverrides import Move, State, Witness, move_many, states
from flags.recording import clean_expiry, clean_reason, locked_flag
from flags.setwise import among
from tenants.models import Company

Outcome = bool | str
"""Whether something changed, or why it was refused."""


class Named(NamedTuple):
    """As much of a company as a batch needs: thousands of whole ones take longer to make than to change."""

    pk: UUID
    name: str


def load(ids: Sequence[str]) -> dict[str, Named]:
    """Return the companies of these ids that are still there. One query."""
    rows = Company.objects.filter(pk__in=among([UUID(pk) for pk in ids])).order_by().values_list("pk", "name")
    return {str(pk): Named(pk, name) for pk, name in rows}


def change_all(batch: Batch, companies: Iterable[Named]) -> dict[UUID, Outcome]:
    """Do what a batch of overrides does to these companies. Inside `writing`, with authority checked."""
    ids = {company.pk for company in companies}
    try:
        flag = locked_flag(batch.flag)
        reason = clean_reason(batch.reason)
    except ChangeRefused as refusal:
        return dict.fromkeys(ids, refusal.detail)
    after = None
    too_late = ""
    if batch.deed != Batch.Deed.RESET:
        after = State(batch.deed == Batch.Deed.TURN_ON, reason, batch.expires_at)
        too_late = _why_too_late(batch)
    outcomes: dict[UUID, Outcome] = {}
    moves: dict[Move, list[UUID]] = defaultdict(list)
    now = states([flag.key], ids)
    for pk in ids:
        before = now.get((pk, flag.key))
        if before == after:
            outcomes[pk] = False
        elif too_late and (before.expires_at if before else None) != batch.expires_at:
            outcomes[pk] = too_late
        else:
            outcomes[pk] = True
            moves[(before, after)].append(pk)
    move_many(flag, moves, Witness(batch.person, reason, timezone.now(), batch.pk))
    return outcomes


def _why_too_late(batch: Batch) -> str:
    try:
        clean_expiry(batch.expires_at)
    except ChangeRefused as refusal:
        return refusal.detail
    return ""
