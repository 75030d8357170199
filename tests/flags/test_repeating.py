"""Whoever had to give way tries once more, and nobody hears of it."""

import threading
import time
from datetime import UTC, datetime

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from flags import changes, usage
from flags.models import Change, Flag
from flags.recording import writing
from flags.releasemodels import DailyUsage, Usage
from flags.repeating import once_more_after_a_deadlock
from tenants import rls
from tests.factories import CompanyFactory, FlagFactory
from tests.flags.asking import in_thread

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Verb:
    """Fails as often as there are problems, and then succeeds."""

    def __init__(self, *problems: psycopg.Error) -> None:
        self.problems, self.asked = list(problems), 0

    def __call__(self, answer: str) -> str:
        self.asked += 1
        if self.problems:
            raise OperationalError("ended") from self.problems.pop(0)
        return answer

    __name__ = "verb"


@pytest.mark.parametrize("problem", [psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure])
def test_who_gave_way_tries_once_more(problem):
    verb = Verb(problem())
    assert once_more_after_a_deadlock(verb)("done") == "done"
    assert verb.asked == 2


@pytest.mark.parametrize(
    ("problems", "asked"),
    [
        ([psycopg.errors.DeadlockDetected(), psycopg.errors.DeadlockDetected()], 2),
        ([psycopg.errors.LockNotAvailable()], 1),
        ([psycopg.errors.AdminShutdown()], 1),
    ],
)
def test_but_not_for_ever_and_for_nothing_else(problems, asked):
    verb = Verb(*problems)
    with pytest.raises(OperationalError):
        once_more_after_a_deadlock(verb)("done")
    assert verb.asked == asked


@pytest.mark.django_db(transaction=True)
def test_the_second_attempt_is_all_there_is_in_history():
    flag = FlagFactory()
    problems = [psycopg.errors.DeadlockDetected()]

    @once_more_after_a_deadlock
    def delete() -> None:
        with writing("test a verb"):
            changes.delete_flag(flag.pk, actor=None, reason="gone")
            if problems:
                raise OperationalError("deadlock detected") from problems.pop()

    with transaction.atomic(), rls.acting_as_system("test a verb inside a request"):
        delete()
    assert not Flag.objects.filter(pk=flag.pk).exists()
    assert Change.objects.filter(verb="delete_flag").count() == 1


def waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from pg_locks where not granted and relation = 'flags_usage'::regclass")
        return cursor.fetchone()[0] > 0


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_deleting_a_flag_waits_for_whoever_writes_down_its_use_and_neither_has_to_give_way(caplog):
    """One would hold the flag and want its counts; the other holds a count and, to make another, wants the flag."""
    flag, (first, second) = FlagFactory(key="trip_map"), CompanyFactory.create_batch(2)
    tallies = {company: usage.Tally() for company in (first, second)}
    names = {company: (str(company.pk), "trip_map", AT.date()) for company in (first, second)}
    for tally in tallies.values():
        tally.count(True, AT, False)
    usage._write({names[first]: tallies[first]})
    counted, is_awaited = threading.Event(), threading.Event()

    def hold(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if "flags_dailyusage" in sql:
            counted.set()
            is_awaited.wait(10)
        return result

    def write_down() -> None:
        with connection.execute_wrapper(hold):
            usage._write({name: tallies[company] for company, name in names.items()})

    writing_down = in_thread(write_down)
    assert counted.wait(10)
    deleting = in_thread(lambda: changes.delete_flag("trip_map", actor=None, reason="gone"))
    deadline = time.monotonic() + 10
    while not waits_for_a_lock() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert waits_for_a_lock()
    is_awaited.set()
    writing_down()
    deleting()
    assert not Flag.objects.filter(pk=flag.pk).exists()
    assert (Usage.objects.count(), DailyUsage.objects.count()) == (0, 0)
    assert Change.objects.filter(verb="delete_flag").count() == 1
    assert "repeated after a deadlock" not in caplog.text
