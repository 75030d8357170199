"""What code asks: the answers of a request, of a job, of somebody, each with one small query and never an exception."""

import asyncio
import logging
import uuid

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.db import connection, connections, transaction
from django.http import HttpResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from flags import features, snapshots
from flags.evaluation import Reason
from flags.exceptions import FeatureDisabled
from flags.features import (
    Asker,
    Features,
    ais_enabled,
    asker_for,
    check_features,
    company_facts,
    current,
    evaluation_scope,
    features_for,
    is_enabled,
    require_feature,
)
from flags.middleware import FeaturesMiddleware
from flags.models import Flag, Override
from flags.testing import override_features
from tenants.principal import Principal
from tests.factories import CompanyFactory, FlagFactory, GrantFactory, OverrideFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def on() -> Flag:
    return FlagFactory(key="trip_map", default_enabled=True)


@pytest.fixture
def off() -> Flag:
    return FlagFactory(key="trip_list")


# Who asks


def test_a_person_has_what_the_company_has(bob, acme, on, off):
    mine = features_for(bob, acme)
    assert (mine["trip_map"], mine["trip_list"]) == (True, False)
    assert features_for(bob, acme.pk)["trip_map"]


def test_without_a_company_there_is_nothing(bob, on):
    assert features_for(bob)["trip_map"] is False
    assert features_for(bob).decide("trip_map").reason == Reason.NO_COMPANY
    assert features_for(None)["trip_map"] is False


@pytest.mark.parametrize("company", ["inactive", "unknown"])
def test_a_company_that_is_suspended_or_unknown_is_no_company(bob, on, company):
    pk = CompanyFactory(is_active=False).pk if company == "inactive" else uuid.uuid4()
    asked = features_for(bob, pk)
    assert asked["trip_map"] is False
    assert asked.decide("trip_map").reason == Reason.NO_COMPANY
    assert company_facts(pk) is None


def test_a_super_admin_has_everything_but_what_is_killed(alice, acme, off):
    FlagFactory(key="dead_flag", default_enabled=True, is_killswitch=False, killed_at="2026-01-01T00:00:00Z")
    for company in (None, acme):
        asked = features_for(alice, company)
        assert (asked["trip_list"], asked["dead_flag"], asked["no_such_flag"]) == (True, False, False)
        assert asked.decide("trip_list").reason == Reason.SUPER_ADMIN


def test_a_super_admin_who_views_as_a_company_has_what_the_company_has(alice, acme, on, off):
    asked = Features(lambda: Asker(acme.pk, str(alice.pk)))
    assert (asked["trip_map"], asked["trip_list"]) == (True, False)


def test_nobody_and_the_inactive_ask_for_the_company_alone(acme, on):
    needs = FlagFactory(key="for_some", default_enabled=True, needs_grant=True)
    dan = GrantFactory(company=acme, flag=needs).user
    assert features_for(dan, acme)["for_some"]
    dan.is_active = False
    for user in (None, AnonymousUser(), dan, UserFactory.build()):
        asked = features_for(user, acme)
        assert (asked["trip_map"], asked["for_some"]) == (True, False)
    assert asker_for(UserFactory(super_admin=True, is_active=False), acme) == Asker(acme.pk)


# What they get


def test_an_answer_says_why(bob, acme, on, off):
    OverrideFactory(company=acme, flag=off)
    asked = features_for(bob, acme)
    assert asked.decide("trip_map") == features.Decision("trip_map", True, Reason.DEFAULT)
    assert asked.decide("trip_list") == features.Decision("trip_list", True, Reason.OVERRIDE)
    decision, steps = asked.explain("trip_list")
    assert (decision.reason, len(steps)) == (Reason.OVERRIDE, 12)


def test_an_unknown_key_is_off_and_named_once_in_the_log(bob, acme, caplog):
    asked = features_for(bob, acme)
    key = f"typo_{uuid.uuid4().hex[:8]}"
    with caplog.at_level(logging.WARNING):
        assert [asked[key], asked[key], features_for(bob, acme)[key]] == [False] * 3
    assert caplog.text.count(key) == 1
    assert asked.decide(key, default=True) == features.Decision(key, True, Reason.UNKNOWN_FLAG)
    assert asked.get(key) is False
    assert asked.get(key, "nothing") == "nothing"
    assert asked.evaluated == {}


@pytest.mark.parametrize("key", [None, 7, "", "trip map", "x" * 10_000, "__class__", ("trip_map",)])
def test_a_key_that_is_no_key_is_off(bob, acme, key):
    assert features_for(bob, acme)[key] is False


