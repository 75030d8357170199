"""Flags as super admins steer them by API: the seed's one call, lists, edits, channels, kill and revive."""

import pytest

from flags import releases
from flags.models import Change, Flag, Override
from tests.factories import (
    ChannelDefaultFactory,
    FlagFactory,
    OverrideFactory,
    RequirementFactory,
)

pytestmark = pytest.mark.django_db
FLAGS = "/api/admin/feature-flags"
SHAPE = {
    "key", "name", "description", "category", "owner", "metadata", "default_enabled", "default_source", "is_internal",
    "is_killswitch", "killed", "killed_at", "kill_reason", "needs_grant", "minimum_plan", "is_self_service", "requires",
    "channels", "overrides", "release", "version", "created_at", "updated_at",
}  # fmt: skip


@pytest.fixture
def post(admin):
    return lambda body, path=FLAGS, **kwargs: admin.post(path, body, content_type="application/json", **kwargs)


@pytest.fixture
def patch(admin):
    return lambda key, body, **kwargs: admin.patch(f"{FLAGS}/{key}", body, content_type="application/json", **kwargs)


class TestTheSeedsCall:
    """POST {key, enabled, tenantId?, description?}: sets any feature flag (seed 003)."""

    def test_it_sets_the_default_of_a_flag_there_is(self, post, alice):
        response = post({"key": "multi_workspace_enabled", "enabled": True, "reason": "launch"})

        assert response.status_code == 200
        assert response.json()["default_enabled"] is True
        assert response.json()["default_source"] == "operator"
        change = Change.objects.get()
        assert (change.verb, change.actor, change.via, change.reason) == (
            "set_default",
            alice.email,
            "api",
            "launch",
        )

    def test_it_makes_a_flag_there_is_not(self, post, admin):
        response = post({"key": "fleet_chat", "enabled": True, "description": "Drivers write to each other"})

        assert response.status_code == 201
        assert response["Location"] == "http://testserver/api/admin/feature-flags/fleet_chat"
        assert admin.get(response["Location"]).json()["description"] == "Drivers write to each other"
        assert Flag.objects.get(key="fleet_chat").default_enabled is True

    @pytest.mark.parametrize("name", ["slug", "pk"])
    def test_with_a_tenant_it_sets_that_companys_answer(self, name, post, acme):
        body = {
            "key": "multi_workspace_enabled",
            "enabled": True,
            "tenantId": str(getattr(acme, name)),
            "description": "Enabled for pilot",
        }

        response = post(body)

        override = Override.objects.get()
        assert response.status_code == 200
        assert (override.company, override.flag_id, override.enabled) == (acme, "multi_workspace_enabled", True)
        assert override.reason == "Enabled for pilot"
        assert response.json()["override"]["company"] == "acme"
        assert response.json()["default_enabled"] is False

    def test_a_new_flag_for_one_tenant_is_off_for_all_others(self, post, acme, globex, admin):
        response = post({"key": "fleet_chat", "enabled": True, "tenantId": "acme"})

        assert response.status_code == 201
        assert admin.get("/api/features?company=acme").json()["fleet_chat"] is True
        assert admin.get("/api/features?company=globex").json()["fleet_chat"] is False

    def test_doing_it_twice_changes_nothing_more(self, post, acme):
        for _ in range(2):
            post({"key": "api_access", "enabled": True})
            post({"key": "api_access", "enabled": False, "tenantId": "acme"})

        assert Change.objects.count() == 2

    def test_an_unknown_tenant_is_refused_and_nothing_is_written(self, post):
        response = post({"key": "fleet_chat", "enabled": True, "tenantId": "nowhere"})

        assert (response.status_code, response.json()["code"]) == (400, "COMPANY_NOT_FOUND")
        assert "tenantId" in response.json()["errors"]
        assert not Flag.objects.filter(key="fleet_chat").exists()

    @pytest.mark.parametrize("key", ["Fleet-Chat", "1chat", "a", "x" * 64, "", "chat\n", 7, None])
    def test_a_key_that_is_none_is_refused(self, key, post):
        response = post({"key": key, "enabled": True})

        assert response.status_code == 400
        assert "key" in response.json()["errors"]

    def test_a_key_is_never_used_twice(self, post, admin):
        FlagFactory(key="old_chat")
        admin.delete(f"{FLAGS}/old_chat")

        response = post({"key": "old_chat", "enabled": True})

        assert (response.status_code, response.json()["code"]) == (409, "KEY_RETIRED")

    def test_what_describes_the_flag_does_not_mix_with_one_companys_answer(self, post, acme):
        response = post({"key": "api_access", "enabled": True, "tenantId": "acme", "category": "core"})

        assert (response.status_code, list(response.json()["errors"])) == (400, ["category"])
        assert not Override.objects.exists()

    def test_a_refused_part_undoes_the_whole(self, post):
        response = post({"key": "api_access", "enabled": True, "requires": ["nothing_here"]})

        assert response.status_code == 400
        assert Flag.objects.get(key="api_access").default_enabled is False
        assert not Change.objects.exists()

    def test_a_bound_key_sets_only_its_own_company_and_makes_no_flags(self, as_token, acme, globex):
        FlagFactory(key="hidden_tool", is_internal=True)
        key = as_token("flags:write", company=acme)
        answers = {
            (flag, tenant): key.post(
                FLAGS, {"key": flag, "enabled": True, "tenantId": tenant}, content_type="application/json"
            )
            for flag in ("api_access", "hidden_tool", "nothing_here")
            for tenant in ("acme", "globex", "nowhere", None)
        }

        assert answers["api_access", "acme"].status_code == 200
        assert answers["hidden_tool", "acme"].status_code == answers["nothing_here", "acme"].status_code == 404
        assert {answers[flag, "nowhere"].json()["code"] for flag in ("api_access", "hidden_tool", "nothing_here")} == {
            "TOKEN_COMPANY_MISMATCH"
        }
        assert answers["api_access", "globex"].json()["code"] == "TOKEN_COMPANY_MISMATCH"
        assert answers["api_access", None].json()["code"] == "TOKEN_COMPANY_MISMATCH"
        assert Override.objects.get().company == acme


