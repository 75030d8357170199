"""Whatever breaks, a check answers: as before where anything was known, and the safe default where nothing was."""

import uuid
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone

from flags import answers, features, resolution, sharedcache, snapshots, versions
from flags.evaluation import Reason
from flags.features import Asker, Features, evaluation_scope, features_for, is_enabled
from flags.middleware import FeaturesMiddleware
from flags.models import Flag
from tenants import patience, rls
from tenants.principal import Principal
from tests.factories import FlagFactory, OverrideFactory
from tests.flags.asking import ask, in_thread

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def trip_map(acme) -> Flag:
    """On for Acme, by an override."""
    return OverrideFactory(company=acme, flag=FlagFactory(key="trip_map")).flag


def every_way_to_ask(company, user) -> dict:
    """Ask in all ways there are, and return what was said."""
    asked = features_for(user, company)
    with evaluation_scope(user, company):
        return {
            "subscript": asked["trip_map"],
            "get": asked.get("trip_map"),
            "decide": asked.decide("trip_map").enabled,
            "list": asked.listing(internal=True).get("trip_map", False),
            "in scope": is_enabled("trip_map"),
            "by name": is_enabled("trip_map", user=user, company=company),
            "unknown": asked["no_such_flag"] or asked.get("no_such_flag"),
        }


def all_of(value: bool) -> dict:
    ways = ("subscript", "get", "decide", "list", "in scope", "by name")
    return dict.fromkeys(ways, value) | {"unknown": False}


# Each layer


def raising(error: Exception):
    def broken(*args, **kwargs):
        raise error

    return broken


LAYERS = [
    (versions, "current"),
    (snapshots, "_single_flight"),
    (snapshots, "load"),
    (snapshots, "parse_rules"),
    (snapshots, "parse_company"),
    (snapshots, "compile_rules"),
    (snapshots, "compile_company"),
    (sharedcache, "get"),
    (sharedcache, "put"),
    (resolution, "_resolve_exactly"),
]
ERRORS = [
    RuntimeError("x"),
    OperationalError("x"),
    InterfaceError("x"),
    KeyError("x"),
    RecursionError(),
    AssertionError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer[1])
def test_no_exception_in_any_layer_leaves_a_check(acme, bob, layer, error, monkeypatch):
    assert every_way_to_ask(acme, bob) == all_of(True)
    monkeypatch.setattr(*layer, raising(error))
    # Warm, with nothing changed: as before.
    assert every_way_to_ask(acme, bob) == all_of(True)
    # With a change that cannot be read: as before, too.
    Flag.objects.filter(pk="driver_chat").update(default_enabled=True)
    snapshots._rules.clear()
    cache.clear()
    assert every_way_to_ask(acme, bob) == all_of(True)
    # Cold: the safe default.
    snapshots.clear()
    assert every_way_to_ask(acme, bob) == all_of(False)
    assert features_for(bob, acme).decide("trip_map").reason == Reason.UNAVAILABLE
    assert features_for(bob, acme).decide("trip_map", default=True).enabled


def test_an_asker_who_cannot_be_found_out_gets_the_safe_default(acme):
    asked = Features(raising(DatabaseError("who?")))
    assert asked["trip_map"] is False
    assert asked.decide("trip_map").reason == Reason.UNAVAILABLE
    assert asked.stale


@pytest.mark.parametrize("layer", [(answers, "evaluate"), (answers, "required_by"), (answers.Answers, "for_user")])
def test_an_error_in_the_rules_themselves_leaves_no_check(acme, bob, layer, monkeypatch):
    assert every_way_to_ask(acme, bob) == all_of(True)
    monkeypatch.setattr(*layer, raising(ZeroDivisionError()))
    every_way_to_ask(acme, bob)
    snapshots.clear()
    cache.clear()
    every_way_to_ask(acme, bob)


def test_a_reason_that_cannot_be_given_does_not_change_the_answer(acme, bob, monkeypatch):
    asked = features_for(bob, acme)
    assert asked["trip_map"]
    monkeypatch.setattr(features, "evaluate", raising(ZeroDivisionError()))
    assert asked.decide("trip_map") == features.Decision("trip_map", True, Reason.UNAVAILABLE)


def test_what_stands_in_an_outage_is_said_in_the_log_once_a_minute(acme, bob, monkeypatch, caplog):
    ask(acme)
    monkeypatch.setattr(resolution, "_complained_at", float("-inf"))
    monkeypatch.setattr(versions, "current", raising(OperationalError("away")))
    for _ in range(5):
        assert features_for(bob, acme)["trip_map"]
    assert caplog.text.count("answers are from the past") == 1
    monkeypatch.setattr(resolution, "SECONDS_BETWEEN_COMPLAINTS", 0)
    assert features_for(bob, acme)["trip_map"]
    assert caplog.text.count("answers are from the past") == 2


