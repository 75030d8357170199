"""A guarded view of any kind is reached where the feature is on, and answers as one expects where it is off."""

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext

from flags import registry
from flags.api import errors
from flags.api.authentication import REALM
from flags.decorators import feature_required
from flags.exceptions import FeatureDisabled
from flags.features import evaluation_scope
from flags.models import Override
from tests.factories import ApiTokenFactory, OverrideFactory
from tests.flags import guarded_views

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.flags.guarded_views")]

PLAIN = [
    "/function/",
    "/async-function/",
    "/method/",
    "/async-method/",
    "/dispatch/",
    "/by-method-decorator/",
    "/class/",
    "/async-class/",
    "/mixin/",
    "/async-mixin/",
    "/guarded/",
]
API = [
    "/api/function/",
    "/api/class/",
    "/api/method/",
    "/api/mixin/",
    "/api/permission/",
    "/api/guarded-set/",
    "/api/set/above/",
    "/api/set/below/",
]
OUTSIDE_REST_FRAMEWORK = ["/api/plain/", "/api/plain-async/", "/api/guarded-function/"]
OTHERWISE = [
    "/function-otherwise/",
    "/function-otherwise-async/",
    "/async-function-otherwise/",
    "/async-function-otherwise-async/",
    "/method-otherwise/",
    "/class-otherwise/",
    "/async-class-otherwise/",
    "/mixin-otherwise/",
    "/mixin-given-otherwise/",
    "/api/class-otherwise/",
]


@pytest.fixture
def on(acme) -> Override:
    """Billing is on for Acme, and for nobody else."""
    return OverrideFactory(company=acme, flag_id=guarded_views.GUARDED, flag=None, enabled=True)


@pytest.mark.parametrize("path", PLAIN + API + OUTSIDE_REST_FRAMEWORK)
def test_the_view_is_reached_by_people_of_a_company_that_has_the_feature(sign_in, bob, on, path):
    response = sign_in(bob).get(path)
    assert (response.status_code, response.content.strip(b'"')) == (200, b"through")


@pytest.mark.parametrize("path", PLAIN + API + OUTSIDE_REST_FRAMEWORK)
def test_people_of_other_companies_are_refused(sign_in, carol, on, path):
    response = sign_in(carol).get(path)
    assert response.status_code == 403
    assert b"through" not in response.content


@pytest.mark.parametrize("path", PLAIN + API)
def test_under_asgi_the_answers_are_the_same(bob, on, path):
    client = AsyncClient()
    client.force_login(bob)
    get = async_to_sync(client.get)
    assert get(path).status_code == 200
    on.delete()
    assert get(path).status_code == 403


@pytest.mark.parametrize("path", OTHERWISE)
def test_where_the_feature_is_off_another_view_may_answer(sign_in, carol, path):
    response = sign_in(carol).get(path)
    assert (response.status_code, response.content) == (200, b"old {'page': 7}")


@pytest.mark.parametrize("path", OTHERWISE)
def test_where_the_feature_is_on_the_other_view_stays_out_of_it(sign_in, bob, on, path):
    assert b"old" not in sign_in(bob).get(path).content


def test_the_name_of_a_url_is_where_people_are_sent(sign_in, carol):
    response = sign_in(carol).get("/function-elsewhere/")
    assert (response.status_code, response["Location"]) == (302, "/old/")


@pytest.mark.parametrize("path", [path for path in PLAIN + OTHERWISE if path != "/guarded/" and "/api/" not in path])
def test_strangers_are_sent_to_sign_in_and_come_back(client, path):
    response = client.get(f"{path}?page=2")
    assert (response.status_code, response["Location"]) == (302, f"/login/?next={path}%3Fpage%3D2")


@pytest.mark.parametrize("path", API)
def test_strangers_get_401_from_rest_framework(client, path):
    response = client.get(path)
    assert response.status_code == 401
    assert response["WWW-Authenticate"]


@pytest.mark.parametrize("path", OUTSIDE_REST_FRAMEWORK)
def test_strangers_get_a_problem_from_other_views_of_the_api(client, path):
    response = client.get(path)
    assert (response.status_code, response["Content-Type"]) == (401, "application/problem+json")
    problem = response.json()
    assert problem["request_id"] == response["X-Request-ID"]
    assert (problem["status"], problem["code"], problem["instance"]) == (401, "NOT_AUTHENTICATED", path)


def test_the_problem_has_the_shape_that_the_api_gives_it(client):
    ours = client.get("/api/plain/")
    theirs = errors.describe(ours.wsgi_request, 401, "NOT_AUTHENTICATED", "")
    for name in ("type", "title", "status", "instance", "code"):
        assert ours.json()[name] == theirs[name]
    assert ours.json().keys() == theirs.keys()
    assert ours["Content-Type"] == errors.MEDIA_TYPE
    assert ours["WWW-Authenticate"] == REALM


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 401),
        ("application/problem+json, application/json;q=0.9", 401),
        ("application/json, text/html;q=0.5", 401),
        ("text/html,application/xhtml+xml,*/*;q=0.8", 302),
        ("*/*", 302),
        ("image/png", 302),
    ],
)
def test_strangers_are_answered_in_what_they_accept(client, accept, status):
    assert client.get("/function/", headers={"accept": accept}).status_code == status


