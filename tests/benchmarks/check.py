"""What a check costs, apart from the one query. Needs no database."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse

from flags import snapshots, versions
from flags.answers import Rules, compile_company, compile_rules
from flags.evaluation import ChannelAnswer, CompanyFacts, FlagRules, OverrideFact, bucket
from flags.features import Asker, Features, is_enabled, scope
from flags.middleware import FeaturesMiddleware
from tenants.models import Company, User
from tenants.principal import Principal
from tests.benchmarks.measuring import TABLE, Row, Run, Work, again, loop

COMPANY = UUID("1b4e28ba-2fa1-11d2-883f-0016d3cca427")
AT = datetime.now(UTC)
KEYS = list(TABLE)
ROUNDS = 200


def rules(flags: int, *, rollouts: int = 0) -> Rules:
    """As many flags, half of them on, and some in a rollout. What companies share is compiled."""
    made = []
    for n in range(flags):
        channels = {"general": ChannelAnswer(True, 50)} if n < rollouts else {}
        made.append(FlagRules(f"feature_{n}", default_enabled=n % 2 == 0, channels=channels))
    compiled = compile_rules(1, made)
    compiled.base("general", 1)
    return compiled


def facts(overrides: int) -> CompanyFacts:
    """A company with as many overrides of flags that are in no rollout."""
    differing = {f"feature_{200 + n}": OverrideFact(n % 3 == 0) for n in range(overrides)}
    return CompanyFacts(str(COMPANY), "general", 1, differing)


def know(rules: Rules, facts: CompanyFacts) -> None:
    """Let this process have read these, and let the versions be what they were: the query is not what is measured."""
    answers = compile_company(rules, 1, facts, AT)
    snapshots._known[COMPANY] = snapshots.Known(rules, 1, answers)
    versions.be_told_by(lambda company_id, connection: (1, 1))


def turns(call: str, **names: object) -> Work:
    """Return a loop around an expression, which asks for 100 keys in turn."""
    namespace = {"keys": KEYS, **names}
    exec(f"def work(times):\n for _ in range(times // 100):\n  for key in keys: {call}", namespace)
    return namespace["work"]


def rows(run: Run) -> Iterator[Row]:
    """Checks by every way to ask, what a request pays besides, and compiling."""
    settings.FLAGS_USAGE_SECONDS = 0  # Counting is not the check, and would write to a database.
    know(rules(1000), facts(50))
    asker = Asker(COMPANY, "somebody")
    features = Features(lambda: asker)
    with scope(features):
        yield from _warm(run, features)
    yield from _requests(run, asker)
    yield from _compiling(run)


def _warm(run: Run, features: Features) -> Iterator[Row]:
    request = SimpleNamespace(features=features)
    many = 5_000
    times = run.in_turns(
        {
            "loop": (loop, many),
            "request.features[key]": (turns("r.features[key]", r=request), many),
            "is_enabled(key)": (turns("is_enabled(key)", is_enabled=is_enabled), many),
            "features.decide(key)": (turns("f.decide(key)", f=features), 200),
        },
        ROUNDS,
    )
    empty = times.pop("loop").best
    bars = {"request.features[key]": 1.5, "is_enabled(key)": 2.5}
    for name, found in times.items():
        taken = found.best - empty
        yield Row(name, run.in_u(taken), "U", bars.get(name), note=f"{taken * 1e9:.0f} ns")


def _requests(run: Run, asker: Asker) -> Iterator[Row]:
    def job(checks: int) -> Callable[[], None]:
        asked = KEYS[:checks]

        def work() -> None:
            with scope(Features(lambda: asker)):
                for key in asked:
                    is_enabled(key)

        return work

    response = HttpResponse()
    request = SimpleNamespace(principal=Principal(user=User(), company=Company(pk=COMPANY)))
    asking = FeaturesMiddleware(lambda request: [response][not request.features["feature_0"]])
    silent = FeaturesMiddleware(lambda request: response)
    works = {
        "resolve (all but the query)": again(lambda: Features(lambda: asker).resolution),
        **{f"a job: scope, {n} checks of {n} keys": again(job(n)) for n in (1, 20, 100)},
        "the middleware, no check": again(lambda: silent(request)),
        "the middleware, 1 check (what a request pays besides its query)": again(lambda: asking(request)),
    }
    for name, found in run.in_turns({name: (work, 50) for name, work in works.items()}, ROUNDS).items():
        yield Row(name, found.best * 1e6, "µs", 5 if "besides" in name else None)


def _compiling(run: Run) -> Iterator[Row]:
    plain, rolling = rules(1000), rules(1000, rollouts=100)

    few, some = facts(0), facts(50)
    waiting = compile_company(rolling, 1, some, AT).company

    def all_rollouts() -> None:
        bucket.cache_clear()
        waiting.own.clear()
        for key in KEYS:
            waiting.get(key)

    works = {
        "compile: no override": again(lambda: compile_company(plain, 1, few, AT)),
        "compile: 50 overrides": again(lambda: compile_company(plain, 1, some, AT)),
        "compile: 50 overrides, 100 rollouts": again(lambda: compile_company(rolling, 1, some, AT)),
        "and working out all 100 of them, never met before": again(all_rollouts),
    }
    for name, found in run.in_turns({name: (work, 20) for name, work in works.items()}, ROUNDS).items():
        yield Row(name, found.best * 1e6, "µs", 20 if "compile" in name else None)
