"""What other programs rest on: each address with its methods, and each shape. More may be added, nothing renamed."""

from datetime import timedelta

import pytest
from django.urls import resolve
from django.utils import timezone

from tests.factories import PASSWORD, ChannelDefaultFactory, GrantFactory, MembershipFactory, OverrideFactory
from tests.flags.api.calls import METHODS

pytestmark = pytest.mark.django_db

ID = "0a8c7d2e-5b1f-4c3d-9e6a-7f8091a2b3c4"
FLAGS, TENANTS = "/api/admin/feature-flags", "/api/admin/tenants"
ADDRESSES = {
    "/api/auth/token": "post",
    "/api/auth/token/refresh": "post",
    "/api/features": "get",
    "/api/features/api_access": "get",
    "/api/features/check": "post",
    FLAGS: "get post",
    f"{FLAGS}/api_access": "get patch delete",
    f"{FLAGS}/api_access/channels/pilot": "put",
    f"{FLAGS}/api_access/promote": "post",
    f"{FLAGS}/api_access/rollback": "post",
    f"{FLAGS}/api_access/kill": "post",
    f"{FLAGS}/api_access/revive": "post",
    f"{FLAGS}/api_access/overrides": "get",
    TENANTS: "post",
    f"{TENANTS}/acme/features": "get",
    f"{TENANTS}/acme/overrides/api_access": "put delete",
    f"{TENANTS}/acme/overrides": "put",
    "/api/admin/overrides.csv": "get post",
    f"{TENANTS}/acme/members": "get post",
    f"{TENANTS}/acme/members/{ID}": "delete",
    f"{TENANTS}/acme/grants/api_access/{ID}": "put delete",
    f"{TENANTS}/acme/enable-multi-workspace": "post",
    f"{TENANTS}/acme/disable-multi-workspace": "post",
    "/api/admin/tenant-isolation-audit": "post",
    "/api/admin/tokens": "get post",
    f"/api/admin/tokens/{ID}": "delete",
    "/api/admin/changes": "get",
    "/api/workspaces": "get",
    "/api/workspaces/active": "put",
    "/api/org-settings": "get patch",
    "/api/integrations": "get",
    "/api/integrations/accounting": "get",
    "/ofrep/v1/evaluate/flags/api_access": "post",
    "/ofrep/v1/evaluate/flags": "post",
    "/api/schema": "get",
    "/api/docs/": "get",
}
FLAG = {
    *(
        "key",
        "name",
        "description",
        "category",
        "owner",
        "metadata",
        "default_enabled",
        "default_source",
        "is_internal",
    ),
    *("is_killswitch", "killed", "killed_at", "kill_reason", "needs_grant", "minimum_plan", "is_self_service"),
    *("requires", "channels", "overrides", "release", "version", "created_at", "updated_at"),
}
COMPANY = {"id", "slug", "name", "channel", "plan", "is_active"}
FEATURE = {"key", "name", "category", "default", "channel", "plan", "override", "enabled", "reason"}
OVERRIDE = {"enabled", "reason", "created_by", "expires_at", "version"}
TOKEN = {"id", "name", "kind", "company", "scopes", "expires_at", "last_used_at"}
CHANGE = {"id", "at", "actor", "via", "verb", "flag", "company", "before", "after", "reason", "request_id", "batch"}
WORKSPACE = {"id", "slug", "name", "role", "is_home", "is_active"}
PAGE = {"results", "next", "previous"}


@pytest.mark.parametrize("path", ADDRESSES)
def test_each_address_takes_its_methods(path):
    view = resolve(path).func.view_class

    assert {method for method in METHODS if hasattr(view, method)} >= set(ADDRESSES[path].split())


@pytest.fixture
def send(admin):
    def sent(method: str, path: str, body: dict | None = None):
        return getattr(admin, method)(path, {} if body is None else body, content_type="application/json")

    return sent


@pytest.fixture
def only(admin):
    """Return a function that gives the first row of a list, after a look at the list itself."""

    def first(path: str) -> dict:
        page = admin.get(path).json()
        assert page.keys() == PAGE
        return page["results"][0]

    return first


