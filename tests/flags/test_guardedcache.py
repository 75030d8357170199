"""Redis may be killed, frozen, full or full of rubbish: that is a miss, a short wait, and a line in the log."""

import logging
import pickle
import socket
import threading
import time

import pytest
from django.core.cache import cache, caches
from django.utils import timezone

from flags import guardedcache, snapshots
from flags.features import features_for
from flags.guardedcache import Breaker, GuardedRedisCache, JSONSerializer
from tests.conftest import lacking
from tests.factories import FlagFactory, OverrideFactory
from tests.flags.asking import ask, forget_process
from tests.redisserver import PROGRAM, RedisServer


@pytest.fixture
def server():
    if not PROGRAM:
        lacking("the program redis-server")
    with RedisServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_breaker_is_open(monkeypatch):
    monkeypatch.setattr(guardedcache, "_breakers", {})


@pytest.fixture
def guarded(server) -> GuardedRedisCache:
    return GuardedRedisCache(server.url, {})


def use(settings, server: RedisServer) -> None:
    """Let Django's cache be this server, guarded."""
    settings.CACHES = {
        "default": {"BACKEND": "flags.guardedcache.GuardedRedisCache", "LOCATION": server.url, "KEY_PREFIX": "t"}
    }


# A cache like any other, while all is well


def test_it_keeps_json_and_nothing_else(guarded, server):
    for value in (None, True, 7, 1.5, "text ☃", [1, [2]], {"a": {"b": None}}):
        guarded.set("key", value)
        assert guarded.get("key", "missing") == value
    guarded.set("object", object())  # Not kept, and no exception.
    assert guarded.get("object", "missing") == "missing"
    assert server.client.get(guarded.make_and_validate_key("key")) == b'{"a":{"b":null}}'


def test_it_does_all_that_a_cache_does(guarded):
    assert guarded.add("a", 1)
    assert not guarded.add("a", 2)
    assert guarded.set_many({"b": 2, "c": 3}) == []
    assert guarded.get_many(["a", "b", "none"]) == {"a": 1, "b": 2}
    assert guarded.incr("a") == 2
    assert guarded.decr("a") == 1
    assert "a" in guarded
    assert guarded.touch("a", 60)
    assert guarded.delete("a")
    assert not guarded.delete("a")
    guarded.delete_many(["b", "c"])
    assert guarded.get("b") is None
    assert guarded.get_or_set("d", 4) == 4
    assert guarded.is_reachable()
    guarded.clear()
    assert guarded.get("d") is None
    with pytest.raises(ValueError, match="not found"):
        guarded.incr("nothing")


# While it is not


def every_call(cache: GuardedRedisCache) -> None:
    """Each call says what it says of a key that is not there."""
    assert cache.get("key", "missing") == "missing"
    assert cache.get_many(["key"]) == {}
    assert not cache.set("key", 1)
    assert cache.set_many({"key": 1}) == ["key"]
    assert not cache.add("key", 1)
    assert not cache.touch("key", 1)
    assert not cache.delete("key")
    assert not cache.delete_many(["key"])
    assert not cache.has_key("key")
    assert not cache.clear()
    with pytest.raises(ValueError, match="not found"):
        cache.incr("key")
    assert not cache.is_reachable()


def test_a_server_that_was_killed_is_a_miss_in_every_call(guarded, server, monkeypatch):
    guarded.set("key", 1)
    server.kill()
    monkeypatch.setattr(guardedcache, "FAILURES_BEFORE_A_BREAK", 10**6)  # Each call meets the dead server itself.
    every_call(guarded)


def test_a_server_that_was_never_there_is_a_miss_in_every_call(monkeypatch):
    monkeypatch.setattr(guardedcache, "FAILURES_BEFORE_A_BREAK", 10**6)
    every_call(GuardedRedisCache("redis://127.0.0.1:1/0", {}))


def test_a_frozen_server_costs_three_short_waits_and_is_then_left_alone(guarded, server):
    guarded.set("key", 1)
    server.freeze()
    waits = []
    for _ in range(20):
        began = time.monotonic()
        assert guarded.get("key", "missing") == "missing"
        waits.append(time.monotonic() - began)
    server.thaw()
    slow = [wait for wait in waits if wait > 0.05]
    assert len(slow) == guardedcache.FAILURES_BEFORE_A_BREAK
    assert max(waits) < 1  # 0.1 s by the clock of a machine that may be busy.
    assert sum(waits[3:]) < 0.1


def test_after_the_break_the_server_is_tried_again_and_heals(guarded, server, monkeypatch):
    monkeypatch.setattr(guardedcache, "BREAK_SECONDS", 0.2)
    guarded.set("key", 1)
    server.freeze()
    for _ in range(3):
        guarded.get("key")
    server.thaw()
    assert guarded.get("key") is None  # It is well again, but we do not know yet.
    time.sleep(0.25)
    assert guarded.get("key") == 1


def test_a_server_that_was_started_again_is_used_again(guarded, server, monkeypatch):
    monkeypatch.setattr(guardedcache, "BREAK_SECONDS", 0)
    guarded.set("key", 1)
    server.kill()
    assert guarded.get("key") is None
    server.start()
    guarded.set("key", 2)
    assert guarded.get("key") == 2


@pytest.mark.parametrize(
    "rubbish", [b"", b"\xff\xfe", b"{", b"[" * 100_000, pickle.dumps({"a": 1}), b"NaN", b"\x00" * 1000]
)
def test_rubbish_in_redis_is_never_an_exception_and_never_an_object(guarded, server, rubbish):
    server.client.set(guarded.make_and_validate_key("key"), rubbish)
    value = guarded.get("key")
    assert value is None or value != value  # Not a number is not an object, either.
    assert guarded.get_many(["key"]) in ({}, {"key": None}) or rubbish == b"NaN"


