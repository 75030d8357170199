"""What the caller may use: one flat object, one answer with its reason, several at once."""

import pytest

from tests.factories import (
    ChannelDefaultFactory,
    CompanyFactory,
    FlagFactory,
    GrantFactory,
    MembershipFactory,
    OverrideFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def chat(acme):
    """On for Acme alone."""
    flag = FlagFactory(key="fleet_chat")
    OverrideFactory(company=acme, flag=flag)
    return flag


@pytest.fixture
def hidden(db):
    return FlagFactory(key="hidden_tool", is_internal=True, default_enabled=True)


def test_it_is_one_flat_object_of_booleans(chat, bob, carol, as_person):
    ours = as_person(bob).get("/api/features").json()
    theirs = as_person(carol).get("/api/features").json()

    assert ours["fleet_chat"] is True
    assert theirs["fleet_chat"] is False
    assert all(isinstance(answer, bool) for answer in ours.values())
    assert {"billing_enabled", "multi_workspace_enabled"} <= ours.keys()


def test_internal_flags_are_for_super_admins_only(hidden, bob, admin, as_person, as_token, acme):
    assert admin.get("/api/features").json()["hidden_tool"] is True
    for caller in (as_person(bob), as_token("evaluate"), as_token("evaluate", kind="client", company=acme)):
        assert "hidden_tool" not in caller.get("/api/features").json()


def test_a_hidden_key_and_an_unknown_one_are_refused_alike(hidden, bob, as_person):
    client = as_person(bob)
    refusals = [
        client.get(f"/api/features/{key}", headers={"x-request-id": "same-id-1"})
        for key in ("hidden_tool", "nothing_her")
    ]

    assert [refusal.status_code for refusal in refusals] == [404, 404]
    assert refusals[0].content.replace(b"hidden_tool", b"nothing_her") == refusals[1].content
    assert refusals[0].json()["code"] == "FLAG_NOT_FOUND"
    assert dict(refusals[0].headers) == dict(refusals[1].headers)


@pytest.mark.parametrize("key", ["Bad-Key", "a", "x" * 200, "a%00b", "a%20b", "..", "%F0%9F%9A%80"])
def test_a_key_that_can_be_none_is_not_found(key, bob, as_person):
    assert as_person(bob).get(f"/api/features/{key}").json()["code"] == "FLAG_NOT_FOUND"


def test_one_answer_comes_with_its_reason(chat, bob, as_person):
    assert as_person(bob).get("/api/features/fleet_chat").json() == {
        "key": "fleet_chat",
        "enabled": True,
        "reason": "override",
    }


def test_a_super_admin_gets_the_ladder_of_all_twelve_rules(chat, admin):
    answer = admin.get("/api/features/fleet_chat?explain=1").json()

    assert answer["reason"] == "super_admin"
    assert [step["number"] for step in answer["ladder"]] == list(range(1, 13))
    assert [step["rule"] for step in answer["ladder"] if step["outcome"] == "decided"] == ["super_admin"]


def test_a_super_admin_sees_a_company_through_its_eyes(chat, acme, globex, admin):
    answer = admin.get("/api/features/fleet_chat?explain=1&company=globex").json()

    assert (answer["enabled"], answer["reason"]) == (False, "default")
    assert admin.get(f"/api/features?company={acme.pk}").json()["fleet_chat"] is True


def test_nobody_else_gets_the_ladder(chat, bob, as_person):
    refusal = as_person(bob).get("/api/features/fleet_chat?explain=1")

    assert (refusal.status_code, refusal.json()["code"]) == (403, "NOT_ALLOWED")


def test_several_keys_are_answered_at_once_and_unknown_or_hidden_ones_are_false(chat, hidden, bob, as_person):
    body = {"keys": ["fleet_chat", "hidden_tool", "nothing_here"]}

    answer = as_person(bob).post("/api/features/check", body, content_type="application/json")

    assert answer.json() == {"fleet_chat": True, "hidden_tool": False, "nothing_here": False}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"keys": "fleet_chat"},
        {"keys": []},
        {"keys": [1]},
        {"keys": [None]},
        {"keys": ["x" * 101]},
        {"keys": ["key"] * 201},
        {"keys": ["key"], "company": "acme"},
    ],
)
def test_a_bad_question_is_refused_by_name(body, bob, as_person):
    refusal = as_person(bob).post("/api/features/check", body, content_type="application/json")

    assert refusal.status_code == 400
    assert refusal.json()["code"] == "INVALID"
    assert refusal.json()["errors"]


