"""The thread that watches for changes with `FLAGS_FRESHNESS=streamed`: when there is one, where, and its turns."""

import sys
from contextlib import nullcontext

import pytest
from django.db import OperationalError, connection

from flags import watching
from tests.factories import FlagFactory
from tests.flags.otherprocess import run

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = """
import threading, django
django.setup()
from flags.features import features_for
import config.wsgi
names = lambda: sorted(thread.name for thread in threading.enumerate())
print(names())
features_for(None)["trip_map"]
print(names())
"""


def test_there_is_no_thread_unless_asked_for():
    assert run(THREADS, connection.settings_dict) == ["['MainThread']"] * 2


def test_where_it_is_asked_for_the_first_check_starts_it():
    told = run(THREADS, connection.settings_dict, FLAGS_FRESHNESS="streamed")
    assert told == ["['MainThread']", "['MainThread', 'flags-watcher']"]


FORKING = """
import os, sys, threading, time, uuid, django
django.setup()
from django.db import connection, connections
from flags import watching
from flags.features import features_for
company = uuid.UUID(sys.argv[1])
def ask(): return features_for(None, company)["trip_map"]
def warm():
    end = time.monotonic() + 10
    while watching.current(company, connection) is None and time.monotonic() < end:
        ask()
        time.sleep(0.01)
    return watching.current(company, connection) is not None
told = [warm()]
connections.close_all()
pid = os.fork()
if not pid:
    told += [watching._thread is None, watching.age() == float("inf"), ask(), warm()]
    told += [sorted(thread.name for thread in threading.enumerate())]
    print("child", told, flush=True)
    os._exit(0)
os.waitpid(pid, 0)
print("parent", [warm(), watching.age() < 1])
"""


def test_a_child_begins_anew_and_its_parent_goes_on(acme):
    FlagFactory(key="trip_map", default_enabled=True)
    program = FORKING.replace("sys.argv[1]", repr(str(acme.pk)))
    assert run(program, connection.settings_dict, FLAGS_FRESHNESS="streamed") == [
        "child [True, True, True, True, True, ['MainThread', 'flags-watcher']]",
        "parent [True, True]",
    ]


class Ears:
    """What the thread listens with, telling nothing new; notes how soon busy threads give way meanwhile."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.problem, self.switches = problem, []

    def differing(self, known):
        self.switches.append(sys.getswitchinterval())
        if self.problem:
            raise self.problem
        return {}


@pytest.mark.parametrize("problem", [None, OperationalError("gone")])
def test_busy_threads_give_way_soon_while_the_thread_asks_and_only_then(problem):
    usual, ears = sys.getswitchinterval(), Ears(problem)
    with pytest.raises(OperationalError) if problem else nullcontext():
        watching.Watched().look(ears)
    assert ears.switches == [pytest.approx(watching.SWITCH_SECONDS)]
    assert ears.switches[0] < usual / 5
    assert sys.getswitchinterval() == usual


FORKING_MEANWHILE = """
import os, sys, django
django.setup()
from flags import watching
usual = sys.getswitchinterval()
with watching._turns_soon():
    pid = os.fork()
    if not pid:
        print("child", sys.getswitchinterval() == usual, flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
    print("parent", sys.getswitchinterval() == usual)
print("parent", sys.getswitchinterval() == usual)
"""


def test_a_child_made_meanwhile_does_not_keep_to_that():
    assert run(FORKING_MEANWHILE, connection.settings_dict) == ["child True", "parent False", "parent True"]
