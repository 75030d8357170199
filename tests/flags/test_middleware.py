"""Every request has its features, and an answer that rests on old ones says so."""

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.db import OperationalError
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.urls import path

from flags.features import current, features_for, is_enabled
from flags.middleware import FeaturesMiddleware
from tests.factories import OverrideFactory

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


def ask(request):
    return HttpResponse(str(request.features["billing_enabled"]))


async def ask_in_async(request):
    await request.features.aload()
    return HttpResponse(str(is_enabled("billing_enabled")))


def ask_nothing(request):
    return HttpResponse("hello")


def same(request):
    return HttpResponse(str(current() is request.features))


urlpatterns = [
    path("ask/", ask),
    path("ask-in-async/", ask_in_async),
    path("ask-nothing/", ask_nothing),
    path("same/", same),
]


@pytest.fixture
def on(acme):
    """Billing is on for Acme only."""
    return OverrideFactory(company=acme, flag_id="billing_enabled", flag=None, enabled=True)


@pytest.mark.parametrize("address", ["/ask/", "/ask-in-async/"])
def test_each_request_is_answered_for_whoever_it_comes_from(sign_in, alice, bob, carol, on, address):
    answers = {name: sign_in(user).get(address).content for name, user in {"a": alice, "b": bob, "c": carol}.items()}
    assert answers == {"a": b"True", "b": b"True", "c": b"False"}
    assert Client().get(address).content == b"False"


def test_under_asgi_too(bob, on):
    client = AsyncClient()
    client.force_login(bob)
    assert async_to_sync(client.get)("/ask-in-async/").content == b"True"
    assert async_to_sync(client.get)("/ask/").content == b"True"


def test_the_scope_of_a_request_is_its_own_features(client):
    assert client.get("/same/").content == b"True"
    assert not current().evaluated


def test_a_request_that_asks_nothing_costs_nothing(rf, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert FeaturesMiddleware(ask_nothing)(rf.get("/")).content == b"hello"


def test_a_request_that_asks_pays_once(rf, django_assert_num_queries):
    FeaturesMiddleware(ask)(rf.get("/"))
    with django_assert_num_queries(1):
        FeaturesMiddleware(lambda request: ask(request) and ask(request))(rf.get("/"))


def test_an_answer_from_a_time_before_the_database_went_away_says_so(sign_in, bob, on, monkeypatch):
    client = sign_in(bob)
    fresh = client.get("/ask/")
    assert "X-Flags-Stale" not in fresh

    def away(*args, **kwargs):
        raise OperationalError("the database went away")

    monkeypatch.setattr("flags.features.snapshots.resolve", away)
    stale = client.get("/ask/")
    assert stale["X-Flags-Stale"] == "true"
    assert client.get("/ask-nothing/").status_code == 200
    assert "X-Flags-Stale" not in client.get("/ask-nothing/")


def test_in_async_code_the_middleware_is_a_coroutine_and_marks_alike(rf, monkeypatch):
    async def view(request):
        request.features["billing_enabled"]
        return HttpResponse()

    def away(*args, **kwargs):
        raise OperationalError("the database went away")

    monkeypatch.setattr("flags.features.snapshots.resolve_rules", away)
    middleware = FeaturesMiddleware(view)
    assert iscoroutinefunction(middleware)
    response = async_to_sync(middleware)(rf.get("/"))
    assert response["X-Flags-Stale"] == "true"


def test_the_features_of_one_request_do_not_leak_into_the_next(acme, on, rf):
    seen = []
    middleware = FeaturesMiddleware(lambda request: seen.append(current()) or HttpResponse())
    middleware(rf.get("/"))
    middleware(rf.get("/"))
    assert seen[0] is not seen[1]
    assert current() not in seen
    assert not is_enabled("billing_enabled")
    assert features_for(None, acme)["billing_enabled"]