class TestEntityTags:
    """304 tells that no answer changed, and nothing else does."""

    def test_the_same_answers_are_304_without_a_body(self, chat, bob, as_person):
        client = as_person(bob)
        first = client.get("/api/features")

        again = client.get("/api/features", headers={"if-none-match": first["ETag"]})

        assert (again.status_code, again.content) == (304, b"")
        assert again["ETag"] == first["ETag"]
        assert first["Cache-Control"] == "private, no-cache"

    @pytest.mark.parametrize("held", ["W/{}", '"other", {}', "*"])
    def test_the_tag_is_compared_weakly_and_in_lists(self, held, chat, bob, as_person):
        client = as_person(bob)
        tag = client.get("/api/features")["ETag"]

        assert client.get("/api/features", headers={"if-none-match": held.format(tag)}).status_code == 304

    def test_it_changes_when_an_answer_does_and_only_then(self, chat, bob, admin, as_person, globex):
        client = as_person(bob)
        tag = client.get("/api/features")["ETag"]
        OverrideFactory(company=globex, flag=chat, enabled=False)
        FlagFactory(key="internal_thing", is_internal=True)
        unchanged = client.get("/api/features", headers={"if-none-match": tag})
        admin.delete("/api/admin/tenants/acme/overrides/fleet_chat")

        changed = client.get("/api/features", headers={"if-none-match": tag})

        assert unchanged.status_code == 304
        assert changed.status_code == 200
        assert changed.json()["fleet_chat"] is False

    def test_an_expiry_changes_it_too(self, acme, bob, as_person, time_machine_at):
        flag = FlagFactory(key="fleet_chat")
        with time_machine_at("2026-03-01T11:00:00Z"):
            OverrideFactory(company=acme, flag=flag, expires_at="2026-03-01T12:00:00Z")
            client = as_person(bob)
            tag = client.get("/api/features")["ETag"]
        with time_machine_at("2026-03-01T12:00:01Z"):
            client = as_person(bob)
            assert client.get("/api/features", headers={"if-none-match": tag}).status_code == 200


