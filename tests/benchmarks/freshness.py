"""How old an answer may be, while one process writes as fast as it can and four read as fast as they can."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from tests.benchmarks import stage
from tests.benchmarks.measuring import Row, Run
from tests.flags.freshness import contest, lay_out

READERS = 4


def rows(run: Run) -> Iterator[Row]:
    """Exact: nothing is stale. Streamed: nothing is older than the bound. Neither is ever half a change."""
    stage.database()
    seconds = run.about(60, 5)
    bound = settings.FLAGS_MAX_STALENESS_MS
    for mode in ("exact", "streamed"):
        writes, seen = _contest(seconds, mode)
        counted = f"of {seen['reads']:,} answers while {writes:,} changes were written"
        what = "an acknowledged change" if mode == "exact" else f"the bound of {bound:,} ms"
        yield Row(f"{mode}: answers older than {what}", seen["too_old"], "stale", 0, note=counted)
        yield Row(f"{mode}: answers made of half a change", seen["torn"], "torn", 0)
        if mode == "streamed":
            behind = f"{READERS} readers and a writer that never rest share this machine's cores"
            yield Row("streamed: the oldest answer was behind by", seen["behind_us"] / 1000, "ms", bound, note=behind)


def _contest(seconds: float, mode: str) -> tuple[int, dict[str, int]]:
    company_id = stage.a_company()
    stage.act_as_console()
    lay_out(company_id)
    with tempfile.TemporaryDirectory() as folder:
        return contest(Path(folder) / "board", company_id, READERS, seconds, FLAGS_FRESHNESS=mode)
