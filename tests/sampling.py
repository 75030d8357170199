"""How much is tried where anything may meet anything, and on which of the two databases.

By default each place meets some of the values in turn, so that over all places each value has been everywhere of its
kind. With LONG_TESTS=1 every place meets every value. With TESTS_SHARED=1, for who runs all tests on both databases,
each case of a test that has many is tried on one of them, most of them on PostgreSQL.
"""

import os
from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar
from zlib import crc32

import pytest

LONG = os.environ.get("LONG_TESTS") == "1"
SHARED = os.environ.get("TESTS_SHARED") == "1" and not LONG
MANY = 6
"""Cases of one test from which on they are shared out."""
SHARE = 4
"""Of about so many cases that ask the database, SQLite meets one; PostgreSQL meets the others, of isolation all."""
ON_ONE = ("postgres", "redis", "browser", "clients", "faults", "schemathesis")
"""Marks of what runs in one place anyway, and is never shared out."""
Value = TypeVar("Value")


def in_turn(values: Sequence[Value], turn: int, of: int) -> Sequence[Value]:
    """Return every `of`-th of these values, beginning with another one each `turn`; with LONG_TESTS=1 all of them."""
    return values if LONG else values[turn % of :: of]


def examples(number: int) -> int:
    """Return how many examples to try of a property that asks no database: a quarter on PostgreSQL, after SQLite."""
    return number if LONG or "DATABASE_URL" not in os.environ else number // 4


def for_the_other_database(items: Sequence[pytest.Item], is_sqlite: bool) -> set[pytest.Item]:
    """Return the cases of these that are left to the other database: none but with TESTS_SHARED=1.

    What asks no database or has few cases is tried on both. Where a case belongs is told by its name alone, so that
    runs that collect other tests besides agree about it.
    """
    if not SHARED:
        return set()
    by_test = defaultdict(list)
    for item in items:
        if {"db", "transactional_db"} & set(item.fixturenames) or item.get_closest_marker("django_db"):
            by_test[item.nodeid.partition("[")[0]].append(item)
    left = set()
    for cases in by_test.values():
        few = len(cases) < MANY or any(cases[0].get_closest_marker(mark) for mark in ON_ONE)
        if few or (cases[0].get_closest_marker("isolation") and not is_sqlite):
            continue
        left |= {case for case in cases if (crc32(case.nodeid.encode()) % SHARE == 0) != is_sqlite}
    return left
