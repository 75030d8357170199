"""A worker beside the one that measures: asks for a feature over and over, and writes down when the answer changed."""

import sys
import time
from pathlib import Path
from uuid import UUID

import django
from django.db import connection

from tests.flags.freshness import Board

KEY = "scale_000001"
STOP, EPOCH, READY, SEEN, AT = 0, 1, 2, 20, 40
"""Places on the board; the last three are one for each reader: that it runs, how many changes it saw, and when."""


def read(board: Board, company_id: UUID, mode: str, place: int, busy: bool) -> None:
    """Ask as a worker would: once a millisecond, or after each piece of other work."""
    from flags.features import features_for

    seen, epoch, settled = False, None, time.monotonic() + 1
    while not board[STOP]:
        if mode != "epoch" or board[EPOCH] != epoch:
            epoch = board[EPOCH]
            enabled = features_for(None, company_id)[KEY]
            if enabled != seen:
                seen = enabled
                board[AT + place] = time.monotonic_ns()
                board[SEEN + place] += 1
        if time.monotonic() > settled:
            board[READY + place] = 1
        if busy:
            sum(range(20_000))  # Under a millisecond, in which nobody else in this process gets a turn unless it must.
        else:
            time.sleep(0.001)


def listen(board: Board) -> None:
    """Count what PostgreSQL says."""
    with connection.cursor() as cursor:
        cursor.execute("listen flags_changed")
    board[READY + 17] = 1
    for _notification in connection.connection.notifies():
        board[EPOCH] += 1


def main(path: str, company_id: str, role: str) -> None:
    """Be a reader, or the host's listener."""
    django.setup()
    mode, place, busy = role.split(":")
    board = Board(Path(path))
    listen(board) if mode == "listener" else read(board, UUID(company_id), mode, int(place), busy == "1")


if __name__ == "__main__":
    main(*sys.argv[1:])
