"""OpenFeature's remote evaluation protocol: what released clients need, and what nobody may learn by it."""

import json
from datetime import timedelta
from unittest import mock

import pytest
from django.db import OperationalError
from django.utils import timezone

from flags.models import Flag
from tests.factories import (
    ChannelDefaultFactory,
    FlagFactory,
    GrantFactory,
    OptInFactory,
    OverrideFactory,
    RequirementFactory,
)
from tests.flags.api.ofrep import BULK, bulk, single, validator, values
from tests.flags.api.test_error_shape import assert_problem

pytestmark = pytest.mark.django_db
REASONS = {"STATIC", "DEFAULT", "TARGETING_MATCH", "SPLIT", "CACHED", "DISABLED", "UNKNOWN", "STALE", "ERROR"}


class TestOneFlag:
    def test_it_has_everything_released_clients_need(self, chat, key):
        response = single(key, "fleet_chat", {"targetingKey": "user-1", "companyId": "acme", "colour": "red"})

        assert response.status_code == 200
        assert response["Content-Type"] == "application/json"
        assert response.json() == {
            "key": "fleet_chat",
            "value": True,
            "variant": "on",
            "reason": "TARGETING_MATCH",
            "metadata": {"reason": "override", "flagSetId": "headgate", "category": "operations"},
        }
        validator("serverEvaluationSuccess").validate(response.json())

    def test_it_carries_no_entity_tag(self, chat, key):
        assert "ETag" not in single(key, "fleet_chat")

    @pytest.mark.parametrize("accept", ["*/*", "text/html", "application/problem+json", ""])
    def test_it_is_json_whatever_is_accepted(self, accept, chat, key):
        assert single(key, "fleet_chat", headers={"accept": accept})["Content-Type"] == "application/json"

    def test_a_killed_flag_is_off_and_never_left_to_the_callers_default(self, chat, key, admin):
        admin.post("/api/admin/feature-flags/fleet_chat/kill", {"reason": "x"}, content_type="application/json")

        answer = single(key, "fleet_chat", {"companyId": "acme"}).json()

        assert (answer["value"], answer["variant"], answer["reason"]) == (False, "off", "DISABLED")
        assert answer["metadata"]["reason"] == "killed"

    @pytest.mark.parametrize("name", ["nothing_here", "hidden_tool", "Bad-Key", "a%20b", "x" * 300])
    def test_an_unknown_and_a_hidden_key_are_not_found_alike(self, name, key):
        FlagFactory(key="hidden_tool", is_internal=True, default_enabled=True)

        response = single(key, name)

        assert (response.status_code, response["Content-Type"]) == (404, "application/json")
        answer = response.json()
        assert answer.keys() == {"key", "errorCode", "errorDetails", "metadata"}
        assert (answer["errorCode"], answer["metadata"]) == ("FLAG_NOT_FOUND", {})
        validator("flagNotFound").validate(answer)


