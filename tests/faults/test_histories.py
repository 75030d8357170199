"""The checker finds what it is there to find."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

from tests.faults.histories import BITS, Read, Write, faults, number_of, spelt

ONE = Write(1, "a", 1.0, 2.0, True)
TWO = Write(2, "b", 3.0, 4.0, True)
LOST = Write(3, "c", 5.0, 6.0, None)


@pytest.mark.parametrize("number", [1, 2, 2**BITS - 1, 4711])
def test_a_number_survives_its_spelling_and_half_of_it_does_not(number):
    assert number_of(spelt(number)) == number
    assert number_of(spelt(number) | {"bit_0": not number & 1}) is None


def test_what_can_have_happened_passes():
    reads = [
        Read(0, 0.5, 0.6, False),
        Read(0, 9, 9.1, True),
        Read(1, 2.5, 2.6, False),
        Read(1, 3.5, 3.6, False),
        Read(2, 3.5, 3.6, False),
        Read(1, 9, 9.1, True),
    ]
    assert faults([ONE, TWO], reads, ["a", "b"], 2) == []
    for order, last in ((["a", "b"], 2), (["a", "b", "c"], 3)):
        assert faults([ONE, TWO, LOST], reads, order, last) == []


@pytest.mark.parametrize(
    ("reads", "order", "last", "word"),
    [
        ([Read(1, 4.5, 4.6, False)], ["a", "b"], 2, "stale"),
        ([Read(0, 4.5, 4.6, False)], ["a", "b"], 2, "stale"),
        ([Read(None, 4.5, 4.6, False)], ["a", "b"], 2, "torn"),
        ([Read(None, 4.5, 4.6, True)], ["a", "b"], 2, "torn"),
        ([Read(7, 4.5, 4.6, False)], ["a", "b"], 2, "phantom"),
        ([Read(2, 1.0, 1.1, False)], ["a", "b"], 2, "future"),
        ([], ["a"], 1, "lost"),
        ([], ["a", "b"], 1, "lost"),
        ([], ["b", "a"], 1, "order"),
        ([], ["a", "b", "b"], 2, "2 times"),
        ([], ["a", "b", "x"], 2, "nobody wrote"),
    ],
)
def test_what_cannot_is_named(reads, order, last, word):
    found = faults([ONE, TWO], reads, order, last)
    assert found
    assert word in found[0]


def test_what_is_told_late_may_be_behind_by_the_bound_and_no_more():
    late = [Read(1, 4.9, 4.95, False)]
    assert faults([ONE, TWO], late, ["a", "b"], 2, bound=1.0) == []
    assert "stale" in faults([ONE, TWO], late, ["a", "b"], 2, bound=0.5)[0]


@pytest.mark.parametrize(("troubles", "count"), [([(4.0, 5.0)], 0), ([(4.55, 9.0)], 0), ([(1.0, 4.4)], 1), ([], 1)])
def test_an_answer_says_that_it_is_stale_only_while_something_is_wrong(troubles, count):
    found = faults([ONE, TWO], [Read(1, 4.5, 4.6, True)], ["a", "b"], 2, troubles=troubles)
    assert len(found) == count
    assert all("without a fault" in fault for fault in found)


def told(*numbers: int) -> dict:
    return {name: list(spelt(number).items()) for name, number in zip("ab", numbers, strict=True)}


def test_each_write_stands_in_history_whole_once_and_as_it_was():
    def found(lines: dict) -> list[str]:
        return faults([ONE, TWO], [], ["a", "b"], 2, lines=lines)

    assert found(told(1, 2)) == []
    half, twice, another = told(1, 2), told(1, 2), told(1, 3)
    half["b"].pop()
    twice["a"].append(twice["a"][0])
    for lines, number in ((half, 2), (twice, 1), (another, 2)):
        assert [fault.startswith(f"content: {number} ") for fault in found(lines)] == [True]


def test_what_was_refused_must_not_be_in_force():
    assert "refused" in faults([ONE, Write(2, "b", 3.0, 4.0, False)], [], ["a", "b"], 2)[0]


def test_the_long_version_starts_outside_pytest():
    command = [sys.executable, "-m", "tests.faults.history", "--help"]
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "--minutes" in done.stdout
