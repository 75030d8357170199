"""When a rule is saved or deleted: look again here, and once it is committed, drop and warm what changed and say so.

Speed rests on these signals; truth does not. What they miss (`update`, raw SQL, other processes), the version rows
catch.
"""

from typing import Any
from uuid import UUID

from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save

from flags import announcements, features, snapshots
from flags.models import ChannelDefault, Flag, Grant, OptIn, Override, Requirement
from tenants.models import Company, Membership, Plan, ReleaseChannel

GLOBAL = (Flag, Requirement, ChannelDefault, ReleaseChannel, Plan)
OF_A_COMPANY = (Override, OptIn, Grant, Membership)


def _scope(instance: Model) -> UUID | None:
    if isinstance(instance, Company):
        return instance.pk
    return instance.company_id if isinstance(instance, OF_A_COMPANY) else None


def _keys(instance: Model) -> set[str]:
    """Return the flags whose answers hang on a row; empty where all may."""
    key = instance.pk if isinstance(instance, Flag) else getattr(instance, "flag_id", None)
    return {key} if key else set()


def rule_changed(sender: type[Model], instance: Model, using: str, **kwargs: Any) -> None:
    """Receive post_save, post_delete and m2m_changed of whatever answers rest on."""
    snapshots.mark_changed(_scope(instance), using=using)
    features.forget_here()
    if not isinstance(instance, Membership):  # Its grants go with it, and say so themselves.
        announcements.announce(*_keys(instance), using=using)


def connect() -> None:
    """Listen to every model that answers rest on."""
    for model in (*GLOBAL, *OF_A_COMPANY, Company):
        for signal in (post_save, post_delete):
            signal.connect(rule_changed, sender=model, dispatch_uid=f"flags.{model.__name__}.{id(signal)}")
    m2m_changed.connect(rule_changed, sender=Flag.requires.through, dispatch_uid="flags.requires")