class TestReasons:
    """Each of our twelve rules, in OpenFeature's words."""

    @pytest.fixture
    def worlds(self, acme, dan):
        """Make a flag for each reason; return how each is to be answered for Acme."""
        old = timezone.now() - timedelta(days=1)
        FlagFactory(key="is_static", default_enabled=True)
        ChannelDefaultFactory(flag=FlagFactory(key="is_default"), channel="pilot")
        OverrideFactory(company=acme, flag=FlagFactory(key="has_expired"), expires_at=old)
        FlagFactory(key="is_killed", killed_at=old)
        OverrideFactory(company=acme, flag=FlagFactory(key="is_overridden"))
        OptInFactory(company=acme, flag=FlagFactory(key="is_chosen", is_self_service=True))
        ChannelDefaultFactory(flag=FlagFactory(key="by_channel"), channel="general")
        ChannelDefaultFactory(flag=FlagFactory(key="by_rollout"), channel="general", percentage=50)
        FlagFactory(key="by_plan", minimum_plan="enterprise", default_enabled=True)
        RequirementFactory(
            flag=FlagFactory(key="by_prerequisite", default_enabled=True), requires=FlagFactory(key="is_off")
        )
        FlagFactory(key="needs_grant", needs_grant=True, default_enabled=True)
        GrantFactory(company=acme, user=dan, flag=FlagFactory(key="was_denied", default_enabled=True), enabled=False)
        return {
            "is_static": (True, "STATIC", "default"),
            "is_default": (False, "DEFAULT", "default"),
            "has_expired": (False, "DEFAULT", "default"),
            "is_killed": (False, "DISABLED", "killed"),
            "is_overridden": (True, "TARGETING_MATCH", "override"),
            "is_chosen": (True, "TARGETING_MATCH", "opt_in"),
            "by_channel": (True, "TARGETING_MATCH", "channel"),
            "by_rollout": (None, "SPLIT", "rollout"),
            "by_plan": (False, "TARGETING_MATCH", "plan"),
            "by_prerequisite": (False, "TARGETING_MATCH", "prerequisite"),
            "needs_grant": (False, "TARGETING_MATCH", "grant_missing"),
            "was_denied": (False, "TARGETING_MATCH", "grant_denied"),
        }

    def test_single_and_bulk_and_the_flat_list_agree(self, worlds, key, dan, as_person):
        context = {"targetingKey": str(dan.pk), "companyId": "acme"}
        whole = {flag["key"]: flag for flag in bulk(key, context).json()["flags"]}
        flat = as_person(dan).get("/api/features").json()

        for name, (value, reason, word) in worlds.items():
            answer = single(key, name, context).json()
            assert (answer["reason"], answer["metadata"]["reason"]) == (reason, word)
            assert value is None or answer["value"] is value
            assert whole[name] == answer
            assert single(as_person(dan), name).json() == answer
        assert {name: flag["value"] for name, flag in whole.items()} == flat
        assert {flag["reason"] for flag in whole.values()} <= REASONS

    def test_without_a_company_everything_is_off_by_default(self, worlds, key):
        answer = single(key, "is_static").json()

        assert (answer["value"], answer["reason"], answer["metadata"]["reason"]) == (False, "DEFAULT", "no_company")

    def test_a_super_admin_gets_all_but_what_was_killed(self, worlds, admin):
        assert single(admin, "is_default").json()["metadata"]["reason"] == "super_admin"
        assert single(admin, "is_killed").json()["value"] is False
        assert single(admin, "is_default", {"companyId": "acme"}).json()["value"] is False