class TestTheList:
    def test_it_has_the_one_shape(self, admin):
        answer = admin.get(FLAGS).json()

        assert answer.keys() == {"results", "next", "previous"}
        assert len(answer["results"]) == 20
        assert answer["results"][0].keys() >= SHAPE

    def test_it_shows_channels_overrides_and_requirements(self, admin, acme, globex):
        flag = FlagFactory(key="fleet_chat", category="zebra")
        ChannelDefaultFactory(flag=flag, channel="pilot", percentage=25)
        OverrideFactory(flag=flag, company=acme)
        OverrideFactory(flag=flag, company=globex, enabled=False)
        RequirementFactory(flag=flag, requires=Flag.objects.get(key="api_access"))

        (row,) = admin.get(f"{FLAGS}?category=zebra").json()["results"]

        assert row["channels"] == {"pilot": {"enabled": True, "percentage": 25}}
        assert row["overrides"] == {"on": 1, "off": 1}
        assert row["requires"] == ["api_access"]

    @pytest.mark.parametrize(
        ("query", "keys"),
        [
            ("q=self-service", {"billing_self_service"}),
            ("q=BILLING_ENF", {"billing_enforcement"}),
            ("category=finance", {"driver_payments"}),
            ("state=on", {"driver_management", "vehicle_management", "credential_management", "broker_management"}),
            ("state=internal", {"inspector"}),
            ("state=self_service", {"accounting_enabled", "ai_enabled", "document_signing_enabled"}),
            ("state=overridden", {"api_access"}),
            ("state=killed", {"white_label"}),
            ("q=%25", set()),
        ],
    )
    def test_it_is_filtered(self, query, keys, admin, acme, post):
        OverrideFactory(company=acme, flag=Flag.objects.get(key="api_access"))
        post({"reason": "abuse"}, f"{FLAGS}/white_label/kill")

        assert {row["key"] for row in admin.get(f"{FLAGS}?{query}").json()["results"]} == keys

    def test_an_unknown_state_is_refused(self, admin):
        assert "state" in admin.get(f"{FLAGS}?state=sleeping").json()["errors"]

    def test_it_is_ordered(self, admin):
        keys = [row["key"] for row in admin.get(f"{FLAGS}?ordering=-key").json()["results"]]

        assert keys == sorted(keys, reverse=True)

    def test_it_is_paged_without_gaps_or_doubles(self, admin):
        url, keys = f"{FLAGS}?page_size=7&ordering=key", []
        while url:
            page = admin.get(url).json()
            keys += [row["key"] for row in page["results"]]
            url = page["next"]

        assert keys == sorted(Flag.objects.values_list("key", flat=True))
        assert page["previous"].endswith("page=2&page_size=7") or "page=2" in page["previous"]

    def test_one_flag_takes_six_queries(self, admin, django_assert_num_queries):
        flag = OverrideFactory(flag=FlagFactory(requires=[FlagFactory()])).flag
        with django_assert_num_queries(6):
            admin.get(f"{FLAGS}/{flag.key}")

    def test_its_queries_do_not_grow_with_its_length(self, admin, django_assert_num_queries):
        admin.get(FLAGS)
        with django_assert_num_queries(6):
            admin.get(f"{FLAGS}?page_size=5")
        for _ in range(50):
            override = OverrideFactory(flag=FlagFactory())
            releases.start(override.flag_id, actor=None)
        with django_assert_num_queries(6):
            admin.get(f"{FLAGS}?page_size=100")

    def test_a_server_key_reads_it_and_a_bound_one_does_not(self, as_token, acme):
        assert as_token("flags:read").get(FLAGS).status_code == 200
        refusal = as_token("flags:read", company=acme).get(FLAGS)
        assert (refusal.status_code, refusal.json()["code"]) == (403, "TOKEN_COMPANY_MISMATCH")


