"""How much is tried where anything may meet anything.

By default each place meets some of the values in turn, so that over all places each value has been everywhere of its
kind; with LONG_TESTS=1 every place meets every value.
"""

import os
from collections.abc import Sequence
from typing import TypeVar

LONG = os.environ.get("LONG_TESTS") == "1"
Value = TypeVar("Value")


def in_turn(values: Sequence[Value], turn: int, of: int) -> Sequence[Value]:
    """Return every `of`-th of these values, beginning with another one each `turn`; with LONG_TESTS=1 all of them."""
    return values if LONG else values[turn % of :: of]


def examples(number: int) -> int:
    """Return how many examples to try of a property that asks no database: a quarter on PostgreSQL, after SQLite."""
    return number if LONG or "DATABASE_URL" not in os.environ else number // 4
