"""What counting usage costs a check, against the noise of the check itself.

The same work is timed without counting, with it, and without it once more, in turns. What the two without differ by is
noise: nobody can tell it from nothing. Counting must cost less. `check` measures checks without counting.
"""

import statistics
from collections.abc import Callable, ItemsView, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.http import HttpResponse

from flags import snapshots, usage, versions
from flags.middleware import FeaturesMiddleware
from flags.models import Flag
from tenants import rls
from tenants.models import Company, User
from tenants.principal import Principal
from tests.benchmarks import check, stage
from tests.benchmarks.measuring import Row, Run, Times, Work

CHECKS = 20
REPETITIONS = 400
"""Fewer than would wake the thread that counts, so that what is measured is what a request pays."""
WITHOUT, WITH, AGAIN = "without counting", "with counting", "without counting, again"


def rows(run: Run) -> Iterator[Row]:
    """A request's checks from memory alone, what the thread does later, and a request's checks with its query."""
    settings.FLAGS_USAGE_SECONDS = 3600
    usage._start = lambda: None
    yield from _from_memory(run)
    yield from _later(run)
    stage.database()
    with rls.acting_as_system("measure"):
        keys = list(Flag.objects.order_by("key").values_list("key", flat=True)[:CHECKS])
        yield from _compared(run, "a request with its query", Company.objects.earliest("slug"), keys, barred=True)


def _from_memory(run: Run) -> Iterator[Row]:
    check.know(check.rules(1000), check.facts(50))
    yield from _compared(run, "from memory alone", Company(pk=check.COMPANY), check.KEYS[:CHECKS], barred=False)
    versions.be_told_by(None)
    snapshots.clear()


def _compared(run: Run, name: str, company: Company, keys: list[str], *, barred: bool) -> Iterator[Row]:
    request = SimpleNamespace(principal=Principal(user=User(), company=company))
    response = HttpResponse()
    serve = FeaturesMiddleware(lambda request: [response][sum(request.features[key] for key in keys) < 0])
    works = {
        WITHOUT: (_requests(lambda: serve(request), _nothing), REPETITIONS),
        WITH: (_requests(lambda: serve(request), usage.count), REPETITIONS),
        AGAIN: (_requests(lambda: serve(request), _nothing), REPETITIONS),
    }
    times = run.in_turns(works, rounds=45)
    usage.forget()
    cost, noise = _cost_and_noise(times)
    yield Row(
        f"{name}: {CHECKS} checks", times[WITHOUT].best * 1e6, "µs", note=f"median {times[WITHOUT].median * 1e6:.1f}"
    )
    yield Row(
        f"{name}: counting adds, per check",
        cost / CHECKS * 1e9,
        "ns",
        most=noise / CHECKS * 1e9 if barred else None,
        note=f"noise {noise / CHECKS * 1e9:.1f} ns, {noise / times[WITHOUT].median:.1%} of it; "
        f"best rounds differ by {(times[WITH].best - times[WITHOUT].best) / CHECKS * 1e9:.1f} ns",
    )


def _cost_and_noise(times: Mapping[str, Times]) -> tuple[float, float]:
    """Return the middle of what counting adds in a round, and what nine in ten rounds without it differ by at most."""
    rounds = list(zip(*(times[name].rounds for name in (WITHOUT, WITH, AGAIN)), strict=True))
    cost = statistics.median(counted - (before + after) / 2 for before, counted, after in rounds)
    return cost, statistics.quantiles([abs(before - after) for before, _, after in rounds], n=10)[-1]


def _requests(serve: Callable[[], Any], count: Callable[..., None]) -> Work:
    """Return a work that serves requests, counting them so."""

    def work(times: int) -> None:
        usage.count, was = count, usage.count
        for _ in range(times):
            serve()
        usage.count = was
        usage._handed.clear()

    return work


def _nothing(company_id: str, answers: ItemsView[str, bool], *, failed: bool = False) -> None:
    """Count nothing."""


def _later(run: Run) -> Iterator[Row]:
    answers = dict.fromkeys(check.KEYS[:CHECKS], True).items()

    def gather(times: int) -> None:
        for n in range(times):
            usage.count(f"company-{n % 50}", answers)
        usage._gather()

    found = run.in_turns({"gather": (gather, REPETITIONS)})["gather"]
    usage.forget()
    yield Row(f"the thread, later: {CHECKS} checks of a request", found.best * 1e6, "µs", note="on nobody's way")
