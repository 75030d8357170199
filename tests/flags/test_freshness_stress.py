"""Four processes read while one writes: no answer is older than an acknowledged write, none is half of one.

Five seconds long; `FRESHNESS_SECONDS=600` makes it as long as one likes.
"""

import os
import time
from pathlib import Path

import pytest
from django.db import connection

from flags.models import Flag, Override
from tests.flags.freshness import ACKNOWLEDGED, OWN, READERS_READY, RULES, STOP, Board, Reader, keep_writing

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SECONDS = float(os.environ.get("FRESHNESS_SECONDS", "5"))
READERS = 4


@pytest.fixture
def company(acme):
    """A company for which the number is 0 in both places."""
    Flag.objects.bulk_create(Flag(key=key, name=key) for key in (*RULES, *OWN))
    Override.objects.bulk_create(Override(company=acme, flag_id=key, enabled=False) for key in OWN)
    return acme


def contest(path: Path, company_id, readers: int, seconds: float, sabotage: str = "") -> tuple[int, dict[str, int]]:
    """Let readers read while we write. Return how many writes were acknowledged, and what the readers saw in all."""
    board = Board(path)
    others = [Reader(path, place, company_id, connection.settings_dict, sabotage) for place in range(readers)]
    try:
        while not all(board[READERS_READY + 1 + place] for place in range(readers)):
            assert all(other.process.poll() is None for other in others), "a reader could not start"
            time.sleep(0.02)
        keep_writing(board, company_id, seconds)
        board[STOP] = 1
        results = [other.result() for other in others]
    finally:
        board[STOP] = 1
        for other in others:
            other.process.kill()
            other.process.communicate()
    acknowledged = board[ACKNOWLEDGED]
    board.close()
    return acknowledged, {name: sum(result[name] for result in results) for name in results[0]}


def test_no_answer_is_older_than_an_acknowledged_write_and_none_is_half_of_one(company, tmp_path):
    writes, seen = contest(tmp_path / "board", company.pk, READERS, SECONDS)
    print(f"\n{connection.vendor}: {writes} writes, {seen}")
    assert writes > 10
    assert seen["reads"] > 200
    assert seen["different"] > 10  # They did read while we wrote.
    wrong = {name: seen[name] for name in ("too_old", "never_written", "torn", "not_exact")}
    assert wrong == {"too_old": 0, "never_written": 0, "torn": 0, "not_exact": 0}


@pytest.mark.parametrize(
    ("sabotage", "symptom"), [("keep versions for a while", "too_old"), ("mix what was read apart", "torn")]
)
def test_this_test_would_notice(company, tmp_path, sabotage, symptom):
    _, seen = contest(tmp_path / "board", company.pk, 1, 2, sabotage)
    assert seen[symptom] > 0
