"""What is promised without a unit of time: how many of the tests that hold each promise fail."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.measuring import Row, Run

ROOT = Path(__file__).resolve().parents[2]
COUNTS = re.compile(r"(\d+) (passed|failed|errors?|skipped)\b")


@dataclass(frozen=True, slots=True)
class Promise:
    """A line of what is promised, the tests that hold it, and variables that make them long."""

    name: str
    tests: Sequence[str]
    marker: str = ""
    long: dict[str, str] = field(default_factory=dict)


PROMISES = (
    Promise("Python = SQL, in every combination of facts", ["tests/flags/test_sql_parity.py"]),
    Promise("isolation: every table, role and verb", ["tests/tenants/test_rls_matrix.py"]),
    Promise(
        "isolation: requests at random", ["tests/test_isolation_over_http.py"], long={"ISOLATION_REQUESTS": "100000"}
    ),
    Promise(
        "a warm request: one query of one row set, or none",
        ["tests/flags/test_snapshots.py", "tests/flags/test_streamed.py"],
    ),
    Promise(
        "every refusal in the one shape", ["tests/flags/api/test_error_shape.py", "tests/flags/api/test_refusals.py"]
    ),
    Promise("no 500 from a fuzzer", ["tests/flags/api/test_fuzz.py"], "schemathesis", {"SCHEMATHESIS_SECONDS": "600"}),
    Promise("faults", ["tests/faults"], "faults"),
)


def rows(run: Run) -> Iterator[Row]:
    """One row for each promise. What lacks its server is skipped there, which the note says."""
    for promise in PROMISES:
        began = time.monotonic()
        said = _run(promise, run.quick)
        counts = {what.rstrip("s"): int(number) for number, what in COUNTS.findall(said)}
        passed, skipped = counts.get("passed", 0), counts.get("skipped", 0)
        broken = counts.get("failed", 0) + counts.get("error", 0) + (not passed and not skipped)
        note = f"{passed:,} passed, {skipped:,} skipped, in {time.monotonic() - began:,.0f} s"
        yield Row(promise.name, broken, "broken", 0 if passed else None, note=note)


def _run(promise: Promise, quick: bool) -> str:
    """Return the last line that pytest says of these tests."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", *(["-m", promise.marker] if promise.marker else [])]
    ours = {"TEST_DB_SUFFIX": f"promises{os.getpid()}", **({} if quick else promise.long)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "PYTEST_"))}
    done = subprocess.run(
        [*command, *promise.tests],
        cwd=ROOT,
        env=kept | ours,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return (done.stdout.strip().splitlines() or [""])[-1]
