"""A feature's way from "always start disabled" to everybody, and back, by API (seed 001)."""

import threading
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from flags import gatekeeping, gates, gatetemplates, releases, standing
from flags.features import features_for
from flags.models import Change, ChannelDefault, Flag, Override
from flags.releasemodels import DailyUsage, Gate, GateTemplate, IsolationAudit, Mail, Promotion
from tests.factories import ApiTokenFactory, CompanyFactory

pytestmark = pytest.mark.django_db

FLAGS = "/api/admin/feature-flags"
KEY = "route_planning"


@pytest.fixture
def clock(clock, monkeypatch):
    """The stopped clock, which is the database's as well."""
    clock.move_to(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))
    for module in (gates, releases, gatekeeping, standing):
        monkeypatch.setattr(module, "database_now", timezone.now)
    return clock


@pytest.fixture
def deploy(as_token):
    """A program that releases."""
    return as_token("flags:read", "flags:write", "releases:write")


def post(client: Client, path: str, body: dict | None = None, key: str = KEY, **kwargs):
    return client.post(f"{FLAGS}/{key}/{path}", body or {}, content_type="application/json", **kwargs)


def release_of(client: Client, key: str = KEY) -> dict | None:
    return client.get(f"{FLAGS}/{key}").json()["release"]


def answers(*companies) -> list[bool]:
    return [features_for(None, company)[KEY] for company in companies]


def evidence_comes_in(client: Client, *, errors: int = 0) -> None:
    """Somebody uses it, the audit passes, and people give their word."""
    now = timezone.now()
    DailyUsage.objects.update_or_create(
        flag_id=KEY,
        day=now.date(),
        defaults={"on": 40, "errors": errors, "last_at": now, "last_error_at": now if errors else None},
    )
    IsolationAudit.objects.create(at=now, mode="both", by_name="Alice", passed=True, complete=True)
    for gate in release_of(client)["gates"]:
        if gate["kind"] == "sign_off":
            signed = post(client, f"gates/{gate['id']}/sign-off", {"note": "looked", "link": "https://ci.example/1"})
            assert signed.status_code == 200


def test_the_whole_process_of_the_seed(deploy, clock, default_tenant, globex, acme):
    made = deploy.post(FLAGS, {"key": KEY, "enabled": False}, content_type="application/json")
    assert (made.status_code, made.json()["release"]) == (201, None)
    assert answers(default_tenant, globex, acme) == [False, False, False]

    started = post(deploy, "release", {"reason": "built"})
    assert started.status_code == 201
    release = started.json()["release"]
    assert (release["channel"], release["next"], release["since"]) == ("internal", "pilot", "2026-03-02T09:00:00Z")
    assert [gate["holds"] for gate in release["gates"]] == [False] * 4
    assert answers(default_tenant, globex, acme) == [True, False, False]

    clock.shift(timedelta(hours=1))
    refused = post(deploy, "promote")
    assert (refused.status_code, refused.json()["code"]) == (409, "GATES_OPEN")
    assert [gate["gate"] for gate in refused.json()["gates"]] == [gate["title"] for gate in release["gates"]]
    assert "“Works in the internal company” waits for somebody to sign it off" in refused.json()["detail"]

    evidence_comes_in(deploy)
    assert release_of(deploy)["when"] == "can go to Pilot now"
    clock.shift(timedelta(minutes=1))
    promoted = post(deploy, "promote", {"reason": "all green"})
    assert promoted.status_code == 200
    assert promoted.json()["release"]["channel"] == "pilot"
    assert answers(default_tenant, globex, acme) == [True, True, False]

    clock.shift(timedelta(days=5))
    evidence_comes_in(deploy)
    release = release_of(deploy)
    assert release["ready_at"] == "2026-03-09T10:01:00Z"
    assert release["when"] == "can go to General from Mon 09 Mar 10:01 UTC, in 2 d 0 h"
    refused = post(deploy, "promote").json()
    assert [gate["gate"] for gate in refused["gates"]] == ["Soak time has passed"]
    assert refused["gates"][0]["words"] == "waits until Mon 09 Mar 10:01 UTC (2 d 0 h of soak left)"

    clock.shift(timedelta(days=2) - timedelta(seconds=1))
    assert post(deploy, "promote").status_code == 409
    clock.shift(timedelta(seconds=1))
    assert post(deploy, "promote").status_code == 200
    assert answers(default_tenant, globex, acme) == [True, True, True]

    finished = post(deploy, "release/finish", {"reason": "done"})
    assert (finished.status_code, finished.json()["release"]) == (200, None)
    assert set(finished.json()["channels"]) == {"internal", "pilot", "general"}
    verbs = Counter(Change.objects.filter(flag=KEY).values_list("verb", flat=True))
    assert verbs == {"create_flag": 1, "start_release": 1, "promote": 2, "finish_release": 1, "sign_off_gate": 4}


