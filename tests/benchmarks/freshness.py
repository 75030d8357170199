"""How old an answer may be, while one process writes as fast as it can and four read as fast as they can."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from tests.benchmarks import stage
from tests.benchmarks.measuring import Row, Run
from tests.flags.freshness import contest, lay_out

READERS = 4
ENOUGH = 1_000_000
MOST_CONTESTS = 20


def rows(run: Run) -> Iterator[Row]:
    """Exact: nothing is stale. Streamed: nothing is older than the bound. Neither is ever half a change."""
    stage.database()
    bound = settings.FLAGS_MAX_STALENESS_MS
    for mode in ("exact", "streamed"):
        writes, seen = _contests(run, mode)
        counted = f"of {seen['reads']:,} answers while {writes:,} changes were written"
        what = "an acknowledged change" if mode == "exact" else f"the bound of {bound:,} ms"
        bar = 0 if seen["reads"] >= ENOUGH or seen["too_old"] else None  # Few that are right prove nothing.
        yield Row(f"{mode}: answers older than {what}", seen["too_old"], "stale", bar, note=counted)
        yield Row(f"{mode}: answers made of half a change", seen["torn"], "torn", 0)
        if mode == "streamed":
            behind = f"{READERS} readers and a writer that never rest share this machine's cores"
            yield Row("streamed: the oldest answer was behind by", seen["behind_us"] / 1000, "ms", bound, note=behind)


def _contests(run: Run, mode: str) -> tuple[int, dict[str, int]]:
    """Write and read until a million answers have been read; in a quick run for five seconds."""
    writes, seen = _contest(run.about(60, 5), mode)
    for _ in range(run.about(MOST_CONTESTS, 1) - 1):
        if seen["reads"] >= ENOUGH:
            break
        more, also = _contest(60, mode)
        writes += more
        seen = {name: max(seen[name], also[name]) if name == "behind_us" else seen[name] + also[name] for name in seen}
    return writes, seen


def _contest(seconds: float, mode: str) -> tuple[int, dict[str, int]]:
    company_id = stage.a_company()
    stage.act_as_console()
    lay_out(company_id)
    with tempfile.TemporaryDirectory() as folder:
        return contest(Path(folder) / "board", company_id, READERS, seconds, FLAGS_FRESHNESS=mode)
