"""Who gets in where: every route of the API, every method, every kind of caller. New routes are covered on arrival."""

import uuid

import pytest
from django.test import Client
from django.urls import get_resolver, reverse

from flags.models import Flag
from tenants.tokens import SCOPES
from tests.factories import ApiTokenFactory, GrantFactory, OverrideFactory

pytestmark = [pytest.mark.django_db, pytest.mark.isolation]

METHODS = ("get", "post", "put", "patch", "delete")
CANARY = "canary-of-globex"

# Per route and method, who gets in: "all" (anybody known), "people" of a company, a scope (super admins and server
# keys that have it), "super" (super admins only), "self" (and a token for itself), "open" (strangers too).
WHO = {
    "sign_in": {"post": "open"},
    "refresh": {"post": "open"},
    "sign_out": {"post": "open"},
    "features": {"get": "evaluate"},
    "check": {"post": "evaluate"},
    "feature": {"get": "evaluate"},
    "org_settings": {"get": "people", "patch": "people"},
    "workspaces": {"get": "people"},
    "active_workspace": {"put": "people"},
    "integrations": {"get": "people"},
    "integration": {"get": "people"},
    "flags": {"get": "flags:read", "post": "flags:write"},
    "flag": {"get": "flags:read", "patch": "flags:write", "delete": "flags:write"},
    "channel": {"put": "flags:write", "delete": "flags:write"},
    "kill": {"post": "flags:write"},
    "revive": {"post": "flags:write"},
    "archive": {"post": "flags:write"},
    "restore": {"post": "flags:write"},
    "releases": {"get": "flags:read"},
    "promote": {"post": "releases:write"},
    "rollback": {"post": "releases:write"},
    "release": {"get": "flags:read", "post": "releases:write"},
    "pause": {"post": "releases:write"},
    "resume": {"post": "releases:write"},
    "finish": {"post": "releases:write"},
    "sign_off": {"post": "releases:write"},
    "gates": {"get": "flags:read", "post": "releases:write"},
    "gate": {"patch": "releases:write", "delete": "releases:write"},
    "undo_batch": {"post": "releases:write"},
    "flag_overrides": {"get": "flags:read"},
    "overrides_file": {"get": "flags:read", "post": "flags:write"},
    "companies": {"get": "flags:read", "post": "tenants:write"},
    "company": {"get": "flags:read", "patch": "tenants:write"},
    "company_features": {"get": "flags:read"},
    "company_overrides": {"put": "tenants:write"},
    "override": {"get": "flags:read", "put": "tenants:write", "delete": "tenants:write"},
    "members": {"get": "tenants:write", "post": "tenants:write"},
    "member": {"get": "tenants:write", "delete": "tenants:write"},
    "grant": {"get": "tenants:write", "put": "tenants:write", "delete": "tenants:write"},
    "enable_multi_workspace": {"post": "tenants:write"},
    "disable_multi_workspace": {"post": "tenants:write"},
    "isolation_audit": {"post": "audit:read"},
    "tokens": {"get": "super", "post": "super"},
    "token": {"get": "self", "delete": "self"},
    "changes": {"get": "audit:read"},
}
PUBLIC = ("schema", "docs")
ROUTES = {
    pattern.name: pattern for pattern in get_resolver("flags.api.urls").url_patterns if pattern.name not in PUBLIC
}
CALLS = [(name, method) for name, methods in WHO.items() for method in methods]


@pytest.fixture
def addresses(globex, carol):
    """The address of every route, about Globex and what is Globex's."""
    flag = Flag.objects.get(key="api_access")
    OverrideFactory(company=globex, flag=flag, reason=CANARY)
    GrantFactory(company=globex, user=carol, flag=flag, reason=CANARY)
    token = ApiTokenFactory(company=globex, name=CANARY)
    values = {
        "key": "api_access",
        "tenant": "globex",
        "user": carol.pk,
        "token": token.pk,
        "channel": "pilot",
        "domain": "accounting",
        "gate": uuid.uuid4(),
        "batch": uuid.uuid4(),
    }

    def address(name: str, **other) -> str:
        wanted = ROUTES[name].pattern.converters
        return reverse(f"api:{name}", kwargs={key: {**values, **other}[key] for key in wanted})

    return address


