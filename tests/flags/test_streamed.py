"""`FLAGS_FRESHNESS=streamed`: checks ask nobody, and still no answer is older than the bound, whatever happens."""

import os
import signal
import threading
import time
from contextlib import contextmanager

import pytest
from django.db import OperationalError, connection, transaction

from flags import snapshots, triggers, versions, watching
from flags.features import features_for
from flags.models import Flag, Override
from tenants import rls
from tests.factories import CompanyFactory, FlagFactory, OverrideFactory
from tests.flags.otherprocess import OtherProcess

pytestmark = pytest.mark.django_db(transaction=True)

BOUND = 1.0
SOON = 0.5
"""Half of the bound; what it should take is a hundredth of it, on a machine with nothing else to do."""


@pytest.fixture
def streamed(settings):
    """This process is told of changes."""
    settings.FLAGS_MAX_STALENESS_MS = int(BOUND * 1000)
    watching.begin()
    yield
    watching.end()


@pytest.fixture
def other():
    with OtherProcess(connection.settings_dict, FLAGS_FRESHNESS="streamed") as other:
        yield other


@pytest.fixture
def trip_map(db) -> Flag:
    return FlagFactory(key="trip_map")


def switch(enabled: bool) -> float:
    """Change the default as nobody's signal can see, and return when it was acknowledged."""
    with connection.cursor() as cursor:
        cursor.execute("update flags_flag set default_enabled = %s where key = 'trip_map'", [enabled])
    return time.monotonic()


def until_silent(company) -> None:
    """Wait until a check here costs no query; on a busy machine the thread may take its time."""
    until(lambda: asking_takes(company) == 0, 20)