class TestEditing:
    def test_it_takes_the_names_it_shows(self, patch, admin):
        FlagFactory(key="fleet_chat")
        body = {
            "name": "Fleet chat",
            "description": "Two\nlines",
            "category": "operations",
            "owner": "Team Blue",
            "metadata": {"ticket": 881},
            "is_internal": True,
            "is_killswitch": False,
            "needs_grant": True,
            "minimum_plan": "pro",
            "is_self_service": True,
            "requires": ["api_access"],
            "default_enabled": True,
            "channels": {"pilot": {"enabled": True, "percentage": 10}},
        }

        answer = patch("fleet_chat", {**body, "reason": "spring release"}).json()

        assert {name: answer[name] for name in body} == body
        assert admin.get(f"{FLAGS}/fleet_chat").json() == answer
        assert set(Change.objects.values_list("verb", "reason")) == {
            ("edit_flag", "spring release"),
            ("set_default", "spring release"),
            ("set_channel", "spring release"),
        }

    def test_null_takes_a_channels_answer_away_and_others_stay(self, patch):
        flag = FlagFactory(key="fleet_chat")
        ChannelDefaultFactory(flag=flag, channel="pilot")
        ChannelDefaultFactory(flag=flag, channel="general")

        assert patch("fleet_chat", {"channels": {"pilot": None}}).json()["channels"] == {
            "general": {"enabled": True, "percentage": 100}
        }

    def test_a_default_of_null_is_inherited_again(self, patch):
        patch("driver_management", {"default_enabled": False})

        answer = patch("driver_management", {"default_enabled": None}).json()

        assert (answer["default_enabled"], answer["default_source"]) == (True, "catalogue")

    @pytest.mark.parametrize("field", ["key", "killed", "killed_at", "overrides", "created_at", "default_source"])
    def test_what_is_not_to_be_set_is_refused_by_name(self, field, patch):
        response = patch("api_access", {field: "x"})

        assert (response.status_code, list(response.json()["errors"])) == (400, [field])

    @pytest.mark.parametrize(
        "body",
        [
            {"minimum_plan": "platinum"},
            {"requires": ["nothing_here"]},
            {"requires": "api_access"},
            {"metadata": []},
            {"metadata": {"long": "x" * 30_000}},
            {"name": ""},
            {"name": "x" * 121},
            {"channels": {"moon": {"enabled": True}}},
            {"channels": {"pilot": {"enabled": True, "percentage": 101}}},
            {"channels": {"pilot": {"enabled": True, "percentage": True}}},
            {"channels": {"pilot": True}},
            {"category": "a\u0007b"},
        ],
    )
    def test_what_breaks_a_rule_changes_nothing(self, body, patch, admin):
        before = admin.get(f"{FLAGS}/white_label").json()

        response = patch("white_label", {"owner": "Team Red", **body})

        assert response.status_code in (400, 404)
        assert admin.get(f"{FLAGS}/white_label").json() == before
        assert not Change.objects.exists()

    def test_a_circle_of_requirements_is_refused(self, patch):
        patch("api_access", {"requires": ["white_label"]})

        assert "requires" in patch("white_label", {"requires": ["api_access"]}).json()["errors"]

    @pytest.mark.parametrize(
        ("tag", "status"),
        [('"1"', 200), ("*", 200), ('"0", "1"', 200), ('"2"', 412), ('W/"1"', 412), ("1", 412), ("", 412)],
    )
    def test_if_match_guards_it(self, tag, status, patch):
        FlagFactory(key="fleet_chat")

        assert patch("fleet_chat", {"owner": "Blue"}, headers={"if-match": tag}).status_code == status

    def test_the_tag_it_comes_with_is_the_one_to_send(self, patch, admin):
        tag = admin.get(f"{FLAGS}/api_access")["ETag"]

        first = patch("api_access", {"owner": "Blue"}, headers={"if-match": tag})
        second = patch("api_access", {"owner": "Red"}, headers={"if-match": tag})

        assert (first.status_code, second.status_code) == (200, 412)
        assert patch("api_access", {"owner": "Red"}, headers={"if-match": first["ETag"]}).status_code == 200

    def test_both_a_tag_and_a_version_must_hold(self, patch):
        FlagFactory(key="fleet_chat")

        response = patch("fleet_chat", {"owner": "Blue", "version": 9}, headers={"if-match": '"1"'})

        assert response.status_code == 409


