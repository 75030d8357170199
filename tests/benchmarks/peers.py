"""A check beside those of others, in the same process and in turns. Whatever of them is installed.

Headgate asks for one company with overrides; each of the others for a flag without any rule, its quickest case.
django-flags cannot be beside us: its package has our name.
"""

import importlib
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.management import call_command
from django.test.utils import modify_settings

from flags.features import Asker, Features, is_enabled, scope
from tests.benchmarks import stage
from tests.benchmarks.check import COMPANY, KEYS, facts, know, rules
from tests.benchmarks.measuring import Row, Run, Unavailable, Work, loop

Ask = Callable[[str], object]
LOCMEM = "django.core.cache.backends.locmem.LocMemCache"


def rows(run: Run) -> Iterator[Row]:
    """Nanoseconds a check, and how many of ours go into one of theirs."""
    found = {name: peer for name, peer in PEERS.items() if find_spec(peer[0])}
    if not found:
        raise Unavailable(f"none of {', '.join(module for module, _ in PEERS.values())} is installed")
    settings.FLAGS_USAGE_SECONDS = 0
    asks = {name: start() for name, (_, start) in found.items()}
    with scope(_headgate(COMPANY)):
        works: dict[str, tuple[Work, int]] = {"loop": (loop, 1_000), "Headgate": (_work(is_enabled), 1_000)}
        works |= {name: (_work(ask), 100) for name, ask in asks.items()}
        times = {name: times.best for name, times in run.in_turns(works, 100).items()}
    empty = times.pop("loop")
    ours = times["Headgate"] - empty
    for name, taken in times.items():
        note = "" if name == "Headgate" else f"{(taken - empty) / ours:,.0f} checks of Headgate"
        yield Row(f"{name}: one check", (taken - empty) * 1e9, "ns", note=note)


def _work(ask: Ask) -> Work:
    def work(times: int) -> None:
        for _ in range(times // 100):
            for key in KEYS:
                ask(key)

    return work


def _headgate(company_id: UUID) -> Features:
    know(rules(1000), facts(50))
    return Features(lambda: Asker(company_id))


def _waffle() -> Ask:
    # A cache of its own, whatever CACHE_URL says; as Django ships it, it would thrash.
    settings.CACHES["waffle"] = {"BACKEND": LOCMEM, "OPTIONS": {"MAX_ENTRIES": 100_000}}
    settings.WAFFLE_CACHE_NAME = "waffle"
    modify_settings(INSTALLED_APPS={"append": "waffle"}).enable()
    stage.database()
    call_command("migrate", "waffle", verbosity=0)
    waffle: Any = importlib.import_module("waffle")
    flags = importlib.import_module("waffle.models").Flag.objects
    flags.bulk_create([flags.model(name=key) for key in KEYS], ignore_conflicts=True)
    request = SimpleNamespace(user=AnonymousUser(), COOKIES={}, GET={})
    return lambda key: waffle.flag_is_active(request, key)


def _openfeature() -> Ask:
    api: Any = importlib.import_module("openfeature.api")
    memory: Any = importlib.import_module("openfeature.provider.in_memory_provider")
    states = {"on": True, "off": False}
    api.set_provider(memory.InMemoryProvider({key: memory.InMemoryFlag("on", states) for key in KEYS}), "peers")
    client = api.get_client("peers")
    assert client.get_boolean_value(KEYS[0], False), "it answers before it is ready"
    return lambda key: client.get_boolean_value(key, False)


def _unleash() -> Ask:
    features = [{"name": key, "enabled": True, "strategies": [{"name": "default"}]} for key in KEYS]
    cache: Any = importlib.import_module("UnleashClient.cache").FileCache("headgate", tempfile.mkdtemp())
    cache.bootstrap_from_dict({"version": 2, "features": features})
    client_of: Any = importlib.import_module("UnleashClient").UnleashClient
    client = client_of("http://localhost", "headgate", disable_metrics=True, disable_registration=True, cache=cache)
    client.initialize_client(fetch_toggles=False)
    assert client.is_enabled(KEYS[0]), "it does not answer from what it was given"
    return client.is_enabled


PEERS: dict[str, tuple[str, Callable[[], Ask]]] = {
    "OpenFeature SDK, in memory": ("openfeature", _openfeature),
    "UnleashClient, from memory": ("UnleashClient", _unleash),
    "django-waffle, LocMem": ("waffle", _waffle),
}
