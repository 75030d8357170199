"""Four processes read while one writes: no answer is older than an acknowledged write, none is half of one.

Five seconds long; `FRESHNESS_SECONDS=600` makes it as long as one likes.
"""

import os

import pytest
from django.db import connection

from tests.flags.freshness import contest, lay_out

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SECONDS = float(os.environ.get("FRESHNESS_SECONDS", "5"))
READERS = 4


@pytest.fixture
def company(acme):
    """A company for which the number is 0 in both places."""
    lay_out(acme.pk)
    return acme


def test_no_answer_is_older_than_an_acknowledged_write_and_none_is_half_of_one(company, tmp_path):
    writes, seen = contest(tmp_path / "board", company.pk, READERS, SECONDS)
    print(f"\n{connection.vendor}: {writes} writes, {seen}")
    assert writes > 10
    assert seen["reads"] > 200
    assert seen["different"] > 10  # They did read while we wrote.
    wrong = {name: seen[name] for name in ("too_old", "never_written", "torn", "not_exact")}
    assert wrong == {"too_old": 0, "never_written": 0, "torn": 0, "not_exact": 0}


def test_streamed_no_answer_is_older_than_the_bound_and_none_is_half_of_one(company, tmp_path):
    writes, seen = contest(tmp_path / "board", company.pk, READERS, SECONDS, FLAGS_FRESHNESS="streamed")
    print(f"\n{connection.vendor}, streamed: {writes} writes, {seen}")
    assert writes > 10
    assert seen["reads"] > 2_000
    assert seen["different"] > 10
    wrong = {name: seen[name] for name in ("too_old", "never_written", "torn", "not_exact")}
    assert wrong == {"too_old": 0, "never_written": 0, "torn": 0, "not_exact": 0}


@pytest.mark.parametrize(
    ("sabotage", "symptom"), [("keep versions for a while", "too_old"), ("mix what was read apart", "torn")]
)
def test_this_test_would_notice(company, tmp_path, sabotage, symptom):
    _, seen = contest(tmp_path / "board", company.pk, 1, 2, sabotage)
    assert seen[symptom] > 0