class TestAllFlags:
    def test_every_flag_is_there_off_and_killed_ones_too(self, chat, key, admin):
        admin.post("/api/admin/feature-flags/api_access/kill", {"reason": "x"}, content_type="application/json")

        response = bulk(key, {"companyId": "acme"})

        assert values(response).keys() == set(Flag.objects.exclude(is_internal=True).values_list("key", flat=True))
        assert values(response)["api_access"] is False
        assert response.json()["metadata"] == {"flagSetId": "headgate"}
        validator("bulkEvaluationSuccess").validate(response.json())

    def test_internal_flags_are_shown_to_those_who_may_read_all(self, as_token, admin, acme, bob, as_person):
        sees = (admin, as_token("evaluate", "flags:read"))
        not_so = (
            as_person(bob),
            as_token("evaluate"),
            as_token("evaluate", "flags:read", company=acme),
            as_token("evaluate", kind="client", company=acme),
        )

        assert all("inspector" in values(bulk(client)) for client in sees)
        assert not any("inspector" in values(bulk(client)) for client in not_so)

    @pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', "*"])
    def test_304_is_empty_and_compared_weakly(self, form, chat, key):
        tag = bulk(key, {"companyId": "acme"})["ETag"]

        response = bulk(key, {"companyId": "acme"}, headers={"if-none-match": form.format(tag)})

        assert (response.status_code, response.content) == (304, b"")
        assert response["ETag"] == tag

    def test_the_tag_is_another_companys_never(self, chat, key, acme, globex):
        tags = {bulk(key, {"companyId": slug})["ETag"] for slug in ("acme", "globex")}
        held = bulk(key, {"targetingKey": "u", "companyId": "acme"})["ETag"]

        response = bulk(key, {"targetingKey": "u", "companyId": "globex"}, headers={"if-none-match": held})

        assert len(tags) == 2
        assert response.status_code == 200
        assert values(response)["fleet_chat"] is False

    @pytest.mark.parametrize("who", [{}, {"targetingKey": "u"}])
    def test_companies_that_are_answered_alike_have_tags_of_their_own(self, who, key, acme, globex):
        first, again, other = (bulk(key, {"companyId": slug, **who}) for slug in ("acme", "acme", "globex"))

        assert values(first) == values(other)
        assert first["ETag"] == again["ETag"] != other["ETag"]
        held = {"if-none-match": first["ETag"]}
        assert bulk(key, {"companyId": "globex", **who}, headers=held).status_code == 200

    def test_it_changes_exactly_when_an_answer_does(self, chat, key, acme, globex, time_machine_at):
        now = timezone.now()
        OverrideFactory(company=acme, flag=FlagFactory(key="short_lived"), expires_at=now + timedelta(hours=1))

        def tag(moment):
            with time_machine_at(moment):
                return bulk(key, {"companyId": "acme"})["ETag"]

        first = tag(now)
        Flag.objects.filter(key="api_access").update(description="Nobody's answer")
        OverrideFactory(company=globex, flag=chat)
        FlagFactory(key="hidden_tool", is_internal=True)

        assert tag(now + timedelta(minutes=1)) == first
        assert tag(now + timedelta(hours=2)) != first

    def test_identity_comes_before_the_tag(self, chat, key, anonymous, acme, globex, as_token):
        held = {"if-none-match": bulk(key, {"companyId": "globex"})["ETag"]}

        assert bulk(anonymous, headers=held).status_code == 401
        assert bulk(as_token("evaluate", company=acme), {"companyId": "globex"}, headers=held).status_code == 403

    def test_a_warm_poll_asks_the_database_twice(self, chat, key, acme, django_assert_num_queries):
        tag = bulk(key, {"companyId": "acme"})["ETag"]
        bulk(key, {"companyId": "acme"})

        # Which key, which company, which versions.
        with django_assert_num_queries(3):
            assert bulk(key, {"companyId": "acme"}, headers={"if-none-match": tag}).status_code == 304

    @pytest.mark.django_db(transaction=True)
    def test_nothing_is_evaluated_twice_for_the_same_answers(self, chat, as_token, acme):
        client = as_token("evaluate", kind="client", company=acme)
        first = bulk(client)
        with mock.patch("flags.api.ofrep._bulk", side_effect=AssertionError("rendered again")):
            again = bulk(client)

        assert again.content == first.content