@pytest.fixture
def in_pilot(deploy, clock, default_tenant, globex, acme):
    """Route planning is in pilot, on for Default Tenant and Globex, and nobody else."""
    deploy.post(FLAGS, {"key": KEY, "enabled": False}, content_type="application/json")
    post(deploy, "release")
    clock.shift(timedelta(hours=1))
    evidence_comes_in(deploy)
    clock.shift(timedelta(minutes=1))
    assert post(deploy, "promote").status_code == 200
    clock.shift(timedelta(days=1))


class TestTheThreeRollbacks:
    def test_kill_takes_it_from_everybody_and_revive_gives_back_what_was(self, in_pilot, deploy, clock, globex, acme):
        assert post(deploy, "kill", {"reason": "on fire"}).status_code == 200
        assert answers(globex, acme) == [False, False]
        release = release_of(deploy)
        assert (release["paused"], release["when"]) == (True, "stands still while the flag is killed")
        assert post(deploy, "promote").json()["code"] == "FLAG_IS_KILLED"
        clock.shift(timedelta(days=2))
        assert post(deploy, "revive", {"reason": "out"}).status_code == 200
        assert answers(globex, acme) == [True, False]

    def test_a_channel_is_taken_back(self, in_pilot, deploy, default_tenant, globex):
        assert post(deploy, "rollback", {"to": "internal"}).json()["code"] == "REASON_REQUIRED"
        assert answers(globex) == [True]
        rolled = post(deploy, "rollback", {"to": "internal", "reason": "tickets"})
        assert (rolled.status_code, rolled.json()["release"]["channel"]) == (200, "internal")
        assert answers(default_tenant, globex) == [True, False]

    def test_all_channels_are_taken_back(self, in_pilot, deploy, default_tenant, globex):
        rolled = post(deploy, "rollback", {"to": None, "reason": "not wanted"})
        assert (rolled.status_code, rolled.json()["release"]) == (200, None)
        assert answers(default_tenant, globex) == [False, False]

    def test_one_company_loses_it_and_gets_it_back_as_one_batch(self, in_pilot, deploy, default_tenant, globex):
        rolled = post(deploy, "rollback", {"companies": ["globex"], "reason": "tickets"})
        assert rolled.status_code == 200
        assert {**rolled.json()["rolled_back"], "batch": ""} == {"batch": "", "changed": 1, "unchanged": 0}
        assert answers(default_tenant, globex) == [True, False]
        undone = deploy.post(
            f"/api/admin/batches/{rolled.json()['rolled_back']['batch']}/undo", content_type="application/json"
        )
        assert (undone.status_code, undone.json()["changed"]) == (200, 1)
        assert answers(default_tenant, globex) == [True, True]

    def test_all_that_have_it_lose_it(self, in_pilot, deploy, default_tenant, globex, acme):
        rolled = post(deploy, "rollback", {"companies": "all", "reason": "tickets"})
        assert rolled.json()["rolled_back"]["changed"] == 2
        assert answers(default_tenant, globex) == [False, False]
        assert not Override.objects.filter(company=acme).exists()

    @pytest.mark.parametrize("reason", ["", "  "])
    @pytest.mark.parametrize("body", [{"to": None}, {"companies": "all"}])
    def test_each_takes_a_reason(self, in_pilot, deploy, globex, body, reason):
        assert post(deploy, "rollback", {**body, "reason": reason}).json()["code"] == "REASON_REQUIRED"
        assert answers(globex) == [True]

    def test_each_can_be_rehearsed(self, in_pilot, deploy, globex):
        for body in ({"to": None}, {"to": "internal"}, {"companies": ["globex"]}):
            tried = post(deploy, "rollback?dry_run=1", {**body, "reason": "drill"}).json()
            [effect] = [effect for effect in tried["impact"] if effect["key"] == KEY]
            assert "Globex" in effect["names_off"]
        assert answers(globex) == [True]


BAD_ROLLBACKS = {
    "neither": ({"reason": "why"}, 400, "INVALID"),
    "both": ({"to": None, "companies": "all", "reason": "why"}, 400, "INVALID"),
    "nobody": ({"companies": [], "reason": "why"}, 400, "INVALID"),
    "another word": ({"companies": "everybody", "reason": "why"}, 400, "INVALID"),
    "no such company": ({"companies": ["initech"], "reason": "why"}, 400, "COMPANY_NOT_FOUND"),
    "no such channel": ({"to": "beta", "reason": "why"}, 404, "CHANNEL_NOT_FOUND"),
    "no earlier channel": ({"to": "pilot", "reason": "why"}, 409, "NOT_AN_EARLIER_CHANNEL"),
    "an old version": ({"to": None, "reason": "why", "version": 1}, 409, "CONFLICT"),
}


