"""Whoever had to give way tries once more, and nobody hears of it."""

import threading
import time
from contextlib import nullcontext
from datetime import UTC, datetime
from unittest import mock

import psycopg
import pytest
from django.db import OperationalError, connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from flags import changes, usage
from flags.models import Change, Flag
from flags.recording import writing
from flags.releasemodels import DailyUsage, Usage
from flags.repeating import verb
from tenants import rls
from tests.factories import CompanyFactory, FlagFactory
from tests.flags.asking import in_thread

AT = datetime(2026, 1, 1, tzinfo=UTC)


PROBLEMS = {
    "deadlock": psycopg.errors.DeadlockDetected,
    "serialization": psycopg.errors.SerializationFailure,
    "lock time-out": psycopg.errors.LockNotAvailable,
    "end of the server": psycopg.errors.AdminShutdown,
}
GIVES_WAY = {"deadlock", "serialization"}


class Attempts:
    """Fails as often as there are problems, and then succeeds."""

    __name__ = "attempts"

    def __init__(self, *problems: str) -> None:
        self.problems, self.made = list(problems), 0

    def __call__(self, answer: str) -> str:
        self.made += 1
        if self.problems:
            raise OperationalError("ended") from PROBLEMS[self.problems.pop(0)]()
        return answer


@pytest.mark.parametrize("problem", sorted(GIVES_WAY))
def test_who_gave_way_tries_once_more(problem):
    attempts = Attempts(problem)
    assert verb(attempts)("done") == "done"
    assert attempts.made == 2


@settings(deadline=None)
@given(st.lists(st.sampled_from(sorted(PROBLEMS)), max_size=4), st.integers(1, 4))
def test_whatever_happens_it_is_attempted_twice_at_most_and_for_nothing_else(problems, depth):
    """Also where verbs are made of verbs: two attempts on each of four floors would be sixteen."""
    attempts = Attempts(*problems)
    whole = attempts
    for _ in range(depth):
        whole = verb(whole)
    first, second = [*problems, "", ""][:2]
    is_done = not first or (first in GIVES_WAY and not second)
    with mock.patch("flags.repeating.time.sleep"):
        with nullcontext() if is_done else pytest.raises(OperationalError):
            assert whole("done") == "done"
        assert attempts.made == (2 if first in GIVES_WAY else 1)
        assert verb(Attempts("deadlock"))("done") == "done", "The next one may be repeated again."


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_undone_by_itself_is_not_attempted_again():
    attempts = Attempts("deadlock")

    @verb
    def change() -> str:
        with transaction.atomic(savepoint=False):
            return attempts("done")

    with pytest.raises(OperationalError, match="ended"), transaction.atomic():
        change()
    assert attempts.made == 1


@pytest.mark.django_db(transaction=True)
def test_what_was_due_on_commit_is_due_once():
    due, attempts = [], Attempts("deadlock")

    @verb
    def change() -> None:
        with writing("test a verb"):
            transaction.on_commit(lambda: due.append(attempts.made))
            attempts("done")

    change()
    assert due == [2]


@pytest.mark.django_db(transaction=True)
def test_the_second_attempt_is_all_there_is_in_history():
    flag = FlagFactory()
    problems = [psycopg.errors.DeadlockDetected()]

    @verb
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