class TestRefusals:
    @pytest.mark.parametrize(
        "body",
        [
            "{",
            "[]",
            '{"context": 1}',
            '{"context": null}',
            '{"context": {"a": 1, "a": 2}}',
            '{"context": ' + '{"a":' * 20 + "1" + "}" * 21,
            '{"context": {"a": NaN}}',
        ],
    )
    def test_what_cannot_be_read_is_said_in_the_protocols_words(self, body, chat, key):
        for path, schema in ((f"{BULK}/fleet_chat", "evaluationFailure"), (BULK, "bulkEvaluationFailure")):
            response = key.generic("POST", path, body, content_type="application/json")
            answer = response.json()
            assert (response.status_code, response["Content-Type"]) == (400, "application/json")
            assert answer["errorCode"] in ("PARSE_ERROR", "INVALID_CONTEXT")
            assert answer["metadata"] == {}
            assert answer.get("key", "fleet_chat") == "fleet_chat"
            validator(schema).validate(answer)

    def test_a_large_one_is_413(self, chat, key):
        body = json.dumps({"context": {"a": "x" * 70_000}})

        response = key.generic("POST", BULK, body, content_type="application/json")

        assert_problem(response, 413, "CONTENT_TOO_LARGE")

    def test_who_calls_is_refused_by_problems(self, anonymous, as_token, key):
        assert_problem(bulk(anonymous), 401, "NOT_AUTHENTICATED")
        assert bulk(anonymous)["WWW-Authenticate"] == 'Bearer realm="headgate"'
        assert_problem(single(as_token("flags:read"), "api_access"), 403, "SCOPE_MISSING")
        assert_problem(key.get(BULK), 405, "METHOD_NOT_ALLOWED")
        assert_problem(key.post(f"{BULK}/", {}), 404, "ROUTE_NOT_FOUND")

    def test_strangers_learn_nothing_of_keys(self, anonymous):
        names = ("api_access", "nothing_her")
        answers = [single(anonymous, name, headers={"x-request-id": "same-id-1"}) for name in names]

        assert answers[0].content.replace(b"api_access", b"nothing_her") == answers[1].content

    def test_a_limit_is_told_in_whole_seconds(self, key, settings):
        settings.API_RATE_LIMIT = "1/h"
        bulk(key)

        response = bulk(key)

        assert_problem(response, 429, "RATE_LIMITED")
        assert response["Retry-After"].isdecimal()

    def test_trouble_tells_nothing_but_where_to_look(self, chat, key):
        with mock.patch("flags.api.ofrep.details", side_effect=RuntimeError("secret of the house")):
            response = single(key, "fleet_chat")

        answer = response.json()
        assert (response.status_code, response["Content-Type"]) == (500, "application/json")
        assert (answer["key"], answer["errorCode"]) == ("fleet_chat", "GENERAL")
        assert response["X-Request-ID"] in answer["errorDetails"]
        assert "secret" not in response.content.decode()

    def test_the_other_way_to_send_a_key_works_here_and_only_here(self, chat, as_token, anonymous, acme):
        plain = as_token("evaluate", company=acme).defaults["HTTP_AUTHORIZATION"].removeprefix("Bearer ")

        assert single(anonymous, "fleet_chat", headers={"x-api-key": plain}).json()["value"] is True
        assert anonymous.get("/api/features", headers={"x-api-key": plain}).status_code == 401

    def test_unknown_query_parameters_are_the_clients_own(self, chat, key):
        path = f"{BULK}?flagConfigEtag=x&flagConfigLastModified=1771622898&other=1"

        assert key.post(path, {"context": {}}, content_type="application/json").status_code == 200


class TestWithoutDatabase:
    """A client that is told nothing keeps what it has; one that is told of no flags falls back to its own defaults."""

    @pytest.fixture
    def away(self, monkeypatch):
        """Return a function after which versions cannot be read."""

        def go(*args):
            raise OperationalError("the server is gone")

        return lambda: monkeypatch.setattr("flags.versions.current", go)

    def test_what_nothing_is_known_of_is_503(self, chat, key, acme, away):
        away()
        for response in (bulk(key, {"companyId": "acme"}), single(key, "fleet_chat", {"companyId": "acme"})):
            assert_problem(response, 503, "UNAVAILABLE")
            assert response["Retry-After"].isdecimal()

    @pytest.mark.django_db(transaction=True)
    def test_what_was_known_goes_on_and_says_so(self, chat, key, acme, away):
        bulk(key, {"companyId": "acme"})
        away()

        response = bulk(key, {"companyId": "acme"})
        assert (values(response)["fleet_chat"], response["X-Flags-Stale"]) == (True, "true")
        assert {flag["reason"] for flag in response.json()["flags"]} == {"STALE"}
        assert single(key, "fleet_chat", {"companyId": "acme"}).json()["reason"] == "STALE"