def until(condition, seconds: float = BOUND) -> float:
    """Wait until something is so, and return how long it took. Fails past `seconds`."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "not in time"
        time.sleep(0.002)
    return time.monotonic() - began


def settle(other: OtherProcess, company) -> None:
    """Let the other process read the company, and hear of it."""
    until(lambda: other.ask(company.pk, "trip_map")["queries"] == 0, 10)


# Asking


def test_a_warm_check_asks_the_database_nothing(acme, other, trip_map):
    settle(other, acme)
    time.sleep(BOUND * 1.5)  # Not even past the bound: the thread has looked again.
    answers = [other.ask(acme.pk, "trip_map") for _ in range(20)]
    assert {(answer["enabled"], answer["reason"], answer["stale"]) for answer in answers} == {(False, "default", False)}
    # Where the machine is so busy that the thread is late, a check may ask for itself.
    assert [answer["queries"] for answer in answers].count(0) > 15


def test_every_kind_of_change_arrives_in_another_process(acme, bob, other, trip_map):
    settle(other, acme)

    def arrives(enabled: bool, reason: str) -> None:
        until(lambda: (said := other.ask(acme.pk, "trip_map"))["enabled"] is enabled and said["reason"] == reason)

    switch(True)
    arrives(True, "default")
    Override.objects.bulk_create([Override(company=acme, flag=trip_map, enabled=False)])
    arrives(False, "override")
    Override.objects.all().delete()
    arrives(True, "default")
    Flag.objects.filter(pk="trip_map").update(killed_at="2026-01-01T00:00Z", kill_reason="it leaks")
    arrives(False, "killed")
    Flag.objects.filter(pk="trip_map").delete()
    arrives(False, "unknown_flag")
    until(lambda: other.ask(acme.pk, "trip_map")["queries"] == 0)


def test_a_change_of_one_company_is_read_ahead_and_those_of_others_are_not_read(acme, globex, streamed, trip_map):
    until_silent(acme)
    with rls.acting_as_system("test"):
        OverrideFactory(company=globex, flag=trip_map)
    until_silent(acme)
    assert globex.pk not in snapshots._known


def test_what_never_was_committed_never_arrives(acme, other, trip_map):
    settle(other, acme)
    with transaction.atomic():
        switch(True)
        time.sleep(SOON)
        assert not other.ask(acme.pk, "trip_map")["enabled"]
        transaction.set_rollback(True)
    time.sleep(SOON)
    assert not other.ask(acme.pk, "trip_map")["enabled"]


@pytest.mark.postgres
def test_versions_that_are_committed_in_another_order_than_given_arrive_all(acme, globex, streamed, trip_map):
    """Versions are times: one that is given first and committed last is smaller than what was already seen."""
    for company in (acme, globex):
        OverrideFactory(company=company, flag=trip_map, enabled=False)
        until_silent(company)
    given, seen = threading.Event(), threading.Event()

    def early_and_late() -> None:
        with transaction.atomic(), rls.acting_as_system("test"):
            Override.objects.filter(company=acme).update(enabled=True)
            given.set()
            seen.wait(10)
        connection.close()

    thread = threading.Thread(target=early_and_late)
    thread.start()
    given.wait(10)
    Override.objects.filter(company=globex).update(enabled=True)
    until(lambda: features_for(None, globex)["trip_map"])
    until_silent(globex)
    seen.set()
    thread.join()
    until(lambda: features_for(None, acme)["trip_map"])


# What this process writes itself


def asking_takes(company) -> int:
    """Return how many queries a check costs here."""
    counted = 0

    def count(execute, sql, params, many, context):
        nonlocal counted
        counted += 1
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        _ = features_for(None, company)["trip_map"]
    return counted


def test_ones_own_change_is_seen_at_once(acme, streamed, trip_map):
    until_silent(acme)
    for enabled in (True, False) * 20:
        switch(enabled)
        assert features_for(None, acme)["trip_map"] is enabled
    trip_map.default_enabled = True
    trip_map.save()
    assert features_for(None, acme)["trip_map"]


def test_ones_own_uncommitted_change_is_seen_and_what_is_taken_back_is_not(acme, streamed, trip_map):
    until_silent(acme)
    with transaction.atomic():
        switch(True)
        assert features_for(None, acme)["trip_map"]
        with transaction.atomic():
            switch(False)
            assert not features_for(None, acme)["trip_map"]
            transaction.set_rollback(True)
        assert features_for(None, acme)["trip_map"]
        transaction.set_rollback(True)
    assert not features_for(None, acme)["trip_map"]
    until_silent(acme)


@pytest.mark.postgres
def test_a_transaction_that_writes_something_else_asks_nothing(acme, streamed, trip_map):
    until_silent(acme)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("create temporary table something_else (n int)")
        until_silent(acme)


# The bound


def test_past_the_bound_the_database_is_asked(acme, streamed, trip_map, monkeypatch):
    until_silent(acme)
    assert watching.age() < BOUND
    monkeypatch.setattr(watching, "monotonic", lambda: time.monotonic() + 2 * BOUND)
    monkeypatch.setattr(watching.Watched, "look", lambda *_: time.sleep(0.01))
    time.sleep(0.3)
    assert asking_takes(acme) == 1
    assert watching.is_late()


@contextmanager
def stopped(other: OtherProcess):
    os.kill(other.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(other.process.pid, signal.SIGCONT)


def test_a_process_that_was_frozen_does_not_answer_from_before(acme, other, trip_map):
    settle(other, acme)
    frozen = float(os.environ.get("FROZEN_SECONDS", BOUND * 1.2))  # 30 by hand.
    with stopped(other):
        switch(True)
        time.sleep(frozen)
    answer = other.ask(acme.pk, "trip_map")
    assert answer["enabled"]
    assert not answer["stale"]
    settle(other, acme)


# Losing touch


def listeners() -> list[int]:
    with rls.acting_as_nobody(), connection.cursor() as cursor:
        cursor.execute(
            "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() "
            "and usename = session_user"
        )
        return [pid for (pid,) in cursor.fetchall()]


@pytest.mark.postgres
def test_a_listener_that_is_ended_again_and_again_comes_back(acme, other, trip_map):
    settle(other, acme)
    enabled = False
    end = time.monotonic() + 4
    ended = 0
    while time.monotonic() < end:
        with rls.acting_as_nobody(), connection.cursor() as cursor:
            for pid in listeners():
                cursor.execute("select pg_terminate_backend(%s)", [pid])
                ended += 1
        enabled = not enabled
        switch(enabled)
        until(lambda: other.ask(acme.pk, "trip_map")["enabled"] is enabled)  # noqa: B023
        time.sleep(0.05)
    assert ended > 5
    settle(other, acme)
    assert listeners()


@pytest.mark.postgres
def test_when_notifications_are_lost_looking_carries_it(acme, other, trip_map):
    settle(other, acme)
    with rls.acting_as_nobody(), connection.cursor() as cursor:
        cursor.execute("create or replace function flags_tell_change() returns void language sql as 'select'")
    try:
        for enabled in (True, False, True, False):
            switch(enabled)
            until(lambda: other.ask(acme.pk, "trip_map")["enabled"] is enabled)  # noqa: B023
        settle(other, acme)
    finally:
        with rls.acting_as_nobody():
            triggers.install(connection)


def rewound(change) -> None:
    """Make a change whose rules get an older version than those before: what a restored backup looks like."""
    rules = versions.as_stored(versions.NIL, connection.vendor)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("select n from flags_version where scope = %s", [rules])
        (before,) = cursor.fetchone()
        change()
        with rls.acting_as_nobody():
            cursor.execute("update flags_version set n = %s where scope = %s", [before - 1, rules])


def test_versions_that_go_back_make_a_process_forget(acme, streamed, trip_map):
    """A backup is restored: older versions of other rows, under our feet."""
    switch(True)
    until_silent(acme)
    rewound(lambda: switch(False))
    until(lambda: not features_for(None, acme)["trip_map"])


def test_versions_that_go_back_while_nobody_watches_make_a_process_forget(acme, streamed, trip_map, monkeypatch):
    """Restoring a backup cuts all connections first. Whoever connects again must not take what is held for newer."""
    switch(True)
    until_silent(acme)
    away, tried = threading.Event(), threading.Event()
    look = watching.Watched.look

    def unless_away(watched, ears):
        if away.is_set():
            tried.set()
            raise OperationalError("terminating connection due to administrator command")
        look(watched, ears)

    monkeypatch.setattr(watching.Watched, "look", unless_away)
    away.set()
    assert tried.wait(10)
    rewound(lambda: switch(False))
    assert not features_for(None, acme)["trip_map"], "The database itself says that time has gone back."
    away.clear()
    until_silent(acme)
    assert not features_for(None, acme)["trip_map"]


def test_who_begins_to_watch_knows_what_is_held(acme, trip_map):
    """Without a reader that finds out first: the one who watches does."""
    switch(True)
    assert features_for(None, acme)["trip_map"]
    rewound(lambda: switch(False))
    watching.Watched().look(watching.listening.open_ears())
    assert acme.pk not in snapshots.companies()
    assert snapshots.version_held(None) is None


# Many companies


def test_many_companies_are_watched_by_one_query(streamed, trip_map):
    companies = CompanyFactory.create_batch(8)
    for company in companies:
        until_silent(company)
    for company in companies:
        until_silent(company)
    OverrideFactory(company=companies[7], flag=trip_map)
    assert features_for(None, companies[7])["trip_map"]
    until_silent(companies[7])