def test_what_redis_keeps_is_never_unpickled(guarded, server):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("it was unpickled",))

    server.client.set(guarded.make_and_validate_key("key"), pickle.dumps(Bomb()))
    assert guarded.get("key") is None


def test_a_key_of_another_type_is_a_miss(guarded, server):
    server.client.rpush(guarded.make_and_validate_key("key"), "a", "b")
    assert guarded.get("key", "missing") == "missing"


def test_a_full_server_keeps_nothing_new_and_is_no_harm(guarded, server):
    guarded.set("old", 1)
    server.client.config_set("maxmemory", "1")
    guarded.set("new", 1)
    assert guarded.get("new") is None
    assert guarded.get("old") == 1


def test_a_server_that_talks_nonsense_is_a_miss():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(10)

        def talk() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n" * 10)

        threading.Thread(target=talk, daemon=True).start()
        nonsense = GuardedRedisCache(f"redis://127.0.0.1:{listener.getsockname()[1]}/0", {})
        began = time.monotonic()
        for _ in range(10):
            assert nonsense.get("key", "missing") == "missing"
            assert not nonsense.set("key", 1)
        assert time.monotonic() - began < 5
        listener.close()


# The breaker


def test_the_breaker_opens_after_failures_in_a_row_only():
    breaker = Breaker()
    for _ in range(5):
        breaker.failed(OSError())
        breaker.failed(OSError())
        breaker.succeeded()
    assert not breaker.is_open
    for _ in range(3):
        breaker.failed(OSError())
    assert breaker.is_open


def test_failures_between_successes_do_not_open_it(guarded, server):
    bad = guarded.make_and_validate_key("bad")
    server.client.rpush(bad, "a list")
    for _ in range(5):
        assert guarded.get("bad") is None
        assert guarded.get("bad") is None
        guarded.set("good", 1)
    assert guarded.get("good") == 1


def test_all_threads_share_what_is_known_of_a_server(server):
    one, other = GuardedRedisCache(server.url, {}), GuardedRedisCache(server.url, {})
    elsewhere = GuardedRedisCache("redis://127.0.0.1:1/0", {})
    assert one.breaker is other.breaker
    assert elsewhere.breaker is not one.breaker


def test_a_server_that_is_away_is_in_the_log_once_a_minute(caplog, monkeypatch):
    monkeypatch.setattr(guardedcache, "FAILURES_BEFORE_A_BREAK", 10**6)
    away = GuardedRedisCache("redis://127.0.0.1:1/0", {})
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            away.get("key")
        assert caplog.text.count("cache unavailable") == 1
        away.breaker.logged_at -= guardedcache.SECONDS_BETWEEN_LOG_LINES
        away.get("key")
    assert caplog.text.count("cache unavailable") == 2


def test_json_that_is_not_json_is_none():
    assert JSONSerializer().loads(b"\x80\x04\x95") is None
    assert JSONSerializer().loads(JSONSerializer().dumps({"a": [1]})) == {"a": [1]}


# Checks on top of it


@pytest.mark.django_db(transaction=True)
def test_checks_go_on_while_redis_is_killed_and_changes_are_still_seen(acme, bob, settings, server):
    use(settings, server)
    flag = FlagFactory(key="trip_map")
    assert not features_for(bob, acme)["trip_map"]
    server.kill()
    assert not features_for(bob, acme)["trip_map"]
    OverrideFactory(company=acme, flag=flag)
    asked = features_for(bob, acme)
    assert asked["trip_map"]
    assert not asked.stale
    forget_process()
    assert ask(acme)["trip_map"]


@pytest.mark.django_db(transaction=True)
def test_checks_go_on_while_redis_is_frozen_and_wait_no_longer_than_the_breaker_lets_them(acme, bob, settings, server):
    use(settings, server)
    flag = FlagFactory(key="trip_map")
    assert not features_for(bob, acme)["trip_map"]
    server.freeze()
    began = time.monotonic()
    for _ in range(10):
        OverrideFactory(flag=flag)
        forget_process()
        asked = features_for(bob, acme)
        assert asked["driver_management"]
        assert not asked.stale
    server.thaw()
    assert time.monotonic() - began < 3


@pytest.mark.django_db(transaction=True)
def test_a_cold_process_reads_from_redis_what_another_has_filed(acme, settings, server, django_assert_num_queries):
    use(settings, server)
    right = ask(acme)
    assert server.client.dbsize() == 2
    assert all(0 < server.client.ttl(key) <= 300 for key in server.client.scan_iter())
    forget_process()
    with django_assert_num_queries(1):
        assert ask(acme) == right


@pytest.mark.django_db(transaction=True)
def test_a_flushed_or_poisoned_redis_changes_no_answer(acme, settings, server):
    use(settings, server)
    right = ask(acme)
    server.client.flushall()
    forget_process()
    assert ask(acme) == right
    for poison in (b'"x"', pickle.dumps(right), b"[" * 100_000, b'{"rules": true}'):
        for key in server.client.scan_iter():
            server.client.set(key, poison)
        forget_process()
        assert ask(acme) == right
        assert snapshots.last_known(acme.pk, timezone.now()) is not None


@pytest.mark.redis
def test_the_cache_of_this_run_is_the_guarded_one():
    assert isinstance(caches["default"], GuardedRedisCache)
    cache.set("ours", [1])
    assert cache.get("ours") == [1]
