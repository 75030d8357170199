"""What a company and a process pay the first time, and what it weighs to have Headgate in a process.

The weight is what `django.setup()` takes with our two applications, their middleware and decorators, and what they
import, less what it takes without.
"""

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from uuid import UUID

from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flags import loadscale, snapshots
from flags.features import features_for
from tenants.models import Company
from tenants.rls import acting_as_system
from tests.benchmarks import stage
from tests.benchmarks.measuring import Row, Run, Times, each

KEY = "scale_000001"
STARTING = """
import gc, json, sys, time, threading
gc.disable()  # A collection falls on whoever allocates next, here always on one of our modules.
import django
from django.conf import settings
apps = ["django.contrib.contenttypes", "django.contrib.auth"]
ours = sys.argv[1] == "ours"
settings.configure(
    INSTALLED_APPS=apps + (["tenants", "flags"] if ours else []),
    **({"AUTH_USER_MODEL": "tenants.User"} if ours else {}),
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    USE_TZ=True, SECRET_KEY="x", FLAGS_FRESHNESS="exact", FLAGS_USAGE_SECONDS=5, FLAGS_CACHE_SECONDS=300,
)
began = time.process_time()  # Others that use this machine are not what is measured.
django.setup()
import django.test, django.views.generic, django.contrib.auth.forms, django.core.cache.backends.locmem
if ours:
    import tenants.middleware, flags.middleware, flags.decorators
took = time.process_time() - began
assert "rest_framework" not in sys.modules
pages = int(open("/proc/self/statm").read().split()[1]) if sys.platform == "linux" else 0
print(json.dumps([took, pages * 4096 / 1e6, threading.active_count()]))
"""


def rows(run: Run) -> Iterator[Row]:
    """Queries and time at two sizes; memory; import."""
    small, large = (100, 1_000, 5_000), (1_000, 1_000, 10_000) if run.quick else (1_000, 100_000, 1_000_000)
    for size in (small, large):
        stage.database(*size)
        yield from _first_times(run, "{:,} flags, {:,} companies".format(*size))
    yield _memory(run)
    yield from _weight(run)


def _companies(number: int) -> list[UUID]:
    with acting_as_system("measure"):
        loaded = Company.objects.filter(slug__startswith=loadscale.SLUG).order_by("slug")
        return list(loaded.values_list("pk", flat=True)[:number])


def _first_times(run: Run, size: str) -> Iterator[Row]:
    companies = iter(_companies(run.about(200, 50)))
    ask: Callable[[], object] = lambda: features_for(None, next(companies))[KEY]  # noqa: E731
    snapshots.clear()
    cache.clear()
    with CaptureQueriesContext(connection) as process:
        taken = each(ask, 1)
    yield Row(f"a cold process, {size}", len(process), "queries", 4, note=f"{taken.best * 1e3:.1f} ms, once")
    with CaptureQueriesContext(connection) as company:
        ask()
    known = _companies(1)[0]
    with CaptureQueriesContext(connection) as warm:
        for features in (features_for(None, known), features_for(None, known)):
            list(features)
    yield Row(f"a warm request, {size}", len(warm) / 2, "queries", 1, note="exact; streamed asks none")
    times = each(ask, run.about(150, 30))
    note = f"{times.best * 1e3:.2f} ms; half of {len(times.rounds)} within {times.median * 1e3:.2f} ms"
    yield Row(f"a cold company, {size}", len(company), "queries", 2, note=note)


def _memory(run: Run) -> Row:
    companies = _companies(1_000)
    at = datetime.now(UTC)
    snapshots.clear()
    snapshots.resolve(companies[0], at)
    tracemalloc.start()
    for company_id in companies:
        snapshots.resolve(company_id, at)
    taken = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    most = snapshots.COMPANIES_IN_PROCESS
    note = f"10 overrides each, over 1,000 flags; never more than {most:,} are kept"
    return Row("memory for 1,000 companies", taken, "MB", note=note)


def _weight(run: Run) -> Iterator[Row]:
    found: dict[str, list[list[float]]] = {"without": [], "ours": []}
    with TemporaryDirectory() as compiled:
        # The first start compiles. Those that follow find what is compiled, as they do wherever something is installed.
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": compiled}
        for _ in range(1 + run.about(15, 6)):
            for which, measured in found.items():
                command = [sys.executable, "-c", STARTING, which]
                done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
                measured.append(json.loads(done.stdout))
    found = {which: measured[1:] for which, measured in found.items()}
    without, ours = (Times([took for took, *_ in found[which]]) for which in ("without", "ours"))
    megabytes = [Times([size for _, size, _ in found[which]]).median for which in ("without", "ours")]
    note = f"{ours.best * 1e3:.0f} ms with, {without.best * 1e3:.0f} ms without"
    yield Row("importing, beyond Django", (ours.best - without.best) * 1e3, "ms", 40, note=note)
    yield Row("memory, beyond Django", megabytes[1] - megabytes[0], "MB", 5, note=f"{megabytes[1]:.0f} MB in all")
    yield Row("threads started by importing", found["ours"][0][2] - 1, "threads", 0)
