"""Whether a recorded history of reads and writes can have happened in a system that keeps its promises.

Every write gives one company a number that nobody else writes, spelt in bits: one flag a bit, and one more for its
opposite, so that half a number is told from a whole one. After Jepsen: unique values, unknown outcomes kept as unknown,
and a checker that looks at it all afterwards.
"""

from dataclasses import dataclass
from itertools import pairwise

BITS = 14
KEYS = [f"bit_{n}" for n in range(BITS)] + [f"not_bit_{n}" for n in range(BITS)]


def spelt(number: int) -> dict[str, bool]:
    """Return a number as answers by key."""
    bits = [bool(number >> n & 1) for n in range(BITS)]
    return dict(zip(KEYS, [*bits, *(not bit for bit in bits)], strict=True))


def number_of(answers: dict[str, bool]) -> int | None:
    """Return the number that answers spell; 0 where there are no such flags yet; None for half of one and another."""
    if not set(KEYS) <= answers.keys():
        return 0
    number = sum(answers[f"bit_{n}"] << n for n in range(BITS))
    return number if all(answers[key] is value for key, value in spelt(number).items()) else None


@dataclass(frozen=True)
class Write:
    """One attempt. `saved` is what the writer was told: yes, no, or nothing at all (None)."""

    number: int
    request_id: str
    began: float
    ended: float
    saved: bool | None


@dataclass(frozen=True)
class Read:
    """One answer. `stale` is what it said of itself."""

    number: int | None
    began: float
    ended: float
    stale: bool
    place: str = ""


Lines = dict[str, list[tuple[str, bool]]]
"""What history says that each request did: which key it set, and to what."""


def faults(
    writes: list[Write],
    reads: list[Read],
    order: list[str],
    last: int | None,
    *,
    lines: Lines | None = None,
    bound: float = 0.0,
    troubles: list[tuple[float, float]] | None = None,
) -> list[str]:
    """Return all that cannot be. `order` are the request ids in history, each once, oldest first; `last` the end.

    A read may be behind by `bound` seconds, and say that it is stale only within one of the `troubles` (from, until).
    Each write that was saved has its own number in `lines`, every key of it once and nothing else. Neither is looked at
    where it is not given.
    """
    by_id = {write.request_id: write for write in writes}
    found = [f"history has {name}, which nobody wrote" for name in order if name not in by_id]
    found += [f"history has {name} {order.count(name)} times" for name in set(order) if order.count(name) > 1]
    for write in writes:
        is_there = write.request_id in order
        if write.saved is True and not is_there:
            found.append(f"lost: {write.number} was acknowledged and is not in history")
        if write.saved is False and is_there:
            found.append(f"{write.number} was refused and is in history")
        if lines is not None and is_there and sorted(lines[write.request_id]) != sorted(spelt(write.number).items()):
            found.append(f"content: {write.number} is in history as {lines[write.request_id]}")
    if found:
        return found  # What follows rests on it.
    line = [by_id[name] for name in order]
    found += [f"order: {b.number} was over before {a.number} began" for a, b in pairwise(line) if b.ended < a.began]
    if line and last != line[-1].number:
        found.append(f"lost: the end is {last}, and history ends with {line[-1].number}")
    place = {0: -1} | {write.number: index for index, write in enumerate(line)}
    for read in reads:
        found += _of_read(read, line, place, bound)
        if read.stale and troubles is not None and not any(a <= read.ended and read.began <= b for a, b in troubles):
            found.append(f"marked stale without a fault: read at {read.began:.3f} {read.place}")
    return found


def _of_read(read: Read, line: list[Write], place: dict[int, int], bound: float) -> list[str]:
    where = f"read at {read.began:.3f} {read.place}"
    if read.number is None:
        return [f"torn: {where}"]
    if read.number not in place:
        return [f"phantom: {where} saw {read.number}"]
    index = place[read.number]
    if index >= 0 and line[index].began > read.ended:
        return [f"from the future: {where} saw {read.number}"]
    if read.stale:
        return []
    newer = next((write for write in line[index + 1 :] if write.saved and write.ended + bound < read.began), None)
    return [f"stale: {where} saw {read.number}, not {newer.number} or later"] if newer else []
