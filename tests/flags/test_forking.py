"""A child waits for nobody who stayed behind with its parent. Each case forks in a process of its own."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connection

from flags import resolution
from flags.resolution import Asker
from tests.flags import otherprocess

pytestmark = pytest.mark.django_db(transaction=True)

# The child ends itself where it would wait for ever.
CHILD = """
def in_child(work):
    pid = os.fork()
    if not pid:
        signal.alarm(20)
        work()
        os._exit(0)
    return os.waitpid(pid, 0)[1]
"""
LOCKS = """
import os, signal, threading, django
django.setup()
from flags.api import rendered, throttling
from tenants import known, patience, recall
locks = [known._lock, recall._lock, rendered._lock, throttling.leases._lock, patience.breaker._lock]
over = threading.Event()
def hold(lock, held):
    with lock:
        held.set()
        over.wait()
for lock in locks:
    held = threading.Event()
    threading.Thread(target=hold, args=(lock, held), daemon=True).start()
    held.wait()
def work():
    for lock in locks:
        with lock:
            pass
print(in_child(work))
"""
LOOP = """
import asyncio, os, signal, django
django.setup()
from flags.features import features_for
async def ask():
    return features_for(None).decide("trip_map").reason, features_for(None).resolution.stale
def work():
    print("child", *asyncio.run(ask()), flush=True)
print("parent", *asyncio.run(ask()), flush=True)
print(in_child(work))
"""
POOL = """
import os, signal, threading, django
django.setup()
from django.db import connection, connections
from config import startup
def ask():
    with connection.cursor() as cursor:
        cursor.execute("select 1")
        answer = cursor.fetchone()[0]
    connections.close_all()
    return answer
def pools():
    return list(connection._connection_pools)
def work():
    print("child", pools(), ask(), pools(), flush=True)
print("parent", ask(), pools(), flush=True)
print(in_child(work))
print("parent", ask(), flush=True)
startup.let_go_of_connections()
print("parent", pools(), threading.active_count())
"""


def run(program: str, **environment: str) -> list[str]:
    head, setup, rest = program.partition("django.setup()")
    return otherprocess.run(f"{head}{setup}\n{CHILD}{rest}", connection.settings_dict, **environment)


def test_no_lock_stays_shut_because_somebody_else_held_it():
    assert run(LOCKS) == ["0"]


def test_on_an_event_loop_a_child_asks_helpers_of_its_own():
    assert run(LOOP) == ["parent unknown_flag False", "child unknown_flag False", "0"]


@pytest.mark.postgres
def test_a_pool_of_connections_stays_with_its_process_and_none_is_left_open_at_the_start():
    assert run(POOL, DATABASE_POOL="2") == [
        "parent 1 ['default']",
        "child [] 1 ['default']",
        "0",
        "parent 1",
        "parent [] 1",
    ]


def test_an_event_loop_does_not_stand_still_for_a_helper_that_does_not_come_back(monkeypatch, caplog):
    monkeypatch.setattr(resolution, "LOOP_SECONDS", 0.05)
    monkeypatch.setattr(resolution, "_complained_at", float("-inf"))
    helper, over = ThreadPoolExecutor(1), threading.Event()
    monkeypatch.setattr(resolution, "_loop_helper", helper)
    blocked = helper.submit(over.wait)

    def on_a_loop() -> Asker:
        raise SynchronousOnlyOperation

    assert resolution.resolve(on_a_loop) is resolution.NOTHING_KNOWN
    assert not blocked.done()
    over.set()
    helper.shutdown()
    assert "answers are from the past error=TimeoutError" in caplog.text
