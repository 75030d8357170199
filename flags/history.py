"""History as people look for it: filters, and the lines of one flag, company or request."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from flags.keyset import Stretch, stretch
from flags.models import Change
from tenants.models import Company, Membership, User

VIA = ("console", "company", "api", "command", "shell", "system")


def find_changes(
    *,
    flag: str = "",
    company: str = "",
    actor: str = "",
    verb: str = "",
    via: str = "",
    since: date | None = None,
    until: date | None = None,
    q: str = "",
    batch: UUID | None = None,
) -> QuerySet[Change]:
    """Return the lines of history that match: exact flag key, company slug, verb, door, batch; actor by part of a name.

    `since` and `until` are days in the present time zone, both included. `q` is looked for in reasons and names.
    """
    changes = Change.objects.all()
    exact = {"flag": flag, "verb": verb, "via": via}
    changes = changes.filter(**{field: value for field, value in exact.items() if value})
    if batch:
        changes = changes.filter(batch=batch)
    if company:
        # By id where there is one, which has an index; by the name it had then where the company is gone.
        known = Company.objects.filter(slug=company).values_list("pk", flat=True).first()
        changes = changes.filter(company_id=known) if known else changes.filter(company_slug=company)
    if actor:
        changes = changes.filter(Q(actor__icontains=actor) | Q(actor_name__icontains=actor))
    if since:
        changes = changes.filter(at__gte=_midnight(since))
    if until:
        changes = changes.filter(at__lt=_midnight(until + timedelta(days=1)))
    if q:
        names = ("reason", "flag", "flag_name", "company_name", "company_slug", "actor_name")
        found = Q()
        for name in names:
            found |= Q(**{f"{name}__icontains": q})
        changes = changes.filter(found)
    return changes


# What is done to people, in verbs.
ABOUT_PEOPLE = ("grant", "revoke", "add_member", "set_role", "remove_member")


def of_person(person: User) -> QuerySet[Change]:
    """Return what a person did, and what was done to them in the companies they belong to."""
    companies = Membership.objects.filter(user=person).order_by().values("company_id")
    told = Q(after__user=person.email) | Q(before__user=person.email)
    about = Q(told, company_id__in=companies, verb__in=ABOUT_PEOPLE)
    return Change.objects.filter(Q(actor_id=person.pk) | about)


def batch_sizes(changes: Iterable[Change]) -> dict[UUID, int]:
    """Return, for the batches that these lines are of, how many lines each has in all. One query."""
    batches = {change.batch for change in changes if change.batch is not None}
    if not batches:
        return {}
    return dict(Change.objects.filter(batch__in=batches).order_by().values_list("batch").annotate(n=Count("pk")))


def newest_first(changes: QuerySet[Change], size: int, *, after: str = "", before: str = "") -> Stretch:
    """Return one page of history; `after` and `before` are cursors of another."""
    return stretch(changes, ("at", "id"), size, after=after, before=before, descending=True)


def made_by_request(request_id: str) -> Change | None:
    """Return the last line that a request has written, if any."""
    return Change.objects.filter(request_id=request_id).first() if request_id else None


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
