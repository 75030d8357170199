"""A change made here, by whatever means, is in the next answer of a process that shares nothing but the database."""

import pytest
from django.db import connection, transaction
from django.utils import timezone

from flags import changes
from flags.models import Flag, Override
from tests.factories import FlagFactory, OverrideFactory
from tests.flags.otherprocess import OtherProcess

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def other():
    with OtherProcess(connection.settings_dict) as other:
        yield other


def sql(statement: str, *params: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def test_every_way_of_changing_a_rule_is_in_the_next_answer(acme, alice, other):
    flag = FlagFactory(key="trip_map")

    def enabled() -> bool:
        answer = other.ask(acme.pk, "trip_map")
        assert not answer["stale"]
        return answer["enabled"]

    assert not enabled()
    flag.default_enabled = True
    flag.save()
    assert enabled()
    Flag.objects.filter(pk="trip_map").update(default_enabled=False)
    assert not enabled()
    sql("update flags_flag set default_enabled = %s where key = %s", True, "trip_map")
    assert enabled()
    Override.objects.bulk_create([Override(company=acme, flag=flag, enabled=False)])
    assert not enabled()
    sql("delete from flags_override")
    assert enabled()
    changes.kill("trip_map", actor=alice, reason="it leaks")
    assert other.ask(acme.pk, "trip_map")["reason"] == "killed"
    changes.revive("trip_map", actor=alice, reason="it does not")
    assert enabled()
    flag.delete()
    assert other.ask(acme.pk, "trip_map")["reason"] == "unknown_flag"


def test_between_changes_it_pays_one_query_an_answer(acme, other):
    counts = [other.ask(acme.pk, "driver_management")["queries"] for _ in range(3)]
    assert counts == [3, 1, 1]
    OverrideFactory(company=acme, flag=Flag.objects.get(pk="driver_management"), enabled=False)
    assert [other.ask(acme.pk, "driver_management")["queries"] for _ in range(2)] == [2, 1]


def test_a_change_is_seen_when_it_is_committed_and_not_before_and_never_if_it_is_not(acme, other):
    FlagFactory(key="trip_map")
    for keep in (False, True):
        with transaction.atomic():
            Flag.objects.filter(pk="trip_map").update(default_enabled=True)
            assert not other.ask(acme.pk, "trip_map")["enabled"]
            transaction.set_rollback(not keep)
        assert other.ask(acme.pk, "trip_map")["enabled"] is keep


def test_what_ends_in_time_ends_there_too(acme, other):
    end = timezone.now() + timezone.timedelta(seconds=1.5)
    OverrideFactory(company=acme, flag=FlagFactory(key="trip_map"), expires_at=end)
    assert other.ask(acme.pk, "trip_map")["enabled"] or timezone.now() >= end
    while timezone.now() < end:
        pass
    assert not other.ask(acme.pk, "trip_map")["enabled"]
