"""The one shape that every benchmark here speaks: a module with a docstring and `rows(run)`, which yields Rows.

The first sentence of the docstring is its title in the table. Django is set up before the module is imported. A module
that cannot measure here raises Unavailable and says what it needs. Everything is told in U as well, the time of one
dictionary look-up through a function call, measured in turns with the rest, so that figures of different machines, or
of one machine on a busy day, can be compared.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

SECONDS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0}

Work = Callable[[int], object]
"""Does something so many times, and counts them itself."""


class Unavailable(Exception):
    """This machine lacks what the benchmark needs; says what."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, and the bar it is held against: at `most` or at `least` so many of its own unit.

    `unit` is a unit of time ("ns", "µs", "ms", "s"), "U", or any word ("queries", "MB", "stale"). `note` says what
    else there is to know.
    """

    name: str
    value: float
    unit: str
    most: float | None = None
    least: float | None = None
    note: str = ""

    @property
    def holds(self) -> bool | None:
        """Say whether the bar holds; None where there is none."""
        if self.most is None and self.least is None:
            return None
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds for one repetition, round by round. What else the machine does only adds, so the best is the figure."""

    rounds: Sequence[float]

    @property
    def best(self) -> float:
        """Return the quickest round, per repetition."""
        return min(self.rounds)

    @property
    def median(self) -> float:
        """Return the middle round, per repetition."""
        return statistics.median(self.rounds)

    def percentile(self, percent: float) -> float:
        """Return what so many percent of the rounds did not exceed."""
        return sorted(self.rounds)[min(len(self.rounds) - 1, int(len(self.rounds) * percent / 100))]


@dataclass(slots=True)
class Run:
    """One run of one benchmark: how long it may take, and how long U was in it."""

    quick: bool = False
    unit: float = field(default_factory=lambda: _unit_alone())

    def about(self, many: int, few: int) -> int:
        """Return `many`, or `few` in a quick run."""
        return few if self.quick else many

    def in_turns(self, works: Mapping[str, tuple[Work, int]], rounds: int = 15) -> dict[str, Times]:
        """Time each work, so many repetitions a round, all in turn, and U among them. Times are of one repetition.

        Many short rounds find the moments in which the machine does nothing else; few long ones do not. A round of less
        than a millisecond mostly ends before the scheduler takes the core away.
        """
        every = {"": (_look_up, 5_000), **works}
        times: dict[str, list[float]] = {name: [] for name in every}
        for _ in range(self.about(rounds, max(3, rounds // 4))):
            for name, (work, repetitions) in every.items():
                times[name].append(timed(work, repetitions))
        self.unit = min(self.unit, min(times.pop("")) - _loop())
        return {name: Times(found) for name, found in times.items()}

    def in_u(self, seconds: float) -> float:
        """Return a time in U."""
        return seconds / self.unit


def timed(work: Work, times: int) -> float:
    """Return the seconds that one of `times` repetitions takes."""
    began = time.perf_counter()
    work(times)
    return (time.perf_counter() - began) / times


def again(call: Callable[[], object]) -> Work:
    """Return a work that calls a function without arguments."""

    def work(times: int) -> None:
        for _ in range(times):
            call()

    return work


def each(call: Callable[[], object], times: int) -> Times:
    """Time single calls, one by one, for percentiles."""
    return Times([timed(again(call), 1) for _ in range(times)])


TABLE = {f"feature_{n}": True for n in range(100)}


def _by_key(key: str) -> bool:
    return TABLE[key]


def _look_up(times: int) -> None:
    for _ in range(times // 100):
        for key in TABLE:
            _by_key(key)


def loop(times: int) -> None:
    """Do nothing to each of 100 keys in turn: what a loop around checks costs by itself."""
    for _ in range(times // 100):
        for _key in TABLE:
            pass


def _loop() -> float:
    return min(timed(loop, 5_000) for _ in range(40))


def _unit_alone() -> float:
    return min(timed(_look_up, 5_000) for _ in range(80)) - _loop()
