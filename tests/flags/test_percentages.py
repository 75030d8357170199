"""Percentages never reshuffle: as releases steer them, and as PostgreSQL answers by itself."""

import uuid
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flags import changes, releases
from flags.evaluation import ChannelAnswer, bucket
from flags.features import features_for
from flags.impact import Proposed, companies_gaining, companies_with
from flags.models import Flag
from flags.releasemodels import Gate
from tenants.models import Company
from tests.factories import CompanyFactory
from tests.sampling import LONG

pytestmark = pytest.mark.django_db

KEY = "trip_management"
percentages = st.integers(0, 100)
few = settings(max_examples=50 if LONG else 8, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def pilots(db) -> list[Company]:
    """Enough companies that a place in the rollout is seldom shared."""
    return CompanyFactory.create_batch(60, channel="pilot")


@pytest.fixture
def in_internal(alice, pilots) -> None:
    releases.start(KEY, actor=alice)
    Gate.objects.all().delete()


def having() -> set[uuid.UUID]:
    """Who has it, by Python's answers; PostgreSQL's own answers must be the same."""
    by_python = {one.pk for one in Company.objects.filter(is_active=True) if features_for(None, one)[KEY]}
    assert by_python == set(companies_with(KEY))
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "select c.id from tenants_company c where (select d.enabled from "
                "flags_decide_all(c.id, null, false, now()) d where d.key = %s)",
                [KEY],
            )
            assert {row[0] for row in cursor.fetchall()} == by_python
    return by_python


@few
@given(first=percentages, later=st.lists(percentages, min_size=1, max_size=4))
def test_growing_takes_nobody_out_and_shrinking_lets_nobody_in(in_internal, alice, first, later):
    with transaction.atomic():
        releases.promote(KEY, actor=alice, percentage=first)
        seen = [(first, having())]
        for percentage in later:
            changes.set_channel(KEY, "pilot", True, percentage=percentage, actor=alice)
            seen.append((percentage, having()))
        for (before, had), (after, has) in pairwise(seen):
            assert had <= has if before <= after else has <= had
        for (one, had), (other, has) in pairwise(sorted(seen, key=lambda step: step[0])):
            assert had <= has  # Whatever the way there was.
            assert one != other or had == has
        transaction.set_rollback(True)


@few
@given(share=percentages)
def test_off_and_on_again_pausing_killing_and_rolling_back_keep_everybodys_place(in_internal, alice, share):
    with transaction.atomic():
        releases.promote(KEY, actor=alice, percentage=share)
        had = having()
        changes.set_channel(KEY, "pilot", False, actor=alice)
        changes.set_channel(KEY, "pilot", True, percentage=share, actor=alice)
        assert having() == had
        changes.kill(KEY, actor=alice, reason="drill")
        assert not having()
        changes.revive(KEY, actor=alice, reason="drill")
        assert having() == had
        releases.roll_back(KEY, "internal", actor=alice, reason="drill")
        releases.promote(KEY, actor=alice, percentage=share)
        assert having() == had
        transaction.set_rollback(True)


@few
@given(share=percentages)
def test_a_company_keeps_its_place_in_the_next_channel(in_internal, alice, share):
    """Who was in at 25 % of pilot is in at 25 % of general: the place is the company's, not the channel's."""
    with transaction.atomic():
        releases.promote(KEY, actor=alice, percentage=share)
        had = having()
        releases.promote(KEY, actor=alice, percentage=share)
        Company.objects.filter(channel="pilot").update(channel="general")
        assert having() == had
        transaction.set_rollback(True)


@few
@given(first=percentages, more=percentages)
def test_the_list_of_who_is_next_is_who_comes_in(in_internal, alice, first, more):
    with transaction.atomic():
        releases.promote(KEY, actor=alice, percentage=first)
        had = having()
        larger = max(first, more)
        foretold = set(companies_gaining(Proposed(KEY, channels={"pilot": ChannelAnswer(True, larger)})))
        changes.set_channel(KEY, "pilot", True, percentage=larger, actor=alice)
        assert having() - had == foretold
        transaction.set_rollback(True)


@pytest.mark.postgres
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.from_regex(r"[a-z][a-z0-9_]{0,60}", fullmatch=True), company=st.uuids())
def test_every_company_has_one_place_in_python_and_in_sql(db, key, company):
    with connection.cursor() as cursor:
        cursor.execute("select flags_bucket(%s, %s)", [key, company])
        [place] = cursor.fetchone()
    assert place == bucket(key, str(company))
    assert 0 <= place < 100


@pytest.mark.postgres
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shares=st.lists(percentages, min_size=2, max_size=6), company=st.uuids())
def test_in_sql_a_growing_share_never_takes_a_company_out(db, shares, company):
    """The function itself, on rows that no verb of ours wrote."""
    with transaction.atomic():
        one = CompanyFactory(pk=company, channel="pilot")
        flag = Flag.objects.get(key=KEY)
        answers = []
        for share in sorted(shares):
            flag.channel_defaults.update_or_create(channel_id="pilot", defaults={"enabled": True, "percentage": share})
            with connection.cursor() as cursor:
                cursor.execute(
                    "select enabled from flags_decide_all(%s, null, false, %s) where key = %s",
                    [one.pk, datetime.now(UTC), KEY],
                )
                answers.append(cursor.fetchone()[0])
        assert answers == sorted(answers)
        assert answers == [bucket(KEY, str(company)) < share for share in sorted(shares)]
        transaction.set_rollback(True)
