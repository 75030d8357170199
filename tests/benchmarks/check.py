"""What a check costs, in this process, apart from the one query: `python -m tests.benchmarks.check`.

Everything is told in U, the time of one dictionary look-up through a function call, measured in the same run and in
turns with everything else, so that figures of different machines can be compared. Needs no database.
"""

import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("DJANGO_DEBUG", "true")
django.setup()

# These need the settings.
from django.conf import settings  # noqa: E402
from django.http import HttpResponse  # noqa: E402

from flags import snapshots, versions  # noqa: E402
from flags.answers import Rules, compile_company, compile_rules  # noqa: E402
from flags.evaluation import ChannelAnswer, CompanyFacts, FlagRules, OverrideFact, bucket  # noqa: E402
from flags.features import Asker, Features, is_enabled, scope  # noqa: E402
from flags.middleware import FeaturesMiddleware  # noqa: E402
from tenants.models import Company, User  # noqa: E402
from tenants.principal import Principal  # noqa: E402

COMPANY = UUID("1b4e28ba-2fa1-11d2-883f-0016d3cca427")
AT = datetime.now(UTC)
ROUNDS = 15


def look_up(table: dict[str, bool], key: str) -> bool:
    """The unit."""
    return table[key]


def rules(flags: int, *, rollouts: int = 0) -> Rules:
    """As many flags, half of them on, and some in a rollout. What companies share is compiled."""
    made = []
    for n in range(flags):
        channels = {"general": ChannelAnswer(True, 50)} if n < rollouts else {}
        made.append(FlagRules(f"feature_{n}", default_enabled=n % 2 == 0, channels=channels))
    compiled = compile_rules(1, made)
    compiled.base("general", 1)
    return compiled


def facts(overrides: int, company: str = str(COMPANY)) -> CompanyFacts:
    return CompanyFacts(
        company, "general", 1, {f"feature_{200 + n}": OverrideFact(n % 3 == 0) for n in range(overrides)}
    )


def know(rules: Rules, facts: CompanyFacts) -> None:
    """Let this process have read these, and let the versions be what they were: the query is not what is measured."""
    answers = compile_company(rules, 1, facts, AT)
    snapshots._known[COMPANY] = snapshots.Known(rules, 1, answers)
    versions.current = lambda company_id, using="default": (1, 1)


def timed(work: Callable[[int], None], times: int) -> float:
    """Seconds for one of `times` repetitions, which `work` counts itself."""
    began = time.perf_counter()
    work(times)
    return (time.perf_counter() - began) / times


def turns(call: str, **names: object) -> Callable[[int], None]:
    """Return a loop around an expression, which asks for 100 keys in turn."""
    namespace = dict(names)
    exec(f"def work(times):\n for _ in range(times // 100):\n  for key in keys: {call}", namespace)
    return namespace["work"]


def again(call: Callable[[], object]) -> Callable[[int], None]:
    def work(times: int) -> None:
        for _ in range(times):
            call()

    return work


def main() -> None:
    settings.FLAGS_USAGE_SECONDS = 0  # Counting is not the check, and would write to a database.
    plain, rolling = rules(1000), rules(1000, rollouts=100)
    ordinary, differing = facts(0), facts(50)
    know(plain, differing)
    keys = [f"feature_{n * 10}" for n in range(100)]
    table = dict.fromkeys(keys, True)
    asker = Asker(COMPANY, "somebody")
    features = Features(lambda: asker)

    def job(checks: int) -> Callable[[], None]:
        asked = keys[:checks]

        def work() -> None:
            with scope(Features(lambda: asker)):
                for key in asked:
                    is_enabled(key)

        return work

    response = HttpResponse()
    request = SimpleNamespace(principal=Principal(user=User(), company=Company(pk=COMPANY)))
    asking = FeaturesMiddleware(lambda request: [response][not request.features["feature_0"]])
    silent = FeaturesMiddleware(lambda request: response)

    def compile_anew() -> None:
        bucket.cache_clear()
        compile_company(rolling, 1, differing, AT)

    many, some, few = 200_000, 5_000, 1_000
    rows: dict[str, tuple[Callable[[int], None], int]] = {
        "loop": (turns("pass", keys=keys), many),
        "unit": (turns("look_up(table, key)", keys=keys, look_up=look_up, table=table), many),
        "request.features[key]": (turns("r.features[key]", keys=keys, r=SimpleNamespace(features=features)), many),
        "is_enabled(key)": (turns("is_enabled(key)", keys=keys, is_enabled=is_enabled), many),
        "features.decide(key)": (turns("f.decide(key)", keys=keys, f=features), 10_000),
        "resolve (all but the query)": (again(lambda: Features(lambda: asker).resolution), some),
        "a job: scope, 1 check": (again(job(1)), some),
        "a job: scope, 20 checks of 20 keys": (again(job(20)), few),
        "a job: scope, 100 checks of 100 keys": (again(job(100)), few),
        "the middleware, no check": (again(lambda: silent(request)), some),
        "the middleware, 1 check": (again(lambda: asking(request)), some),
        "compile: no override": (again(lambda: compile_company(plain, 1, ordinary, AT)), some),
        "compile: 50 overrides": (again(lambda: compile_company(plain, 1, differing, AT)), few),
        "compile: 50, and 100 rollouts": (again(lambda: compile_company(rolling, 1, differing, AT)), few),
        "compile: 50, and 100 rollouts never met": (again(compile_anew), few),
    }
    times: dict[str, list[float]] = {name: [] for name in rows}
    with scope(features):
        for _ in range(ROUNDS):
            for name, (work, repetitions) in rows.items():
                times[name].append(timed(work, repetitions))
    loop = min(times["loop"])
    unit = min(times["unit"]) - loop
    print(f"U = {unit * 1e9:.1f} ns (the loop around it, {loop * 1e9:.1f} ns, is taken off)\n")
    print(f"{'':44}{'best':>12}{'median':>12}{'best':>12}")
    for name in list(rows)[2:]:
        off = loop if "(key)" in name or "[key]" in name else 0.0
        best, middle = min(times[name]) - off, statistics.median(times[name]) - off
        print(f"{name:44}{best * 1e6:>9.3f} µs{middle * 1e6:>9.3f} µs{best / unit:>10.2f} U")


if __name__ == "__main__":
    main()
