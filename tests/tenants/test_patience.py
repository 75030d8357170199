"""Waiting ends, and after waiting in vain not everybody tries at once."""

import pytest

from tenants import patience
from tenants.patience import Breaker


@pytest.fixture
def now(monkeypatch):
    """The clock of the breaker, in a list of one."""
    moment = [1000.0]
    monkeypatch.setattr(patience.time, "monotonic", lambda: moment[0])
    return moment


def test_nobody_is_hurried_who_did_not_ask_for_it():
    assert patience.limit() is None


def test_a_shorter_limit_outside_stays_in_force():
    with patience.at_most(1.5):
        with patience.at_most(8.5):
            assert patience.limit() == 1.5
        with patience.at_most(0.5):
            assert patience.limit() == 0.5
        patience.extend(8.5)
        assert patience.limit() == 8.5
    assert patience.limit() is None


def test_while_it_is_open_nobody_may_then_one_may_and_the_rest_when_that_went_well(now):
    breaker = Breaker()
    assert breaker.admits()
    breaker.opened(1.0)
    assert not breaker.admits()
    now[0] += 1.0
    assert [breaker.admits() for _ in range(3)] == [True, False, False]
    breaker.closed()
    assert [breaker.admits() for _ in range(3)] == [True, True, True]


def test_processes_that_lost_it_together_do_not_come_back_together():
    ends = set()
    for _ in range(20):
        breaker = Breaker()
        breaker.opened(1.0)
        ends.add(round(breaker._open_until, 3))
    assert len(ends) > 10


def test_whoever_tries_and_never_comes_back_is_replaced(now):
    breaker = Breaker()
    breaker.opened(1.0)
    now[0] += 1.0
    assert breaker.admits()
    now[0] += patience.SERVING_SECONDS
    assert breaker.admits()
