"""A cache that is shared with others is not trusted: what is not ours, not this, or not whole is a miss."""

import json

import pytest
from django.core.cache import cache, caches
from django.core.signing import Signer
from django.utils import timezone

from flags import sharedcache, snapshots
from flags.models import Flag, Override
from tenants.models import Company
from tests.factories import FlagFactory, OverrideFactory
from tests.flags.asking import ask, forget_process

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def flag() -> Flag:
    return FlagFactory(key="trip_map")


def entry(kind: str, company: Company | None, version: int) -> str:
    return sharedcache.name(kind, str(company.pk) if company else "", version)


def present(company: Company) -> tuple[int, int]:
    answers = snapshots.resolve(company.pk, timezone.now())
    return answers.rules.version, answers.version


GARBAGE = [None, 7, True, [], {}, "", "text", "[]", "null:signature", "\x00", ["company"], '["rules","",1,"[]"]:x']


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_in_the_shared_cache_is_a_miss(acme, garbage):
    rules, own = present(acme)
    right = ask(acme)
    cache.set(entry("rules", None, rules), garbage)
    cache.set(entry("company", acme, own), garbage)
    forget_process()
    assert ask(acme) == right


def test_another_companys_entry_under_our_name_is_a_miss(acme, globex, flag):
    OverrideFactory(company=globex, flag=flag, enabled=True)
    assert ask(globex)["trip_map"]
    (_, own), (_, other) = present(acme), present(globex)
    stolen = cache.get(entry("company", globex, other))
    assert stolen
    cache.set(entry("company", acme, own), stolen)
    forget_process()
    assert not ask(acme)["trip_map"]


def test_an_old_entry_under_a_new_name_is_a_miss(acme, flag):
    old_rules, old_own = present(acme)
    old = cache.get(entry("rules", None, old_rules)), cache.get(entry("company", acme, old_own))
    assert all(old)
    Flag.objects.filter(pk=flag.pk).update(default_enabled=True)
    Override.objects.bulk_create([Override(company=acme, flag_id="driver_management", enabled=False)])
    right = ask(acme)
    rules, own = present(acme)
    cache.set(entry("rules", None, rules), old[0])
    cache.set(entry("company", acme, own), old[1])
    forget_process()
    assert ask(acme) == right
    assert right["trip_map"]
    assert not right["driver_management"]


def test_an_entry_signed_with_another_key_is_a_miss(acme, settings):
    _, own = present(acme)
    right = ask(acme)
    facts = json.dumps(["general", 2, [["driver_management", False, None, False]], [], []])
    value = json.dumps(["company", str(acme.pk), own, facts])
    for key, believed in (("somebody else's", False), (settings.SECRET_KEY, True)):
        forger = Signer(key=key, salt="flags.sharedcache")
        cache.set(entry("company", acme, own), forger.sign(value))
        forget_process()
        assert (ask(acme) != right) == believed


def test_an_entry_of_ours_that_is_not_whole_is_a_miss(acme):
    rules, own = present(acme)
    right = ask(acme)
    sharedcache.put("rules", "", rules, "[[], []]")
    sharedcache.put("company", str(acme.pk), own, '["general", null, [], [], []]')
    forget_process()
    assert ask(acme) == right


@pytest.mark.parametrize("method", ["get", "set"])
def test_a_cache_that_raises_is_a_miss(acme, monkeypatch, method):
    right = ask(acme)

    def broken(*args, **kwargs):
        raise RuntimeError("no cache")

    monkeypatch.setattr(type(caches["default"]), method, broken)
    forget_process()
    assert ask(acme) == right


def test_what_does_not_exist_or_has_no_version_is_not_shared(acme):
    sharedcache.put("company", str(acme.pk), 0, "[]")
    sharedcache.put("company", str(acme.pk), 7, None)
    assert cache.get(entry("company", acme, 0)) is None
    assert cache.get(entry("company", acme, 7)) is None


def test_what_is_shared_is_kept_for_about_five_minutes_and_not_longer(acme, settings, monkeypatch):
    kept = []
    monkeypatch.setattr(type(caches["default"]), "set", lambda self, key, value, timeout: kept.append(timeout))
    for version in range(1, 200):
        sharedcache.put("company", str(acme.pk), version, "[]")
    assert 270 <= min(kept) < max(kept) <= settings.FLAGS_CACHE_SECONDS == 300
