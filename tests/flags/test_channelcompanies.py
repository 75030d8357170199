"""The companies of a channel: what each has, when it asked, and in which order a rollout takes them in."""

from datetime import timedelta

import pytest
from django.utils import timezone

from flags import changes
from flags.channelcompanies import NOW, lines, share_of, shares
from flags.channels import rails
from flags.evaluation import bucket
from flags.models import Flag
from flags.releasemodels import Usage
from tenants.models import Company
from tests.factories import CompanyFactory

pytestmark = pytest.mark.django_db
KEY = "trip_management"


@pytest.fixture
def flag() -> Flag:
    return Flag.objects.get(key=KEY)


@pytest.fixture
def many() -> list[Company]:
    return [CompanyFactory(channel="pilot", name=f"Company {number:02}") for number in range(40)]


def places(many) -> dict[str, int]:
    return {company.name: bucket(KEY, str(company.pk)) for company in many}


def test_the_database_ranks_companies_as_evaluation_does(flag, many):
    expected = places(many)
    steps = shares(flag, "pilot", 0)
    assert [(step.name, step.first, step.last) for step in steps] == [
        (NOW, 0, 0),
        ("25", 0, 25),
        ("50", 25, 50),
        ("100", 50, 100),
    ]
    for step in steps:
        found = lines(flag, "pilot", 100, share=step).rows
        assert {line.company.name for line in found} == {
            name for name, place in expected.items() if step.first <= place < step.last
        }
        assert [line.place for line in found] == sorted(line.place for line in found)
        assert step.companies == len(found)
        assert all(line.in_from == expected[line.company.name] + 1 for line in found)


def test_who_is_said_to_come_in_does(flag, many, alice):
    for percentage in (25, 50, 100):
        promised = {
            line.company.name
            for step in shares(
                flag, "pilot", share_of(flag, next(state for state in rails([KEY])[KEY] if state.slug == "pilot"))
            )
            if step.name in (NOW, str(percentage))
            for line in lines(flag, "pilot", 100, share=step).rows
        }
        changes.set_channel(KEY, "pilot", True, percentage=percentage, actor=alice)
        on = {line.company.name for line in lines(flag, "pilot", 100).rows if line.decision.enabled}
        assert promised == on


def test_a_share_comes_in_pages_that_know_each_other(flag, many):
    step = shares(flag, "pilot", 0)[-1]
    whole = [line.company.pk for line in lines(flag, "pilot", 100, share=step).rows]
    first = lines(flag, "pilot", 3, share=step)
    second = lines(flag, "pilot", 3, share=step, after=first.next)
    assert [line.company.pk for line in first.rows + second.rows] == whole[:6]
    assert lines(flag, "pilot", 3, share=step, before=second.previous).rows[0].company.pk == whole[0]


def test_a_line_says_what_it_has_why_and_when_it_asked(flag, globex, acme, alice):
    changes.set_override(globex, KEY, True, actor=alice)
    now = timezone.now()
    for days in (0, 3):
        at = now - timedelta(days=days)
        Usage.objects.create(company=globex, flag=flag, day=at.date(), on=1, last_at=at)
    [line] = lines(flag, "pilot", 10).rows
    assert (line.company, line.decision.enabled, line.decision.reason, line.asked_at) == (
        globex,
        True,
        "override",
        now,
    )
    [other] = lines(flag, "general", 10).rows
    assert (other.company, other.decision.enabled, other.asked_at) == (acme, False, None)


def test_inactive_companies_are_left_out(flag, globex):
    Company.objects.filter(pk=globex.pk).update(is_active=False)
    assert lines(flag, "pilot", 10).rows == []
    assert sum(step.companies for step in shares(flag, "pilot", 0)) == 0


def test_the_cost_does_not_grow(flag, many, django_assert_num_queries):
    lines(flag, "pilot", 2)
    with django_assert_num_queries(3):
        lines(flag, "pilot", 2)
    with django_assert_num_queries(3):
        lines(flag, "pilot", 40)
    with django_assert_num_queries(1):
        shares(flag, "pilot", 10)