def test_it_is_a_mapping_of_every_flag_and_remembers_what_was_asked(bob, acme, on, off):
    asked = features_for(bob, acme)
    keys = set(Flag.objects.values_list("key", flat=True))
    assert (len(asked), set(asked), set(asked.keys())) == (len(keys), keys, keys)
    assert "trip_map" in asked
    assert "no_such_flag" not in asked
    assert asked.evaluated == {}
    assert asked["trip_map"]
    assert not asked["trip_list"]
    assert asked.evaluated == {"trip_map": True, "trip_list": False}
    assert dict(asked.items())["trip_map"] is True
    assert list(asked.values()).count(True) == sum(asked[key] for key in keys)
    assert "trip_map" in repr(asked)


def test_features_are_true_whatever_they_hold_and_equal_only_to_themselves(bob, acme):
    one, other = features_for(bob, acme), features_for(bob, acme)
    assert one
    assert bool(features_for(None))
    assert one == one
    assert one != other
    assert len({one, other}) == 2


def test_a_list_leaves_out_what_is_internal_and_what_is_archived(bob, acme, on):
    FlagFactory(key="secret", is_internal=True, default_enabled=True)
    FlagFactory(key="old_one", archived_at="2026-01-01T00:00:00Z", default_enabled=True)
    asked = features_for(bob, acme)
    shown = asked.listing(internal=False)
    assert shown["trip_map"] is True
    assert not {"secret", "old_one"} & set(shown)
    assert list(shown) == sorted(shown)
    assert asked.listing(internal=True)["secret"] is True
    assert asked["secret"]
    assert asked["old_one"]
    assert [asked.is_internal(key) for key in ("secret", "trip_map", "no_such_flag")] == [True, False, True]


def test_requiring_a_feature_that_is_off_raises_with_its_code(bob, acme, on, off):
    with evaluation_scope(bob, acme):
        require_feature("trip_map")
        with pytest.raises(FeatureDisabled) as refusal:
            require_feature("trip_list")
    assert (refusal.value.code, refusal.value.reason) == ("TRIP_LIST_DISABLED", Reason.DEFAULT)


def test_many_keys_are_checked_at_once(bob, acme, on, off):
    assert check_features(["trip_map", "trip_list", "nothing"], features_for(bob, acme)) == {
        "trip_map": True,
        "trip_list": False,
        "nothing": False,
    }


# What it costs


def test_a_warm_request_pays_one_query_for_any_number_of_checks(bob, acme, rf):
    features_for(bob, acme)["driver_management"]
    keys = list(Flag.objects.values_list("key", flat=True))

    def view(request):
        for key in keys * 3:
            request.features[key]
            is_enabled(key)
            request.features.decide(key)
        return HttpResponse()

    request = rf.get("/")
    request.principal = Principal(user=bob, company=acme)
    with CaptureQueriesContext(connection) as queries:
        FeaturesMiddleware(view)(request)
    assert len(queries) == 1
    assert "flags_version" in queries[0]["sql"]


def test_a_request_without_a_check_pays_nothing(bob, acme, rf, django_assert_num_queries):
    request = rf.get("/")
    request.principal = Principal(user=bob, company=acme)
    with django_assert_num_queries(0):
        FeaturesMiddleware(lambda request: HttpResponse())(request)


def test_each_ask_for_somebody_else_is_exact_and_pays_its_own_query(bob, acme, on, django_assert_num_queries):
    is_enabled("trip_map", company=acme)
    with django_assert_num_queries(2):
        assert is_enabled("trip_map", user=bob, company=acme)
        assert is_enabled("trip_map", company=acme)


@pytest.fixture
def rf() -> RequestFactory:
    return RequestFactory()


# Scopes


def test_checks_in_a_scope_are_answered_for_it_and_as_of_one_moment(bob, acme, globex, off):
    OverrideFactory(company=acme, flag=off)
    with evaluation_scope(bob, acme) as scope:
        assert is_enabled("trip_list")
        Override.objects.all().delete()
        Flag.objects.filter(pk="driver_chat").update(default_enabled=True)
        with evaluation_scope(company=globex):
            assert not is_enabled("trip_list")
        scope.forget()
        assert not is_enabled("trip_list")
        assert is_enabled("driver_chat")
    assert not is_enabled("driver_chat")  # Outside, it is nobody who asks.
    assert current().decide("driver_chat").reason == Reason.NO_COMPANY


def test_a_default_answers_only_for_a_key_that_no_flag_has(acme, off):
    with evaluation_scope(company=acme):
        assert is_enabled("no_such_flag", default=True)
        assert not is_enabled("trip_list", default=True)


