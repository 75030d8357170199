"""Which flags are probably done with, and why: one definition, for lists that filter by it and rows that say it.

Never stale: what is younger than FLAGS_STALE_DAYS, killed (somebody is at it), archived, or being released.
What always differs by design (kill switches, grants, plans, self-service, requirements) is not done with because it is
on or off for everybody just now.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import BooleanField, Case, Exists, OuterRef, Q, QuerySet, Subquery, Value, When
from django.utils import timezone

from flags.models import ChannelDefault, Flag, Override, Requirement
from flags.releasemodels import DailyUsage, Release

REASONS: Mapping[str, str] = {
    "is_fully_on": "on for everybody",
    "is_fully_off": "off for everybody",
    "is_never_asked": "never evaluated",
    "is_long_unasked": "not evaluated for {days} days",
}


def with_reasons(flags: QuerySet[Flag], at: datetime | None = None) -> QuerySet[Flag]:
    """Annotate flags with `last_asked_at` and with each reason there may be to call them stale, true or false."""
    at = at or timezone.now()
    before = at - timedelta(days=settings.FLAGS_STALE_DAYS)
    speaking = Override.objects.filter(flag=OuterRef("pk"), paused=False).filter(
        Q(expires_at=None) | Q(expires_at__gt=at)
    )
    answers = ChannelDefault.objects.filter(flag=OuterRef("pk"))
    asked = DailyUsage.objects.filter(flag=OuterRef("pk")).order_by("-day").values("last_at")[:1]
    can_be = (
        Q(archived_at=None, killed_at=None, created_at__lt=before)
        & ~Q(is_killswitch=True, default_enabled=False)
        & ~Exists(Release.objects.filter(flag=OuterRef("pk"), ended_at=None))
    )
    is_plain = Q(is_killswitch=False, needs_grant=False, minimum_plan=None, is_self_service=False) & ~Exists(
        Requirement.objects.filter(flag=OuterRef("pk"))
    )
    partly = answers.filter(Q(enabled=False) | Q(percentage__lt=100))
    flags = flags.annotate(last_asked_at=Subquery(asked))
    return flags.annotate(
        is_fully_on=_says(
            can_be & is_plain & Q(default_enabled=True) & ~Exists(partly) & ~Exists(speaking.filter(enabled=False))
        ),
        is_fully_off=_says(
            can_be
            & is_plain
            & Q(default_enabled=False)
            & ~Exists(answers.filter(enabled=True, percentage__gt=0))
            & ~Exists(speaking.filter(enabled=True))
        ),
        is_never_asked=_says(can_be & Q(last_asked_at=None)),
        is_long_unasked=_says(can_be & Q(last_asked_at__lt=before)),
    )


def _says(condition: Q) -> Case:
    return Case(When(condition, then=Value(True)), default=Value(False), output_field=BooleanField())


def is_stale() -> Q:
    """Return the condition for flags annotated by `with_reasons`."""
    condition = Q()
    for reason in REASONS:
        condition |= Q(**{reason: True})
    return condition


def is_never_evaluated() -> Q:
    """Return the condition for flags that nobody ever asked for, however young."""
    return ~Q(Exists(DailyUsage.objects.filter(flag=OuterRef("pk"))))


def reasons(flags: Iterable[Flag], at: datetime | None = None) -> dict[str, str]:
    """Return, by key, why a flag is stale, in words; those that are not are left out.

    One query, or none where `with_reasons` has annotated them already.
    """
    at = at or timezone.now()
    found = list(flags)
    if not all(hasattr(flag, "last_asked_at") for flag in found):
        keys = [flag.pk for flag in found]
        found = list(with_reasons(Flag.objects.filter(pk__in=keys).only("key"), at).order_by())
    return {flag.key: words for flag in found if (words := _in_words(flag, at))}


def _in_words(flag: Any, at: datetime) -> str:
    days = (at - flag.last_asked_at).days if flag.last_asked_at else 0
    return ", ".join(words.format(days=days) for name, words in REASONS.items() if getattr(flag, name))