class TestChannels:
    def test_an_answer_is_put(self, admin):
        response = admin.put(
            f"{FLAGS}/api_access/channels/pilot",
            {"enabled": True, "percentage": 40, "reason": "beta"},
            content_type="application/json",
        )

        assert response.json()["channels"] == {"pilot": {"enabled": True, "percentage": 40}}
        assert Change.objects.get().reason == "beta"

    def test_an_answer_is_taken_away(self, admin):
        ChannelDefaultFactory(flag=FlagFactory(key="fleet_chat"), channel="pilot")

        assert admin.delete(f"{FLAGS}/fleet_chat/channels/pilot?reason=over").status_code == 204
        assert admin.get(f"{FLAGS}/fleet_chat").json()["channels"] == {}
        assert Change.objects.get().reason == "over"

    @pytest.mark.parametrize("channel", ["moon", "x" * 100, "%00"])
    def test_an_unknown_channel_is_404(self, channel, admin):
        response = admin.put(
            f"{FLAGS}/api_access/channels/{channel}", {"enabled": True}, content_type="application/json"
        )

        assert (response.status_code, response.json()["code"]) == (404, "CHANNEL_NOT_FOUND")

    def test_a_stale_tag_is_refused(self, admin):
        response = admin.put(
            f"{FLAGS}/api_access/channels/pilot",
            {"enabled": True},
            content_type="application/json",
            headers={"if-match": '"99"'},
        )

        assert response.status_code == 412


class TestKilling:
    def test_it_is_off_for_everybody_and_on_again_as_before(self, post, admin, acme, bob, as_person):
        OverrideFactory(company=acme, flag=Flag.objects.get(key="api_access"))
        assert post({"reason": "abuse"}, f"{FLAGS}/api_access/kill").json()["killed"] is True
        assert as_person(bob).get("/api/features/api_access").json()["reason"] == "killed"
        assert admin.get("/api/features").json()["api_access"] is False

        assert post({"reason": "fixed"}, f"{FLAGS}/api_access/revive").json()["killed"] is False
        assert as_person(bob).get("/api/features/api_access").json()["reason"] == "override"

    @pytest.mark.parametrize("verb", ["kill", "revive"])
    @pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "  "}])
    def test_it_takes_a_reason(self, verb, body, post):
        response = post(body, f"{FLAGS}/api_access/{verb}")

        assert (response.status_code, response.json()["code"]) == (400, "REASON_REQUIRED")
        assert "reason" in response.json()["errors"]

    def test_a_kill_switch_that_rests_on_off_is_not_revived(self, post):
        FlagFactory(key="fleet_chat", is_killswitch=True)

        assert post({"reason": "x"}, f"{FLAGS}/fleet_chat/revive").json()["code"] == "KILL_SWITCH_RESTS_ON_OFF"


class TestDeleting:
    def test_it_is_gone_and_its_key_is_never_free_again(self, admin, post):
        FlagFactory(key="fleet_chat")

        assert admin.delete(f"{FLAGS}/fleet_chat?reason=unused").status_code == 204
        assert admin.get(f"{FLAGS}/fleet_chat").status_code == 404
        assert post({"key": "fleet_chat", "enabled": True}).json()["code"] == "KEY_RETIRED"
        assert Change.objects.get(verb="delete_flag").reason == "unused"

    def test_one_that_others_require_stays(self, admin):
        RequirementFactory(flag=FlagFactory(key="fleet_chat"), requires=Flag.objects.get(key="api_access"))

        response = admin.delete(f"{FLAGS}/api_access")

        assert (response.status_code, response.json()["code"]) == (409, "FLAG_IS_REQUIRED")
        assert response.json()["dependents"] == ["fleet_chat"]

    def test_a_stale_tag_keeps_it(self, admin):
        assert admin.delete(f"{FLAGS}/api_access", headers={"if-match": '"99"'}).status_code == 412
        assert Flag.objects.filter(key="api_access").exists()


def test_a_required_reason_is_required_here_too(post, settings):
    settings.FLAGS_REQUIRE_REASON = True

    assert post({"key": "api_access", "enabled": True}).json()["code"] == "REASON_REQUIRED"
    assert post({"key": "api_access", "enabled": True, "reason": "contract 881"}).status_code == 200
