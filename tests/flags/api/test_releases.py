"""Steering a release by API: refusals, forcing, other doors, pausing, shapes, gates, archiving, races."""

import uuid
from datetime import datetime, timedelta

import pytest

from flags import gatetemplates
from flags.features import features_for
from flags.models import Change, Flag
from flags.releasemodels import Gate, GateTemplate, Mail, Promotion
from tests.flags.api.releasing import FLAGS, KEY, evidence_comes_in, post, release_of

pytestmark = pytest.mark.django_db


def answers(*companies) -> list[bool]:
    return [features_for(None, company)[KEY] for company in companies]


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
    def test_the_soak_stands_still(self, in_pilot, deploy, release_clock):
        ready = release_of(deploy)["ready_at"]
        paused = post(deploy, "release/pause", {"reason": "holidays"})
        assert (paused.json()["release"]["paused"], paused.json()["release"]["ready_at"]) == (True, None)
        release_clock.shift(timedelta(days=3))
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

    def test_a_promotion_may_tell_people(self, deploy, release_clock, carol, globex):
        deploy.post(FLAGS, {"key": KEY, "enabled": False}, content_type="application/json")
        post(deploy, "release")
        release_clock.shift(timedelta(hours=1))
        evidence_comes_in(deploy)
        assert post(deploy, "promote", {"tell": True, "percentage": 100}).status_code == 200
        assert Mail.objects.get().to == carol.email

    def test_a_dry_run_shows_the_message_and_to_how_many_it_would_go(self, in_pilot, admin, acme, bob, globex, carol):
        def dry(**body):
            body = {"force": True, "reason": "why", **body}
            path = f"/api/admin/feature-flags/{KEY}/promote?dry_run=1"
            return admin.post(path, body, content_type="application/json").json()

        answer = dry(tell=True)

        assert (answer["recipients"], answer["message"]["subject"]) == (1, "Route planning is now on for Acme")
        assert "Acme can use Route planning from now on." in answer["message"]["body"]
        assert dry(percentage=0)["recipients"] == 0
        assert not Mail.objects.exists()
        Flag.objects.filter(key=KEY).update(is_internal=True)
        assert (dry()["recipients"], dry()["message"]) == (0, None)

    def test_the_calls_of_one_key_are_made_once(self, deploy, release_clock):
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
