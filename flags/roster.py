"""Companies, their people and tokens as people look for them: read models for lists and pages."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from flags.models import Flag, Grant, Override
from tenants.models import ApiToken, Company, Membership, User
from tenants.names import named


@dataclass(frozen=True, slots=True)
class CompanyRow:
    """One company in a list: how many people it has, and how many overrides on and off."""

    company: Company
    people: int
    overrides_on: int
    overrides_off: int

    @property
    def overrides(self) -> int:
        return self.overrides_on + self.overrides_off


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One person of a company, with the grants and denials they hold there."""

    membership: Membership
    grants: list[Grant]

    @property
    def user(self) -> User:
        return self.membership.user

    @property
    def is_invited(self) -> bool:
        """Whether they have yet to set a password, and so to come in for the first time."""
        return not self.user.has_usable_password()

    def grant_of(self, key: str) -> Grant | None:
        """Return what the person holds of one flag, if anything."""
        return next((grant for grant in self.grants if grant.flag_id == key), None)


@dataclass(frozen=True, slots=True)
class GrantedFlag:
    """A flag that people need a grant for, and how many of the company's hold one, or were denied it."""

    flag: Flag
    granted: int
    denied: int


def find_companies(*, q: str = "", channel: str = "", plan: str = "", active: str = "") -> QuerySet[Company]:
    """Return the companies that match: words in name or slug; a channel and a plan by slug; `active` yes or no."""
    companies = Company.objects.select_related("channel", "plan")
    if q:
        companies = named(companies, *q.split())
    if channel:
        companies = companies.filter(channel=channel)
    if plan:
        companies = companies.filter(plan=plan)
    if active:
        companies = companies.filter(is_active=active == "yes")
    return companies


def company_rows(companies: Iterable[Company]) -> list[CompanyRow]:
    """Return list rows for these companies, in their order. Two queries, whatever their number."""
    found = list(companies)
    ids = [company.pk for company in found]
    people = dict(
        Membership.objects.filter(company__in=ids).order_by().values_list("company_id").annotate(n=Count("pk"))
    )
    overrides = Override.objects.filter(company__in=ids).order_by().values_list("company_id", "enabled")
    counts = {(pk, enabled): n for pk, enabled, n in overrides.annotate(n=Count("pk"))}
    return [
        CompanyRow(
            company, people.get(company.pk, 0), counts.get((company.pk, True), 0), counts.get((company.pk, False), 0)
        )
        for company in found
    ]


def count_up_to(rows: QuerySet, limit: int) -> int:
    """Return how many rows there are, or `limit` for that many and more, without counting them all."""
    return rows.order_by()[:limit].count()


def first_and_total(companies: QuerySet[Company], size: int, limit: int) -> tuple[QuerySet[Company], int]:
    """Return the first companies by name, and how many there are, or `limit` for that many and more. One query so far.

    Both are found in one reading.
    """
    found = list(companies.order_by("name", "id").values_list("pk", flat=True)[:limit])
    return Company.objects.select_related("channel", "plan").filter(pk__in=found[:size]), len(found)


def find_people(company: Company, *, q: str = "", role: str = "", flag: str = "") -> QuerySet[Membership]:
    """Return the company's people that match: text in name or email; a role; holding a grant or denial of a flag."""
    people = Membership.objects.filter(company=company).select_related("user")
    if q:
        people = people.filter(Q(user__name__icontains=q) | Q(user__email__icontains=q))
    if role:
        people = people.filter(role=role)
    if flag:
        people = people.filter(user__in=Grant.objects.filter(company=company, flag=flag).values("user"))
    return people


def person_rows(company: Company, memberships: Iterable[Membership]) -> list[PersonRow]:
    """Return list rows for these people of one company, in their order. One query, whatever their number."""
    found = list(memberships)
    grants: dict[object, list[Grant]] = {}
    held = Grant.objects.filter(company=company, user__in=[membership.user_id for membership in found])
    for grant in held.select_related("flag", "created_by").order_by("flag__name", "flag_id"):
        grants.setdefault(grant.user_id, []).append(grant)
    return [PersonRow(membership, grants.get(membership.user_id, [])) for membership in found]


def memberships_of(person: User) -> list[PersonRow]:
    """Return where one person belongs, home first, each with the grants and denials they hold there. Two queries."""
    found = list(Membership.objects.filter(user=person).select_related("company").order_by("-is_home", "company__name"))
    grants: dict[object, list[Grant]] = {}
    for grant in Grant.objects.filter(user=person).select_related("flag", "created_by").order_by("flag__name"):
        grants.setdefault(grant.company_id, []).append(grant)
    return [PersonRow(membership, grants.get(membership.company_id, [])) for membership in found]


def granted_flags(company: Company, at: datetime | None = None) -> list[GrantedFlag]:
    """Return the live flags that need a grant, with how many of the company's people hold one that counts now."""
    at = at or timezone.now()
    flags = list(Flag.objects.live().filter(needs_grant=True))
    current = Q(expires_at=None) | Q(expires_at__gt=at)
    held = Grant.objects.filter(current, company=company, flag__in=[flag.key for flag in flags]).order_by()
    counts = {(key, enabled): n for key, enabled, n in held.values_list("flag_id", "enabled").annotate(n=Count("pk"))}
    return [GrantedFlag(flag, counts.get((flag.key, True), 0), counts.get((flag.key, False), 0)) for flag in flags]


def find_tokens(*, state: str = "", at: datetime | None = None) -> QuerySet[ApiToken]:
    """Return API tokens, newest first. States: good, and ended (revoked or expired)."""
    at = at or timezone.now()
    ended = Q(revoked_at__isnull=False) | Q(expires_at__lte=at)
    tokens = ApiToken.objects.select_related("company", "created_by")
    if state == "good":
        return tokens.exclude(ended)
    return tokens.filter(ended) if state == "ended" else tokens