@pytest.mark.parametrize("case", BAD_ROLLBACKS)
def test_a_rollback_that_makes_no_sense_is_refused(case, in_pilot, deploy, globex):
    body, status, code = BAD_ROLLBACKS[case]
    response = post(deploy, "rollback", body)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert answers(globex) == [True]


class TestForcing:
    def test_takes_a_person_and_a_reason_and_is_said_for_ever(self, in_pilot, deploy, alice, as_person, acme):
        assert post(deploy, "promote", {"force": True, "reason": "now"}).json()["code"] == "FORCE_NEEDS_A_PERSON"
        admin = as_person(alice)
        assert post(admin, "promote", {"force": True}).json()["code"] == "REASON_REQUIRED"
        forced = post(admin, "promote", {"force": True, "reason": "customer demo"})
        assert forced.json()["release"]["forced"] is True
        assert answers(acme) == [True]
        history = admin.get(f"{FLAGS}/{KEY}/release").json()["history"]
        assert (history[0]["forced"], history[0]["reason"], history[0]["by"]) == (True, "customer demo", "Alice")
        assert any(not gate["holds"] for gate in history[0]["evidence"])
        assert Change.objects.filter(verb="force_promote", flag=KEY).exists()


class TestOtherDoors:
    def test_putting_a_later_channel_on_meets_the_gates(self, in_pilot, deploy, acme):
        put = deploy.put(f"{FLAGS}/{KEY}/channels/general", {"enabled": True}, content_type="application/json")
        assert (put.status_code, put.json()["code"]) == (409, "GATES_OPEN")
        assert put.json()["gates"]
        assert answers(acme) == [False]

    @pytest.mark.parametrize(
        "body", [{"channels": {"general": {"enabled": True, "percentage": 5}}}, {"default_enabled": True}]
    )
    def test_so_does_a_patch(self, in_pilot, deploy, acme, body):
        patched = deploy.patch(f"{FLAGS}/{KEY}", body, content_type="application/json")
        assert patched.status_code == 409
        assert {gate["gate"] for gate in patched.json()["gates"]} >= {"Soak time has passed"}
        assert answers(acme) == [False]

    def test_so_does_the_call_of_seed_003(self, in_pilot, deploy, acme):
        response = deploy.post(FLAGS, {"key": KEY, "enabled": True}, content_type="application/json")
        assert (response.status_code, response.json()["code"]) == (409, "RELEASE_UNDER_WAY")
        assert answers(acme) == [False]


class TestPausing:
    def test_the_soak_stands_still(self, in_pilot, deploy, clock):
        ready = release_of(deploy)["ready_at"]
        paused = post(deploy, "release/pause", {"reason": "holidays"})
        assert (paused.json()["release"]["paused"], paused.json()["release"]["ready_at"]) == (True, None)
        clock.shift(timedelta(days=3))
        assert post(deploy, "promote").json()["code"] == "RELEASE_PAUSED"
        resumed = post(deploy, "release/resume")
        later = datetime.fromisoformat(resumed.json()["release"]["ready_at"]) - datetime.fromisoformat(ready)
        assert later == timedelta(days=3)


