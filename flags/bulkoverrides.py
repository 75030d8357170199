"""One flag's override for many companies of a batch at once, with what comes of each as if it were changed alone.

The rules are those of `overrides.set_override` and `overrides.remove_override`; a test holds both to the same answers,
rows and lines of history. Here they cost a few statements, however many companies there are.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.utils import timezone

from flags.batchmodels import Batch
from flags.exceptions import ChangeRefused
from flags.impact import COMPANIES_AT_ONCE
from flags.manyoverrides import NOTHING, STATE, State, Witness, move_many
from flags.models import Override
from flags.recording import clean_expiry, clean_reason, locked_flag
from tenants.models import Company

Outcome = bool | str
"""Whether something changed, or why it was refused."""


class Named(NamedTuple):
    """As much of a company as a batch needs: thousands of whole ones take longer to make than to change."""

    pk: UUID
    name: str


def load(ids: Sequence[str]) -> dict[str, Named]:
    """Return the companies of these ids that are still there. One query."""
    rows = Company.objects.filter(pk__in=ids).order_by().values_list("pk", "name")
    return {str(pk): Named(pk, name) for pk, name in rows}


def change_all(batch: Batch, companies: Iterable[Named]) -> dict[UUID, Outcome]:
    """Do what a batch of overrides does to these companies. Inside `writing`, with authority checked."""
    ids = {company.pk for company in companies}
    try:
        flag = locked_flag(batch.flag)
        reason = clean_reason(batch.reason)
    except ChangeRefused as refusal:
        return dict.fromkeys(ids, refusal.detail)
    after: State = NOTHING
    too_late = ""
    if batch.deed != Batch.Deed.RESET:
        enabled = batch.deed == Batch.Deed.TURN_ON
        after = {"enabled": enabled, "reason": reason, "expires_at": batch.expires_at, "paused": False}
        too_late = _why_too_late(batch)
    outcomes: dict[UUID, Outcome] = {}
    moves: dict[tuple[Any, ...], list[UUID]] = defaultdict(list)
    states = _states(batch.flag, ids)
    for pk in ids:
        before = states.get(pk, NOTHING)
        if before == after:
            outcomes[pk] = False
        elif too_late and before.get("expires_at") != batch.expires_at:
            outcomes[pk] = too_late
        else:
            outcomes[pk] = True
            moves[tuple(before.get(name) for name in STATE) if before else ()].append(pk)
    witness = Witness(batch.person, reason, timezone.now(), batch.pk)
    for state, some in moves.items():
        move_many(flag, some, dict(zip(STATE, state, strict=True)) if state else NOTHING, after, witness)
    return outcomes


def _why_too_late(batch: Batch) -> str:
    try:
        clean_expiry(batch.expires_at)
    except ChangeRefused as refusal:
        return refusal.detail
    return ""


def _states(key: str, companies: set[UUID]) -> dict[UUID, State]:
    rows = Override.objects.filter(flag=key).order_by()
    if len(companies) <= COMPANIES_AT_ONCE:
        rows = rows.filter(company__in=companies)
    return {row[0]: dict(zip(STATE, row[1:], strict=True)) for row in rows.values_list("company_id", *STATE)}
