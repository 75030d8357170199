"""One change for many companies, in steps: begun once, resumable, and one batch in history that is undone as one.

Each company is changed by the same verb as a single one. A step is one transaction: what it changed, what it wrote to
history and how far the batch has come are kept together or not at all, so a step that is cut off is simply taken again.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from flags import overrides
from flags.batchmodels import Batch
from flags.exceptions import ChangeRefused, Conflict, Invalid, Missing
from flags.models import Flag, Override
from flags.recording import authorise, clean_expiry, clean_reason, record, writing
from tenants.models import Company, User

WRITE = ("flags:write", "tenants:write")
MOST = 100_000
AT_ONCE = 200
NAMES_KEPT = 200


def begin(
    pk: UUID,
    companies: Iterable[UUID],
    key: str,
    deed: str,
    *,
    actor: User,
    reason: str = "",
    expires_at: datetime | None = None,
    expected: int | None = None,
) -> Batch:
    """Begin a change for these companies; nothing is changed yet. Begun again under the same id, it is the same batch.

    `expected` is how many companies one was shown. Raises Conflict when they are not as many by now, Invalid, Missing.
    """
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    if deed not in Batch.Deed.values:
        raise Invalid("Say what to do: turn on, turn off, or reset.", errors={"deed": ["Choose one."]})
    if deed == Batch.Deed.RESET:
        expires_at = None
    with writing("begin a batch"):
        known = Batch.objects.filter(pk=pk).first()
        if known is not None:
            return _own(known, actor)
        if not Flag.objects.filter(key=key).exists():
            raise Missing(f"There is no flag {key!r}.", code="FLAG_NOT_FOUND")
        clean_expiry(expires_at)
        chosen = list(dict.fromkeys(str(company) for company in companies))
        if not chosen:
            raise Invalid("No company is chosen.", errors={"companies": ["Choose at least one."]})
        if len(chosen) > MOST:
            raise Invalid(f"At most {MOST} companies at once.", errors={"companies": ["Too many."]})
        if expected is not None and len(chosen) != expected:
            raise Conflict(
                f"{len(chosen)} companies match by now, not {expected}. Look at what it would do, and decide again.",
                current=len(chosen),
                yours=expected,
            )
        return Batch.objects.create(
            pk=pk,
            person=actor,
            flag=key,
            deed=deed,
            reason=reason,
            expires_at=expires_at,
            companies=chosen,
            total=len(chosen),
        )


def step(pk: UUID, *, actor: User, most: int = AT_ONCE) -> Batch:
    """Change the next companies of a batch, at most so many, and return how far it is. Silent on one that is done."""
    authorise(actor, WRITE)
    with writing("take a step of a batch"):
        batch = _locked(pk, actor)
        if batch.finished_at is not None:
            return batch
        some = [UUID(one) for one in batch.companies[batch.done : batch.done + most]]
        there = Company.objects.in_bulk(some)
        versions = dict(
            Override.objects.filter(flag=batch.flag, company__in=some).order_by().values_list("company_id", "version")
        )
        for one in some:
            _take(batch, one, there.get(one), versions.get(one))
        batch.done += len(some)
        if batch.done >= batch.total:
            _finish(batch)
        batch.save()
    return batch


def stop(pk: UUID, *, actor: User) -> Batch:
    """End a batch where it is; the companies that were not taken stay as they are."""
    authorise(actor, WRITE)
    with writing("stop a batch"):
        batch = _locked(pk, actor)
        if batch.finished_at is None:
            _finish(batch)
            batch.save()
    return batch


def _own(batch: Batch, actor: User) -> Batch:
    if batch.person_id != actor.pk:
        raise ChangeRefused("Somebody else began this. Ask them to go on, or begin anew.", code="NOT_YOUR_BATCH")
    return batch


def _locked(pk: UUID, actor: User) -> Batch:
    batch = Batch.objects.select_for_update(of=("self",)).filter(pk=pk).first()
    if batch is None:
        raise Missing("There is no such batch.", code="BATCH_NOT_FOUND")
    return _own(batch, actor)


def _take(batch: Batch, pk: UUID, company: Company | None, version: int | None) -> None:
    """Change one company, by the verb that changes a single one, and note what came of it."""
    if company is None:
        _refuse(batch, str(pk), "This company is gone.")
        return
    try:
        has_changed = _change(batch, company, version)
    except ChangeRefused as refusal:
        _refuse(batch, company.name, refusal.detail)
        return
    if has_changed:
        batch.changed_count += 1
    else:
        batch.unchanged_count += 1
        if len(batch.unchanged) < NAMES_KEPT:
            batch.unchanged.append(company.name)


def _change(batch: Batch, company: Company, version: int | None) -> bool:
    actor, reason = batch.person, batch.reason
    if batch.deed == Batch.Deed.RESET:
        return overrides.remove_override(company, batch.flag, actor=actor, reason=reason, batch=batch.pk)
    enabled = batch.deed == Batch.Deed.TURN_ON
    override = overrides.set_override(
        company, batch.flag, enabled, actor=actor, reason=reason, expires_at=batch.expires_at, batch=batch.pk
    )
    return override.version != version


def _refuse(batch: Batch, name: str, why: str) -> None:
    batch.refused_count += 1
    if len(batch.refused) < NAMES_KEPT:
        batch.refused.append([name, why])


def _finish(batch: Batch) -> None:
    """End a batch with a line of history of its own, by which it is found and undone as one."""
    batch.finished_at = timezone.now()
    flag = Flag.objects.filter(key=batch.flag).first()
    if batch.changed_count and flag is not None:
        record(
            "change_companies",
            actor=batch.person,
            flag=flag,
            before={},
            after={"deed": batch.deed, "companies": batch.changed_count},
            reason=batch.reason,
            batch=batch.pk,
        )