def test_a_strangers_fragment_leaves_for_the_sign_in_page_and_comes_back_to_the_page_around_it(client):
    page = "http://testserver/invoices/?q=a"
    response = client.get("/function/", headers={"hx-request": "true", "hx-current-url": page})
    assert (response.status_code, response["HX-Redirect"]) == (401, "/login/?next=/invoices/%3Fq%3Da")


def test_a_fragment_does_not_send_anybody_to_another_host(client):
    page = "https://evil.example/invoices/"
    response = client.get("/function/", headers={"hx-request": "true", "hx-current-url": page})
    assert response["HX-Redirect"] == "/login/?next=/"


def test_a_program_with_a_token_is_no_stranger(client, carol, globex):
    token = ApiTokenFactory(company=globex)
    response = client.get("/function/", headers={"authorization": f"Bearer {token.plain}"})
    assert response.status_code == 403


def test_a_super_admin_passes(sign_in, alice):
    assert sign_in(alice).get("/function/").status_code == 200


def test_only_the_guarded_method_asks(sign_in, carol):
    client = sign_in(carol)
    assert client.post("/method/").content == b"never guarded"
    assert client.get("/api/set/").json() == "never guarded"


@pytest.mark.parametrize("path", ["/api/for-nobody/", "/api/mixin-for-nobody/"])
def test_a_feature_opens_no_view_that_permissions_close(sign_in, bob, on, path):
    response = sign_in(bob).get(path)
    assert (response.status_code, b"through" in response.content) == (403, False)


def test_a_subclass_may_ask_for_another_feature_instead(sign_in, carol, globex):
    OverrideFactory(company=globex, flag_id="white_label", flag=None, enabled=True)
    client = sign_in(carol)
    assert client.get("/other-feature/").status_code == 200
    assert client.get("/mixin/").status_code == 403


def test_the_refusal_names_the_feature_and_its_code(rf, globex, carol):
    request = rf.get("/")
    request.user = carol
    with evaluation_scope(carol, globex), pytest.raises(FeatureDisabled) as refusal:
        guarded_views.function(request)
    assert (refusal.value.key, refusal.value.code, refusal.value.reason) == (
        "billing_enabled",
        "BILLING_DISABLED",
        "default",
    )


def test_without_the_middleware_that_knows_people_everybody_is_a_stranger(rf):
    assert guarded_views.function(rf.get("/")).status_code == 302
    request = rf.get("/")
    request.user = AnonymousUser()
    assert guarded_views.function(request).status_code == 302


def test_a_test_that_decides_a_feature_opens_the_guard_for_everybody(client, override_features):
    override_features(billing_enabled=True)
    assert client.get("/function/").status_code == 200
    assert client.get("/async-function/").status_code == 200
    assert client.get("/api/class/").status_code == 200


@pytest.mark.parametrize("path", ["/function/", "/async-function/", "/async-class/", "/api/class/"])
def test_a_guard_that_a_test_decides_asks_no_database(sign_in, bob, override_features, path):
    client = sign_in(bob)
    override_features(billing_enabled=True)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    assert not any("flags_" in query["sql"] for query in queries)


@pytest.mark.parametrize("path", ["/function/", "/class/", "/api/class/"])
def test_a_guard_costs_one_query(sign_in, bob, on, path):
    client = sign_in(bob)
    with CaptureQueriesContext(connection) as queries:
        client.get(path)
    assert sum("flags_version" in query["sql"] for query in queries) == 1


# Mistakes


def test_a_view_keeps_its_name_and_marks():
    @feature_required("billing_enabled")
    def invoices(request):
        """All invoices."""

    assert (invoices.__name__, invoices.__doc__) == ("invoices", "All invoices.")


def test_a_class_that_is_no_view_is_refused():
    with pytest.raises(TypeError, match="is no view, so no feature can guard it"):

        @feature_required("billing_enabled")
        class Invoice:
            pass


def test_a_function_that_is_no_view_says_so_when_called():
    @feature_required("billing_enabled")
    def total(invoice):
        return 1

    with pytest.raises(TypeError, match=r"total is guarded by a feature but was called without a request"):
        total("an invoice")


def test_a_mixin_without_a_feature_is_a_mistake_in_the_project(sign_in, bob):
    with pytest.raises(ImproperlyConfigured, match="NoFeature names no feature"):
        sign_in(bob).get("/no-feature/")


@pytest.mark.parametrize(
    "place",
    ["function", "async_function", "Method.get", "Class", "Mixin", "APIClass", "GuardedSet", "Set.above", "Set.below"],
)
def test_each_guarded_view_is_noted_with_its_place(place):
    assert registry.Use("billing_enabled", f"tests.flags.guarded_views.{place}") in registry.uses()


def test_a_permission_and_a_method_decorator_are_noted_where_they_are_written():
    places = {use.place for use in registry.uses() if use.key == "billing_enabled"}
    assert {"tests.flags.guarded_views.APIPermission", "tests.flags.guarded_views"} <= places
    assert not any(place.startswith("django.") for place in places)