# The database


@contextmanager
def database_away():
    """Point this process to where no database is, as if it had stopped."""
    settings = connection.settings_dict
    before = {name: settings[name] for name in ("NAME", "HOST", "PORT")}
    connection.close()
    if connection.vendor == "postgresql":
        settings.update(HOST="127.0.0.1", PORT="1")
    else:
        settings["NAME"] = f"/no/such/folder/{uuid.uuid4()}"
    try:
        yield
    finally:
        settings.update(before)
        connection.close()
        patience.breaker.closed()


def test_with_the_database_away_warm_answers_go_on_and_say_so(acme, globex, bob, alice):
    assert every_way_to_ask(acme, bob) == all_of(True)
    with database_away():
        asked = features_for(bob, acme)
        assert every_way_to_ask(acme, bob) == all_of(True)
        assert asked["trip_map"]
        assert asked.stale
        assert asked.decide("trip_map").reason == Reason.OVERRIDE
        assert features_for(alice)["trip_map"]
        # Nobody has asked for Globex: nothing is known of it, and nothing is made up.
        cold = features_for(None, globex)
        assert cold["driver_management"] is False
        assert cold.decide("driver_management").reason == Reason.UNAVAILABLE
        assert cold.stale
        assert list(cold) == []
    asked = features_for(bob, acme)
    assert asked["trip_map"]
    assert not asked.stale
    assert features_for(None, globex)["driver_management"]


def test_with_the_database_away_a_cold_process_gives_the_safe_default(acme, bob, alice):
    snapshots.clear()
    with database_away():
        assert every_way_to_ask(acme, bob) == all_of(False)
        assert features_for(alice)["trip_map"] is False
    assert every_way_to_ask(acme, bob) == all_of(True)


def test_a_response_says_that_its_answers_are_from_the_past(acme, bob):
    def respond(request) -> HttpResponse:
        return HttpResponse(str(request.features["trip_map"]))

    request = RequestFactory().get("/")
    request.principal = Principal(user=bob, company=acme)
    assert "X-Flags-Stale" not in FeaturesMiddleware(respond)(request)
    with database_away():
        response = FeaturesMiddleware(respond)(request)
    assert (response.content, response["X-Flags-Stale"]) == (b"True", "true")
    with database_away():
        assert "X-Flags-Stale" not in FeaturesMiddleware(lambda request: HttpResponse())(request)


def test_what_ends_in_an_outage_ends(acme, bob, trip_map, time_machine):
    end = timezone.now() + timedelta(minutes=1)
    trip_map.overrides.update(expires_at=end)
    assert features_for(bob, acme)["trip_map"]
    with database_away():
        assert features_for(bob, acme)["trip_map"]
        time_machine.move_to(end)
        assert not features_for(bob, acme)["trip_map"]


@pytest.mark.postgres
def test_a_connection_that_was_cut_is_replaced_and_the_answer_is_exact(acme, bob):
    """A job asks again and again on one connection; no request looks after it."""
    assert features_for(bob, acme)["trip_map"]
    cut_this_connection()
    asked = features_for(bob, acme)
    assert asked["trip_map"]
    assert not asked.stale


@pytest.mark.postgres
def test_a_connection_that_is_cut_in_a_transaction_leaves_the_last_good_answer(acme, bob):
    assert features_for(bob, acme)["trip_map"]
    with suppress(DatabaseError), transaction.atomic():
        cut_this_connection()
        cut_off = features_for(bob, acme)
        assert cut_off["trip_map"]
    assert cut_off.stale
    asked = features_for(bob, acme)
    assert asked["trip_map"]
    assert not asked.stale


@pytest.mark.postgres
def test_a_statement_that_failed_before_us_in_the_transaction_leaves_the_last_good_answer(acme, bob):
    assert features_for(bob, acme)["trip_map"]
    with transaction.atomic():
        with pytest.raises(DatabaseError), connection.cursor() as cursor:
            cursor.execute("select no_such_column")
        asked = features_for(bob, acme)
        assert asked["trip_map"]
        assert asked.stale
        transaction.set_rollback(True)


def cut_this_connection() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        (pid,) = cursor.fetchone()

    def cut() -> None:
        with rls.acting_as_nobody(), connection.cursor() as cursor:
            cursor.execute("select pg_terminate_backend(%s)", [pid])

    in_thread(cut)()


def test_a_super_admin_and_nobody_are_answered_from_the_last_rules(alice, acme, globex):
    ask(acme)
    with database_away():
        for company in (None, acme, globex):
            assert features_for(alice, company).decide("driver_chat") == features.Decision(
                "driver_chat", True, Reason.SUPER_ADMIN
            )
        assert features_for(None).decide("trip_map").reason == Reason.NO_COMPANY
        assert Features(lambda: Asker(None, None, True)).stale is False  # Nothing was asked yet.