class TestWhoMaySpeakForWhom:
    """A company is named by who may, and to nobody else does it say whether it exists."""

    def test_a_server_key_names_the_company(self, chat, acme, as_token):
        key = as_token("evaluate")

        assert key.get("/api/features").json()["fleet_chat"] is False
        assert key.get("/api/features?company=acme").json()["fleet_chat"] is True
        assert key.get("/api/features", headers={"x-workspace-id": str(acme.pk)}).json()["fleet_chat"] is True
        assert key.get("/api/features/fleet_chat").json()["reason"] == "no_company"

    def test_a_server_key_may_name_the_person_too(self, acme, dan, bob, as_token):
        flag = FlagFactory(key="premium_map", default_enabled=True, needs_grant=True)
        GrantFactory(company=acme, user=dan, flag=flag)
        key = as_token("evaluate")

        assert key.get(f"/api/features/premium_map?company=acme&user={dan.pk}").json()["enabled"] is True
        assert key.get(f"/api/features/premium_map?company=acme&user={bob.pk}").json()["reason"] == "grant_missing"

    def test_two_names_must_be_one(self, acme, globex, as_token):
        key = as_token("evaluate")

        assert key.get("/api/features?company=acme", headers={"x-workspace-id": "acme"}).status_code == 200
        refusal = key.get("/api/features?company=acme", headers={"x-workspace-id": "globex"})
        assert (refusal.status_code, list(refusal.json()["errors"])) == (400, ["company"])

    def test_an_unknown_company_is_named_in_the_refusal(self, as_token):
        refusal = as_token("evaluate").get("/api/features?company=nowhere")

        assert (refusal.status_code, refusal.json()["code"]) == (404, "COMPANY_NOT_FOUND")

    def test_a_bound_key_speaks_for_its_company_only_and_learns_nothing_of_others(self, chat, acme, globex, as_token):
        for kind in ("server", "client"):
            key = as_token("evaluate", kind=kind, company=acme)
            assert key.get("/api/features").json()["fleet_chat"] is True
            assert key.get(f"/api/features?company={acme.pk}").status_code == 200
            refusals = [
                key.get(f"/api/features?company={name}", headers={"x-request-id": "same-id-1"})
                for name in (globex.pk, "globex", "nowhere")
            ]
            assert {refusal.status_code for refusal in refusals} == {403}
            assert len({refusal.content for refusal in refusals}) == 1
            assert refusals[0].json()["code"] == "TOKEN_COMPANY_MISMATCH"

    def test_a_person_may_name_only_their_own(self, acme, globex, bob, as_person):
        client = as_person(bob)
        refusals = [
            client.get(f"/api/features?company={name}", headers={"x-request-id": "same-id-1"})
            for name in (str(globex.pk), "nowhere")
        ]

        assert client.get("/api/features?company=acme").status_code == 200
        assert {refusal.status_code for refusal in refusals} == {403}
        assert len({refusal.content for refusal in refusals}) == 1
        assert refusals[0].json()["code"] == "NOT_A_MEMBER"

    def test_a_person_may_not_ask_about_another(self, bob, dan, as_person):
        assert as_person(bob).get(f"/api/features?user={dan.pk}").status_code == 403

    def test_a_client_key_may_not_ask_about_a_person(self, acme, dan, as_token):
        key = as_token("evaluate", kind="client", company=acme)

        assert key.get(f"/api/features?user={dan.pk}").status_code == 403

    def test_a_key_without_the_scope_evaluates_nothing(self, as_token):
        refusal = as_token("flags:read").get("/api/features")

        assert (refusal.status_code, refusal.json()["code"]) == (403, "SCOPE_MISSING")

    def test_an_inactive_company_is_answered_like_none(self, as_token):
        CompanyFactory(slug="gone", is_active=False)
        FlagFactory(key="fleet_chat", default_enabled=True)

        answer = as_token("evaluate").get("/api/features/fleet_chat?company=gone").json()

        assert answer == {"key": "fleet_chat", "enabled": False, "reason": "no_company"}

    def test_a_person_without_a_company_has_nothing(self, as_person, db):
        loner = MembershipFactory(company__is_active=False).user

        assert as_person(loner).get("/api/features").json()["driver_management"] is False


def test_a_change_is_seen_by_the_next_call(bob, admin, as_person):
    client = as_person(bob)
    before = client.get("/api/features").json()["trip_management"]

    admin.post("/api/admin/feature-flags", {"key": "trip_management", "enabled": True}, content_type="application/json")

    assert (before, client.get("/api/features").json()["trip_management"]) == (False, True)


def test_a_channel_speaks_for_its_companies(carol, bob, as_person):
    flag = FlagFactory(key="fleet_chat")
    ChannelDefaultFactory(flag=flag, channel="pilot")

    assert as_person(carol).get("/api/features/fleet_chat").json()["reason"] == "channel"
    assert as_person(bob).get("/api/features/fleet_chat").json()["reason"] == "default"


def test_a_warm_call_asks_the_database_once_for_all_answers(bob, sign_in, as_person, django_assert_num_queries):
    client = as_person(bob)
    client.get("/api/features")

    # Who it is and where they are at home, and one look at the versions.
    with django_assert_num_queries(2):
        client.get("/api/features")


def test_the_answer_does_not_change_by_method(bob, as_person):
    assert as_person(bob).post("/api/features").status_code == 405
