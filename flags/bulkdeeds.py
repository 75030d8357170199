"""What a batch does to each of its people, flags or lines of history: the verb that changes a single one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db.models import Model

from flags import changes, reverting
from flags.batchmodels import Batch
from flags.exceptions import Missing
from flags.models import Change, ChannelDefault, Flag, Grant, Override
from tenants.models import Company, Membership

Subjects = Mapping[str, Any]
"""The rows that are still there, by what the batch calls them."""

OVERRIDES = (Batch.Deed.TURN_ON, Batch.Deed.TURN_OFF, Batch.Deed.RESET)
MISSING = {
    Batch.Subject.COMPANIES: "This company is gone.",
    Batch.Subject.PEOPLE: "They do not belong to the company any more.",
    Batch.Subject.FLAGS: "This flag is gone.",
    Batch.Subject.LINES: "History has forgotten this change.",
}


def load(of: str, names: Sequence[str]) -> dict[str, Any]:
    """Return what a batch calls by these names, as far as it is still there. One query."""
    rows: list[Model]
    if of == Batch.Subject.FLAGS:
        rows = list(Flag.objects.filter(key__in=names))
    elif of == Batch.Subject.PEOPLE:
        rows = list(Membership.objects.filter(pk__in=names).select_related("user", "company"))
    else:
        rows = list(Change.objects.filter(pk__in=names))
    return {str(row.pk): row for row in rows}


def called(subject: Any) -> str:
    """Return what a page calls one of them."""
    if isinstance(subject, Membership):
        return f"{subject.user} ({subject.company.name})"
    if isinstance(subject, Change):
        whom = subject.after.get("user", subject.before.get("user", ""))
        return ", ".join(filter(None, (whom, subject.company_name or subject.flag_name)))
    return str(subject.name)


def change(batch: Batch, subject: Any) -> bool:
    """Change one of them, and return whether that changed anything. Raises what the verb refuses."""
    by = {"actor": batch.person, "reason": batch.reason, "batch": batch.pk}
    if batch.deed in OVERRIDES:
        return _override(batch, subject, by)
    return _DEEDS[batch.deed](batch, subject, by)


def _override(batch: Batch, flag: Flag, by: dict[str, Any]) -> bool:
    company, key = _company(batch), flag.key
    if batch.deed == Batch.Deed.RESET:
        return changes.remove_override(company, key, **by)
    version = Override.objects.filter(company=company, flag=key).order_by().values_list("version", flat=True).first()
    enabled = batch.deed == Batch.Deed.TURN_ON
    override = changes.set_override(company, key, enabled, expires_at=batch.expires_at, **by)
    return override.version != version


def _company(batch: Batch) -> Company:
    company = Company.objects.filter(pk=batch.company).first() if batch.company else None
    if company is None:
        raise Missing("The company is gone.", code="COMPANY_NOT_FOUND")
    return company


def _grant(batch: Batch, membership: Membership, by: dict[str, Any]) -> bool:
    company, user = membership.company, membership.user
    held = Grant.objects.filter(company=company, user=user, flag=batch.flag).first()
    enabled = batch.deed == Batch.Deed.GRANT
    row = changes.grant(company, user, batch.flag, enabled=enabled, expires_at=batch.expires_at, **by)
    said = ("enabled", "reason", "expires_at")
    return held is None or any(getattr(held, name) != getattr(row, name) for name in said)


def _set_channel(batch: Batch, flag: Flag, by: dict[str, Any]) -> bool:
    enabled = batch.deed == Batch.Deed.CHANNEL_ON
    was = ChannelDefault.objects.filter(flag=flag, channel=batch.channel).first()
    row = changes.set_channel(flag.key, batch.channel, enabled, percentage=batch.percentage, **by)
    return was is None or (was.enabled, was.percentage) != (row.enabled, row.percentage)


def _undo(batch: Batch, line: Change, by: dict[str, Any]) -> bool:
    reverting.revert(line, **by)
    return True


_DEEDS: Mapping[str, Callable[[Batch, Any, dict[str, Any]], bool]] = {
    Batch.Deed.GRANT: _grant,
    Batch.Deed.DENY: _grant,
    Batch.Deed.CHANNEL_ON: _set_channel,
    Batch.Deed.CHANNEL_OFF: _set_channel,
    Batch.Deed.UNDO: _undo,
}
