"""Whether a check costs the same at every size. Needs no database: a process keeps but 2,000 of all companies."""

from collections.abc import Callable, Iterator
from itertools import cycle
from types import SimpleNamespace
from uuid import UUID

from django.conf import settings

from flags import snapshots, versions
from flags.answers import Rules, compile_company
from flags.evaluation import CompanyFacts, OverrideFact
from flags.features import Asker, Features, is_enabled, scope
from tests.benchmarks.check import AT, KEYS, ROUNDS, rules, turns
from tests.benchmarks.measuring import Row, Run, Work, again, loop

SIZES = ((100, 1_000, 5), (1_000, 1_000, 50), (100, 100_000, 5), (1_000, 100_000, 10))
"""Flags, companies, and overrides of each company."""
FLAT = 1.10


def rows(run: Run) -> Iterator[Row]:
    """A check, and a request of 1, 20 and 100 checks of companies in turn, at each size; and how flat that is."""
    settings.FLAGS_USAGE_SECONDS = 0
    versions.be_told_by(lambda company_id, connection: (1, 1))
    works: dict[str, tuple[Work, int]] = {"loop": (loop, 5_000)}
    for size in SIZES:
        works |= {f"{name}, {_name(size)}": work for name, work in _works(size).items()}
    times = {name: found.best for name, found in run.in_turns(works, ROUNDS).items()}
    empty = times.pop("loop")
    for name, taken in times.items():
        if "(key)" in name or "[key]" in name:
            times[name] = taken - empty
            yield Row(name, run.in_u(times[name]), "U", 2.5 if "(key)" in name else 1.5)
        else:
            yield Row(name, taken * 1e6, "µs")
    for what in ("request.features[key]", "is_enabled(key)", "a request of 20 checks"):
        found = [times[f"{what}, {_name(size)}"] for size in SIZES]
        yield Row(f"{what}, the largest size to the smallest", found[-1] / found[0], "times", FLAT)


def _name(size: tuple[int, int, int]) -> str:
    return f"{size[0]:,} flags, {size[1]:,} companies"


def _works(size: tuple[int, int, int]) -> dict[str, tuple[Work, int]]:
    flags, companies, overrides = size
    compiled = rules(flags, rollouts=flags // 10)
    known = [_company(compiled, n, flags, overrides) for n in range(min(companies, snapshots.COMPANIES_IN_PROCESS))]
    askers = [Asker(company_id) for company_id in known]
    features = Features(lambda: askers[0])
    request = SimpleNamespace(features=features)

    def in_scope(work: Work) -> Work:
        def asking(times: int) -> None:
            with scope(features):
                work(times)

        return asking

    return {
        "request.features[key]": (turns("r.features[key]", r=request), 5_000),
        "is_enabled(key)": (in_scope(turns("is_enabled(key)", is_enabled=is_enabled)), 5_000),
        **{f"a request of {n} check{'s' * (n > 1)}": (again(_job(askers, n)), 50) for n in (1, 20, 100)},
    }


def _company(compiled: Rules, n: int, flags: int, overrides: int) -> UUID:
    company_id = UUID(int=flags << 64 | overrides << 32 | n)
    differing = {f"feature_{(n + place * 7) % flags}": OverrideFact(place % 3 == 0) for place in range(overrides)}
    answers = compile_company(compiled, 1, CompanyFacts(str(company_id), "general", 1, differing), AT)
    snapshots._known[company_id] = snapshots.Known(compiled, 1, answers)
    return company_id


def _job(askers: list[Asker], checks: int) -> Callable[[], None]:
    following, asked = cycle(askers), KEYS[:checks]

    def job() -> None:
        asker = next(following)
        with scope(Features(lambda: asker)):
            for key in asked:
                is_enabled(key)

    return job
