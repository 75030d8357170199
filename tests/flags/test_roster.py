"""Companies, people and tokens as lists show them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from flags import roster
from flags.models import Override
from tenants.models import Company, Membership, Role
from tests.factories import (
    ApiTokenFactory,
    FlagFactory,
    GrantFactory,
    MembershipFactory,
    OverrideFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


def slugs(companies) -> list[str]:
    return [company.slug for company in companies.order_by("slug")]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["acme", "default-tenant", "globex"]),
        ({"q": "LOB"}, ["globex"]),
        ({"q": "ult-ten"}, ["default-tenant"]),
        ({"q": "TEN def"}, ["default-tenant"]),
        ({"q": "glob acme"}, []),
        ({"channel": "pilot"}, ["globex"]),
        ({"plan": "enterprise"}, ["default-tenant"]),
        ({"active": "yes"}, ["default-tenant", "globex"]),
        ({"active": "no"}, ["acme"]),
        ({"channel": "general", "plan": "pro", "active": "no", "q": "acme"}, ["acme"]),
    ],
)
def test_companies_are_found_by_what_matches(acme, globex, default_tenant, asked, found):
    Company.objects.filter(pk=acme.pk).update(is_active=False)
    assert slugs(roster.find_companies(**asked)) == found


def test_a_row_counts_people_and_overrides_of_its_own_company(acme, globex, bob, dan):
    flags = [FlagFactory() for _ in range(3)]
    for flag, enabled in zip(flags, (True, True, False), strict=True):
        OverrideFactory(company=acme, flag=flag, enabled=enabled)
    first, second = roster.company_rows([acme, globex])
    assert (first.people, first.overrides_on, first.overrides_off, first.overrides) == (2, 2, 1, 3)
    assert (second.people, second.overrides) == (0, 0)


def test_rows_cost_the_same_however_many_there_are(django_assert_num_queries):
    for _ in range(3):
        MembershipFactory(company=OverrideFactory().company)
    for companies in (Company.objects.all()[:1], Company.objects.all()):
        found = list(companies)
        with django_assert_num_queries(2):
            assert len(roster.company_rows(found)) == len(found)


def test_counting_stops_where_nobody_reads_on():
    for _ in range(4):
        OverrideFactory()
    assert roster.count_up_to(Override.objects.all(), 3) == 3
    assert roster.count_up_to(Override.objects.all(), 10) == 4


def test_people_are_found_within_their_company_only(acme, globex, bob, cora, dan, carol):
    assert set(roster.find_people(acme)) == set(Membership.objects.filter(company=acme))
    assert [row.user for row in roster.find_people(acme, q="COR")] == [cora]
    assert [row.user for row in roster.find_people(acme, q="dan@acme")] == [dan]
    assert [row.user for row in roster.find_people(acme, role=Role.ADMIN)] == [bob]
    assert list(roster.find_people(acme, q="carol")) == []


def test_holders_of_a_grant_are_found_denied_ones_too(acme, bob, dan, cora):
    flag = FlagFactory(needs_grant=True)
    GrantFactory(company=acme, user=bob, flag=flag)
    GrantFactory(company=acme, user=dan, flag=flag, enabled=False)
    assert {row.user for row in roster.find_people(acme, flag=flag.key)} == {bob, dan}


def test_a_person_shows_what_they_hold_here_and_nowhere_else(acme, globex, bob):
    here = GrantFactory(company=acme, user=bob)
    GrantFactory(company=globex, user=bob)
    [row] = roster.person_rows(acme, roster.find_people(acme))
    assert row.grants == [here]
    assert row.grant_of(here.flag_id) == here
    assert row.grant_of("another") is None


def test_somebody_without_a_password_is_still_invited(acme, bob):
    MembershipFactory(company=acme, user=UserFactory(email="new@acme.example", password=None))
    rows = {row.user.email: row for row in roster.person_rows(acme, roster.find_people(acme))}
    assert rows["new@acme.example"].is_invited
    assert not rows[bob.email].is_invited


def test_flags_that_need_a_grant_are_counted_for_this_company(acme, globex, bob, dan, cora, carol):
    flag = FlagFactory(needs_grant=True)
    FlagFactory(needs_grant=False)
    GrantFactory(company=acme, user=bob, flag=flag)
    GrantFactory(company=acme, user=dan, flag=flag, enabled=False)
    GrantFactory(company=acme, user=cora, flag=flag, expires_at=timezone.now() - timedelta(minutes=1))
    GrantFactory(company=globex, user=carol, flag=flag)
    assert [(row.flag, row.granted, row.denied) for row in roster.granted_flags(acme)] == [(flag, 1, 1)]


def test_tokens_are_told_apart_by_whether_they_still_work():
    now = timezone.now()
    good = [ApiTokenFactory(), ApiTokenFactory(expires_at=now + timedelta(days=1))]
    ended = [ApiTokenFactory(revoked_at=now), ApiTokenFactory(expires_at=now - timedelta(days=1))]
    assert set(roster.find_tokens(state="good")) == set(good)
    assert set(roster.find_tokens(state="ended")) == set(ended)
    assert set(roster.find_tokens()) == {*good, *ended}
