"""Which flags are probably done with, and why: one definition, for lists that filter by it and rows that say it.

Never stale: what is younger than FLAGS_STALE_DAYS, killed (somebody is at it), archived, or being released.
What always differs by design (kill switches, grants, plans, self-service, requirements) is not done with because it is
on or off for everybody just now.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from flags.models import ChannelDefault, Flag, Override, Requirement
from flags.releasemodels import DailyUsage, Release


def with_facts(flags: QuerySet[Flag], at: datetime | None = None) -> QuerySet[Flag]:
    """Annotate flags with what being stale rests on: `last_asked_at`, and one row of each thing there may be, or None.

    Single rows rather than EXISTS: PostgreSQL would answer that by reading every override there is.
    """
    at = at or timezone.now()

    def one(rows: QuerySet) -> Subquery:
        return Subquery(rows.filter(flag=OuterRef("pk")).order_by().values("pk")[:1])

    lasting = Q(expires_at=None) | Q(expires_at__gt=at)
    speaking = Override.objects.filter(lasting, paused=False)
    return with_last_asked(flags).annotate(
        a_release=one(Release.objects.filter(ended_at=None)),
        a_requirement=one(Requirement.objects.all()),
        an_answer_off=one(ChannelDefault.objects.filter(Q(enabled=False) | Q(percentage__lt=100))),
        an_answer_on=one(ChannelDefault.objects.filter(enabled=True, percentage__gt=0)),
        an_override_off=one(speaking.filter(enabled=False)),
        an_override_on=one(speaking.filter(enabled=True)),
    )


def with_last_asked(flags: QuerySet[Flag]) -> QuerySet[Flag]:
    """Say of each flag when anybody last asked for it (`last_asked_at`, None for never)."""
    asked = DailyUsage.objects.filter(flag=OuterRef("pk")).order_by("-day").values("last_at")[:1]
    return flags.annotate(last_asked_at=Subquery(asked))


def _before(at: datetime) -> datetime:
    return at - timedelta(days=settings.FLAGS_STALE_DAYS)


def is_stale(at: datetime | None = None) -> Q:
    """Return the condition for flags annotated by `with_facts`. It says the same as `reason`."""
    before = _before(at or timezone.now())
    can_be = Q(archived_at=None, killed_at=None, created_at__lt=before, a_release=None)
    rests_off = Q(is_killswitch=True, default_enabled=False)
    plain = Q(is_killswitch=False, needs_grant=False, minimum_plan=None, is_self_service=False, a_requirement=None)
    on = Q(default_enabled=True, an_answer_off=None, an_override_off=None)
    off = Q(default_enabled=False, an_answer_on=None, an_override_on=None)
    unasked = Q(last_asked_at=None) | Q(last_asked_at__lt=before)
    return can_be & ~rests_off & ((plain & (on | off)) | unasked)


def reason(flag: Any, at: datetime) -> str:
    """Return why a flag annotated by `with_facts` is stale, in words; nothing where it is not."""
    before = _before(at)
    if flag.archived_at or flag.killed_at or flag.created_at >= before or flag.a_release or flag.is_killed:
        return ""
    special = (flag.is_killswitch, flag.needs_grant, flag.minimum_plan_id, flag.is_self_service, flag.a_requirement)
    reasons = []
    if not any(special):
        if flag.default_enabled and not (flag.an_answer_off or flag.an_override_off):
            reasons.append("on for everybody")
        elif not flag.default_enabled and not (flag.an_answer_on or flag.an_override_on):
            reasons.append("off for everybody")
    if flag.last_asked_at is None:
        reasons.append("never evaluated")
    elif flag.last_asked_at < before:
        reasons.append(f"not evaluated for {(at - flag.last_asked_at).days} days")
    return ", ".join(reasons)


def is_never_evaluated() -> Q:
    """Return the condition for flags that nobody ever asked for, however young."""
    return ~Q(Exists(DailyUsage.objects.filter(flag=OuterRef("pk"))))


def reasons(flags: Iterable[Flag], at: datetime | None = None) -> dict[str, str]:
    """Return, by key, why a flag is stale, in words; left out are those that are not, or come without their facts."""
    at = at or timezone.now()
    known = (flag for flag in flags if hasattr(flag, "a_release"))
    return {flag.key: words for flag in known if (words := reason(flag, at))}