class TestShapes:
    def test_a_list_says_where_each_release_is_and_the_releases_say_all(self, in_pilot, deploy):
        [listed] = deploy.get(f"{FLAGS}?q={KEY}").json()["results"]
        assert (listed["release"]["channel"], listed["release"]["paused"]) == ("pilot", False)
        [release] = deploy.get("/api/admin/releases").json()["results"]
        assert (release["key"], release["channel"], len(release["gates"])) == (KEY, "pilot", 5)

    def test_a_signed_gate_says_by_whom_and_on_what_grounds(self, in_pilot, deploy):
        gate = next(gate for gate in release_of(deploy)["gates"] if gate["kind"] == "sign_off")
        assert (gate["holds"], gate["signed_off_by"]) == (False, None)
        post(deploy, f"gates/{gate['id']}/sign-off", {"note": "no tickets", "link": "https://desk.example/q"})
        gate = next(one for one in release_of(deploy)["gates"] if one["id"] == gate["id"])
        assert (gate["holds"], gate["note"], gate["link"]) == (True, "no tickets", "https://desk.example/q")
        assert gate["signed_off_by"] == str(deploy.token)

    def test_a_flag_without_a_release_has_none(self, deploy):
        response = deploy.get(f"{FLAGS}/api_access/release")
        assert (response.status_code, response.json()["code"]) == (404, "NO_RELEASE")
        assert release_of(deploy, "api_access") is None

    def test_a_gate_of_another_flag_is_not_there(self, in_pilot, deploy):
        post(deploy, "release", key="api_access")
        foreign = Gate.objects.filter(release__flag="api_access", check_kind="sign_off").first()
        assert post(deploy, f"gates/{foreign.pk}/sign-off").json()["code"] == "GATE_NOT_FOUND"

    def test_a_promotion_may_tell_people(self, deploy, clock, carol, globex):
        deploy.post(FLAGS, {"key": KEY, "enabled": False}, content_type="application/json")
        post(deploy, "release")
        clock.shift(timedelta(hours=1))
        evidence_comes_in(deploy)
        assert post(deploy, "promote", {"tell": True, "percentage": 100}).status_code == 200
        assert Mail.objects.get().to == carol.email

    def test_the_calls_of_one_key_are_made_once(self, deploy, clock):
        deploy.post(FLAGS, {"key": KEY, "enabled": False}, content_type="application/json")
        headers = {"idempotency-key": str(uuid.uuid4())}
        first, second = (post(deploy, "release", headers=headers) for _ in range(2))
        assert (first.status_code, second.status_code) == (201, 201)
        assert Promotion.objects.count() == 1


class TestGates:
    def test_operators_describe_the_gates_of_releases_to_come(self, in_pilot, deploy):
        body = {"channel": "general", "title": "Legal has agreed", "rank": 5}
        made = deploy.post("/api/admin/gates", body, content_type="application/json")
        assert (made.status_code, made["Location"].rpartition("/")[2]) == (201, made.json()["id"])
        titles = [gate["title"] for gate in deploy.get("/api/admin/gates").json()["results"]]
        assert titles.index("Legal has agreed") == 4
        assert "Legal has agreed" not in [gate["title"] for gate in release_of(deploy)["gates"]]
        path = f"/api/admin/gates/{made.json()['id']}"
        assert deploy.patch(path, {"title": "Legal"}, content_type="application/json").json()["title"] == "Legal"
        assert deploy.delete(path).status_code == 204
        assert GateTemplate.objects.count() == len(gatetemplates.TEMPLATES)
        assert deploy.delete(path).json()["code"] == "GATE_NOT_FOUND"


class TestArchiving:
    def test_an_archived_flag_leaves_the_list_and_comes_back(self, deploy, acme):
        archived = post(deploy, "archive", {"reason": "shipped"}, key="api_access")
        assert archived.json()["archived_at"] is not None
        assert not deploy.get(f"{FLAGS}?q=api_access").json()["results"]
        assert deploy.get(f"{FLAGS}?state=archived").json()["results"][0]["key"] == "api_access"
        assert post(deploy, "restore", key="api_access").json()["archived_at"] is None

    def test_what_others_require_stays(self, deploy):
        deploy.patch(f"{FLAGS}/white_label", {"requires": ["api_access"]}, content_type="application/json")
        refused = post(deploy, "archive", key="api_access")
        assert (refused.status_code, refused.json()["code"]) == (409, "FLAG_IS_REQUIRED")
        assert refused.json()["dependents"] == ["white_label"]


@pytest.mark.django_db(transaction=True)
def test_of_two_who_promote_at_once_one_does_and_one_is_told():
    """Two connections, no gates in the way: without looking at what was seen, both would go through, one step each."""
    releases.start("api_access", actor=None)
    Gate.objects.all().delete()
    tokens = [ApiTokenFactory(scopes=["releases:write", "flags:read"]).plain for _ in range(2)]
    CompanyFactory(channel="pilot")
    begin = threading.Barrier(2)
    found = []

    def promote(token: str) -> None:
        client = Client(headers={"authorization": f"Bearer {token}"})
        client.get(f"{FLAGS}/api_access")  # Both have a connection, and have seen it in internal.
        begin.wait(20)
        response = post(client, "promote", {"seen": "internal"}, key="api_access")
        found.append((response.status_code, response.json().get("code")))
        connection.close()

    threads = [threading.Thread(target=promote, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found) == [(200, None), (409, "ALREADY_MOVED")]
    assert Promotion.objects.filter(kind="promote").count() == 1
    assert not ChannelDefault.objects.get(flag="api_access", channel="general").enabled
    assert Flag.objects.get(key="api_access").default_enabled is False