def call(client: Client, method: str, path: str):
    return getattr(client, method)(path, "{}" if method != "get" else None, content_type="application/json")


def test_every_route_and_method_is_classified():
    have = {
        name: {method for method in METHODS if hasattr(pattern.callback.view_class, method)}
        for name, pattern in ROUTES.items()
    }

    assert have == {name: set(methods) for name, methods in WHO.items()}


@pytest.mark.parametrize(("name", "method"), CALLS)
def test_a_stranger_is_401(name, method, addresses):
    response = call(Client(), method, addresses(name))

    if WHO[name][method] == "open":
        assert response.status_code in (400, 401)
    else:
        assert (response.status_code, response.json()["code"]) == (401, "NOT_AUTHENTICATED")
        assert response["WWW-Authenticate"] == 'Bearer realm="headgate"'


@pytest.mark.parametrize(("name", "method"), CALLS)
def test_people_of_a_company_get_nothing_of_the_administration(name, method, addresses, bob, as_person):
    response = call(as_person(bob), method, addresses(name))

    if WHO[name][method] in ("open", "evaluate", "people"):
        assert response.status_code != 401 or WHO[name][method] == "open"
    else:
        assert (response.status_code, response.json()["code"]) == (403, "NOT_ALLOWED")
    assert CANARY not in response.content.decode()


@pytest.mark.parametrize(("name", "method"), CALLS)
def test_a_super_admin_gets_in(name, method, addresses, admin):
    response = call(admin, method, addresses(name))

    assert response.status_code not in (401, 403) or WHO[name][method] in ("open", "people")
    assert response.status_code < 500


@pytest.mark.parametrize(("name", "method"), CALLS)
def test_a_super_admin_who_views_as_a_company_is_not_one(name, method, addresses, alice, acme, sign_in):
    client = sign_in(alice)
    session = client.session
    session["viewing_as"] = str(acme.pk)
    session.save()

    response = call(client, method, addresses(name))

    if WHO[name][method] not in ("open", "evaluate", "people"):
        assert (response.status_code, response.json()["code"]) == (403, "NOT_ALLOWED")
    assert CANARY not in response.content.decode()


@pytest.mark.parametrize(("name", "method"), CALLS)
def test_a_server_key_needs_its_scope(name, method, addresses, as_token):
    who = WHO[name][method]
    without = call(as_token("tenants:write" if who == "audit:read" else "audit:read"), method, addresses(name))

    if who in SCOPES:
        within = call(as_token(who), method, addresses(name))
        assert (without.status_code, without.json()["code"]) == (403, "SCOPE_MISSING")
        assert within.status_code not in (401, 403)
        assert within.status_code < 500
    elif who != "open":
        assert call(as_token(*SCOPES), method, addresses(name)).status_code == 403


@pytest.mark.parametrize(("name", "method"), CALLS)
def test_a_client_key_evaluates_and_nothing_else(name, method, addresses, acme, as_token):
    response = call(as_token("evaluate", kind="client", company=acme), method, addresses(name))

    if WHO[name][method] in ("open", "evaluate"):
        assert response.status_code in (200, 400, 401)
    else:
        assert response.status_code == 403
    assert CANARY not in response.content.decode()


@pytest.mark.parametrize("path", ["/api/features", "/api/admin/feature-flags"])
@pytest.mark.parametrize(
    "spelling", ["/{}", "/.{}", "{}/", "{}/.", "{};x", "{}%20", "{}."], ids=lambda spelling: spelling.format("…")
)
def test_no_spelling_of_an_address_gets_past_the_door(path, spelling):
    assert Client().get("/", PATH_INFO=spelling.format(path)).status_code in (401, 404)


def test_a_revoked_key_is_nobody(as_token):
    key = as_token("evaluate")
    key.token.revoked_at = key.token.created_at
    key.token.save()

    assert key.get("/api/features").json()["code"] == "TOKEN_INVALID"