class TestShapes:
    def test_a_flag(self, acme, admin, only):
        ChannelDefaultFactory(flag_id="api_access", flag=None, channel="pilot", percentage=25)
        OverrideFactory(company=acme, flag_id="api_access", flag=None)
        flag = admin.get(f"{FLAGS}/api_access").json()

        assert flag.keys() >= FLAG
        assert only(f"{FLAGS}?q=api_access").keys() >= FLAG
        assert flag["channels"] == {"pilot": {"enabled": True, "percentage": 25}}
        assert flag["overrides"] == {"on": 1, "off": 0}

    def test_a_flag_takes_the_names_it_shows(self, admin, send):
        """What is read may be written back, but for what nobody writes."""
        shown = admin.get(f"{FLAGS}/api_access").json()
        unwritten = (
            "key default_source killed killed_at kill_reason overrides release archived_at created_at updated_at"
        )
        body = {name: value for name, value in shown.items() if name not in unwritten.split()}

        answer = send("patch", f"{FLAGS}/api_access", {**body, "reason": "as it is"})
        assert answer.status_code == 200
        assert {**answer.json(), "default_source": None} == {**shown, "default_source": None} | {
            name: answer.json()[name] for name in ("version", "updated_at")
        }

    def test_the_calls_of_seed_003(self, acme, send):
        body = {"key": "multi_workspace_enabled", "enabled": True, "tenantId": str(acme.pk), "description": "For pilot"}
        answer = send("post", FLAGS, body)
        assert (answer.status_code, answer.json()["tenantId"], answer.json()["enabled"]) == (200, str(acme.pk), True)
        answer = send("post", FLAGS, {"key": "fleet_map", "enabled": True, "description": "Where everybody is"})
        assert (answer.status_code, answer.json()["description"]) == (201, "Where everybody is")
        assert answer["Location"].endswith(f"{FLAGS}/fleet_map")
        for verb, enabled in (("enable", True), ("disable", False)):
            answer = send("post", f"{TENANTS}/{acme.pk}/{verb}-multi-workspace")
            assert (answer.status_code, answer.json()["enabled"]) == (200, enabled)

    def test_a_company_and_its_features(self, admin, send, only):
        body = {
            "slug": "initech",
            "name": "Initech",
            "channel": "pilot",
            "plan": "pro",
            "admins": [{"email": "peter@initech.example", "name": "Peter"}],
            "overrides": [{"key": "api_access", "enabled": True, "reason": "contract 881", "expires_at": None}],
        }
        made = send("post", TENANTS, body)
        assert (made.status_code, made.json().keys() >= COMPANY) == (201, True)
        rows = {row["key"]: row for row in admin.get(f"{TENANTS}/initech/features?page_size=200").json()["results"]}
        assert all(row.keys() >= FEATURE for row in rows.values())
        assert rows["white_label"]["override"] is None
        assert rows["api_access"]["override"].keys() >= OVERRIDE
        member = only(f"{TENANTS}/initech/members")
        assert member.keys() >= {"user", "role", "is_home"}
        assert member["user"].keys() >= {"id", "email", "name"}

    def test_overrides_alone_and_together(self, acme, send, only):
        until = (timezone.now() + timedelta(days=1)).isoformat()
        body = {"enabled": True, "reason": "contract 881", "expires_at": until}
        made = send("put", f"{TENANTS}/acme/overrides/api_access", body)
        assert (made.status_code, made.json().keys() >= OVERRIDE, made["ETag"]) == (201, True, '"1"')
        many = send("put", f"{TENANTS}/acme/overrides", {"overrides": [{"key": "white_label", **body}]})
        assert many.status_code == 200
        assert only(f"{FLAGS}/white_label/overrides").keys() >= OVERRIDE | {"company"}
        assert send("delete", f"{TENANTS}/acme/overrides/api_access").status_code == 204

    def test_a_grant(self, acme, bob, send):
        path = f"{TENANTS}/acme/grants/api_access/{bob.pk}"
        assert send("put", path, {"enabled": True, "reason": "premium seat"}).status_code == 201
        assert send("delete", path).status_code == 204

    def test_a_token(self, acme, admin, send, only):
        made = send("post", "/api/admin/tokens", {"name": "Dispatch", "scopes": ["evaluate"], "company": "acme"})
        assert (made.status_code, made.json().keys() >= TOKEN | {"secret"}) == (201, True)
        row = only("/api/admin/tokens")
        assert (row.keys() >= TOKEN, "secret" in row, row["company"]) == (True, False, "acme")

    def test_history(self, send, only):
        send("post", f"{FLAGS}/api_access/kill", {"reason": "Leaks"})
        assert only("/api/admin/changes").keys() >= CHANGE

    def test_features(self, bob, admin, as_person):
        features = as_person(bob).get("/api/features").json()
        assert set(map(type, features.values())) == {bool}
        assert admin.get("/api/features/api_access").json().keys() == {"key", "enabled", "reason"}
        assert len(admin.get("/api/features/api_access?explain=1").json()["ladder"]) == 12
        checked = admin.post(
            "/api/features/check", {"keys": ["api_access", "nothing"]}, content_type="application/json"
        )
        assert checked.json() == {"api_access": True, "nothing": False}

    def test_signing_in_and_workspaces(self, acme, globex, bob, anonymous, as_person, only):
        body = {"email": bob.email, "password": PASSWORD}
        pair = anonymous.post("/api/auth/token", body, content_type="application/json").json()
        assert pair.keys() == {"access", "refresh"}
        MembershipFactory(user=bob, company=globex, role="member", is_home=False)
        OverrideFactory(company=acme, flag_id="multi_workspace_enabled", flag=None)
        client = as_person(bob)
        rows = client.get("/api/workspaces").json()
        assert rows.keys() == PAGE
        assert all(row.keys() >= WORKSPACE for row in rows["results"])
        active = client.put("/api/workspaces/active", {"id": "globex"}, content_type="application/json").json()
        assert active.keys() >= WORKSPACE | {"access"}

    def test_domains(self, bob, as_person):
        rows = as_person(bob).get("/api/integrations").json()["results"]
        assert [row["domain"] for row in rows] == ["accounting", "ai", "document_signing"]
        assert as_person(bob).get("/api/org-settings").json().keys() >= {
            *("name", "default_currency", "brand_colour", "time_zone"),
            *("accounting_enabled", "ai_enabled", "document_signing_enabled"),
        }

    def test_the_file_of_overrides(self, admin):
        text = b"".join(admin.get("/api/admin/overrides.csv").streaming_content).decode()
        assert text.splitlines()[0] == "company,flag,enabled,reason,expires_at"


def test_a_premium_feature_goes_to_one_person(acme, bob, dan, as_person, admin):
    """Seed 001 by API: the flag needs a grant, and one of two people has it."""
    body = {"needs_grant": True, "default_enabled": True}
    admin.patch(f"{FLAGS}/white_label", body, content_type="application/json")
    GrantFactory(company=acme, user=dan, flag_id="white_label", flag=None)

    assert as_person(dan).get("/api/features/white_label").json()["enabled"] is True
    assert as_person(bob).get("/api/features/white_label").json()["reason"] == "grant_missing"
