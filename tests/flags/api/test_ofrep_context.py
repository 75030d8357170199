"""Who is asked about over OpenFeature's protocol: what the credential says, and what the body may say."""

import json

import pytest

from tests.factories import ChannelDefaultFactory, CompanyFactory, FlagFactory, GrantFactory
from tests.flags.api.ofrep import BULK, bulk, single, validator, values
from tests.flags.api.test_error_shape import assert_problem

pytestmark = pytest.mark.django_db


class TestContext:
    """Who is asked about: what the credential says, and what the body says only where the caller may choose."""

    def test_the_company_may_be_a_slug_or_an_id(self, chat, key, acme):
        for context in (
            {"companyId": "acme"},
            {"companyId": str(acme.pk)},
            {"targetingKey": "company:acme"},
            {"targetingKey": f"company:{acme.pk}", "companyId": str(acme.pk)},
        ):
            assert single(key, "fleet_chat", context).json()["value"] is True

    def test_the_person_is_the_targeting_key_or_said_apart(self, acme, dan, bob, key):
        flag = FlagFactory(key="premium_map", needs_grant=True, default_enabled=True)
        GrantFactory(company=acme, user=dan, flag=flag)

        def on(**context):
            return single(key, "premium_map", {"companyId": "acme", **context}).json()["value"]

        assert on(targetingKey=str(dan.pk)) is True
        assert on(targetingKey="acme/dan", userId=str(dan.pk)) is True
        assert on(targetingKey=str(bob.pk)) is False
        assert on(targetingKey="service-7") is False
        assert on() is False

    def test_a_published_key_speaks_for_no_person(self, acme, dan, as_token):
        flag = FlagFactory(key="premium_map", needs_grant=True, default_enabled=True)
        GrantFactory(company=acme, user=dan, flag=flag)
        client = as_token("evaluate", kind="client", company=acme)

        assert single(client, "premium_map", {"targetingKey": str(dan.pk)}).json()["value"] is False

    @pytest.mark.parametrize(
        "context",
        [
            {"companyId": "nowhere"},
            {"companyId": 7},
            {"companyId": ["acme"]},
            {"companyId": "x" * 300},
            {"companyId": "a\\u0000b"},
            {"targetingKey": 7},
            {"targetingKey": "company:nowhere"},
            {"targetingKey": "company:globex", "companyId": "acme"},
            {"userId": {}},
        ],
    )
    def test_facts_that_cannot_be_are_said_to_be_invalid(self, context, chat, key, globex):
        for path, schema in ((f"{BULK}/fleet_chat", "evaluationFailure"), (BULK, "bulkEvaluationFailure")):
            response = key.post(path, {"context": context}, content_type="application/json")
            assert response.status_code == 400
            assert response.json()["errorCode"] == "INVALID_CONTEXT"
            validator(schema).validate(response.json())

    @pytest.mark.parametrize("kind", ["server", "client"])
    def test_a_bound_key_may_repeat_its_company_and_name_no_other(self, kind, chat, acme, globex, as_token):
        client = as_token("evaluate", kind=kind, company=acme)
        bodies = set()
        for name in (str(globex.pk), "globex", "nowhere"):
            contexts = (
                {"companyId": name},
                {"targetingKey": f"company:{name}"},
                {"companyId": name, "targetingKey": "company:acme"},
            )
            for context in contexts:
                headers = {"x-request-id": "same-id-1"}
                for response in (
                    bulk(client, context, headers=headers),
                    single(client, "fleet_chat", context, headers=headers),
                ):
                    problem = assert_problem(response, 403, "TOKEN_COMPANY_MISMATCH")
                    bodies.add(json.dumps({**problem, "instance": ""}))

        assert len(bodies) == 1
        assert single(client, "fleet_chat", {"companyId": "acme"}).json()["value"] is True
        assert single(client, "fleet_chat").json()["value"] is True

    def test_a_person_may_repeat_theirs_and_name_no_other(self, chat, bob, dan, globex, as_person):
        client = as_person(bob)

        assert single(client, "fleet_chat", {"companyId": "acme", "userId": str(bob.pk)}).json()["value"] is True
        assert_problem(single(client, "fleet_chat", {"companyId": "globex"}), 403, "NOT_A_MEMBER")
        assert_problem(single(client, "fleet_chat", {"companyId": "nowhere"}), 403, "NOT_A_MEMBER")
        assert_problem(single(client, "fleet_chat", {"targetingKey": "company:globex"}), 403, "NOT_A_MEMBER")
        assert_problem(single(client, "fleet_chat", {"userId": str(dan.pk)}), 403, "NOT_ALLOWED")

    def test_channel_plan_and_role_are_never_read_from_the_body(self, key, acme):
        ChannelDefaultFactory(flag=FlagFactory(key="for_pilots"), channel="pilot")
        FlagFactory(key="for_enterprises", minimum_plan="enterprise", default_enabled=True)
        lies = {"companyId": "acme", "channel": "pilot", "plan": "enterprise", "role": "admin", "is_superuser": True}

        assert values(bulk(key, lies)) == values(bulk(key, {"companyId": "acme"}))
        assert values(bulk(key, lies))["for_pilots"] is False

    def test_an_inactive_company_is_answered_like_none(self, key):
        CompanyFactory(slug="gone", is_active=False)

        assert single(key, "driver_management", {"companyId": "gone"}).json()["metadata"]["reason"] == "no_company"

    @pytest.mark.parametrize("body", ["{}", '{"context": {}}', "", '{"context": {}, "extra": 1}'])
    def test_a_body_that_says_nothing_is_fine(self, body, chat, acme, as_token):
        client = as_token("evaluate", company=acme)

        response = client.generic("POST", f"{BULK}/fleet_chat", body, content_type="application/json; charset=utf-8")

        assert response.json()["value"] is True