def test_a_change_that_is_rolled_back_is_never_seen_afterwards(acme, off):
    with evaluation_scope(company=acme):
        with transaction.atomic():
            off.default_enabled = True
            off.save()
            assert is_enabled("trip_list")
            transaction.set_rollback(True)
        assert not is_enabled("trip_list")


@pytest.mark.parametrize("how", ["save", "update"])
def test_a_savepoint_that_is_rolled_back_is_never_seen_afterwards(acme, off, how):
    with transaction.atomic(), evaluation_scope(company=acme) as scope:
        with transaction.atomic():
            if how == "save":
                off.default_enabled = True
                off.save()
            else:
                Flag.objects.filter(pk=off.pk).update(default_enabled=True)
            assert is_enabled("trip_list")
            assert scope.evaluated == {"trip_list": True}
            transaction.set_rollback(True)
        assert not is_enabled("trip_list")


def test_a_change_stays_seen_once_it_is_committed(acme, off):
    with evaluation_scope(company=acme):
        with transaction.atomic():
            off.default_enabled = True
            off.save()
            assert is_enabled("trip_list")
        assert is_enabled("trip_list")


# On an event loop


def run(work):
    """Run a coroutine, and close the connections that its helper threads have opened."""

    async def and_tidy_up():
        try:
            return await work
        finally:
            await sync_to_async(connections.close_all)()

    return asyncio.run(and_tidy_up())


def test_a_check_on_an_event_loop_answers(acme, on, off):
    async def work() -> list[bool]:
        with evaluation_scope(company=acme):
            return [is_enabled("trip_map"), is_enabled("trip_list"), await ais_enabled("trip_map")]

    assert run(work()) == [True, False, True]


def test_answers_that_were_loaded_off_the_loop_are_look_ups_on_it(acme, on, monkeypatch):
    async def work() -> None:
        loaded = await features_for(None, acme).aload()
        monkeypatch.setattr(features, "resolve", lambda ask: pytest.fail("it asked again"))
        assert loaded["trip_map"]
        assert loaded.decide("trip_map")
        assert (await loaded.aload()) is loaded

    run(work())


def test_two_tasks_do_not_share_their_scopes(acme, globex, off):
    OverrideFactory(company=acme, flag=off)

    async def asks(company, turns) -> list[bool]:
        with evaluation_scope(company=company):
            answers = []
            for _ in range(turns):
                answers.append(await ais_enabled("trip_list"))
                await asyncio.sleep(0)
            return answers

    async def both():
        return await asyncio.gather(asks(acme, 5), asks(globex, 5))

    assert run(both()) == [[True] * 5, [False] * 5]


def test_the_middleware_serves_coroutines_too(bob, acme, on, rf):
    async def view(request):
        response = HttpResponse()
        response["X-Answer"] = str(await ais_enabled("trip_map"))
        return response

    request = rf.get("/")
    request.principal = Principal(user=bob, company=acme)
    response = run(FeaturesMiddleware(view)(request))
    assert response["X-Answer"] == "True"


def test_a_thread_started_for_async_code_asks_in_the_scope_of_its_caller(acme, on):
    async def work() -> bool:
        with evaluation_scope(company=acme):
            return await sync_to_async(is_enabled)("trip_map")

    assert run(work())


# As attributes


def test_a_key_is_an_attribute_like_any_other(acme, bob):
    OverrideFactory(company=acme, flag_id="billing_enabled", flag=None, enabled=True)
    FlagFactory(key="made_by_hand", default_enabled=True)
    asked = features_for(bob, acme)
    assert asked.billing_enabled is True
    assert asked.white_label is False
    assert asked.made_by_hand is True
    assert set(asked.evaluated) == {"billing_enabled", "white_label", "made_by_hand"}


def test_a_typo_among_attributes_says_which_key_was_meant(acme, bob):
    with pytest.raises(AttributeError, match=r"'biling_enabled' is in no catalogue\. Did you mean 'billing_enabled'"):
        _ = features_for(bob, acme).biling_enabled
    assert not hasattr(features_for(bob, acme), "__html__")


def test_where_nothing_can_be_read_an_attribute_answers_like_a_key(acme, bob, monkeypatch):
    monkeypatch.setattr(snapshots, "resolve", lambda *_: 1 / 0)
    assert features_for(bob, acme).billing_enabled is False
    assert features_for(bob, acme).made_by_hand is False


def test_an_attribute_can_be_decided_by_a_test(acme, bob):
    with override_features(billing_enabled=True):
        assert features_for(bob, acme).billing_enabled is True
