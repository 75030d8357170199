"""Headgate behind the OpenFeature SDK: for whom it answers.

Numbers are requirements of OpenFeature's specification (0.9).
"""

import pytest
from openfeature import api
from openfeature.exception import ErrorCode

from flags.features import evaluation_scope
from flags.openfeature import HeadgateProvider
from tests.factories import (
    ChannelDefaultFactory,
    CompanyFactory,
    FlagFactory,
    GrantFactory,
)
from tests.flags.openfeature.asking import about, answers, run

pytestmark = pytest.mark.django_db(transaction=True)


class TestContext:
    def test_a_company_is_named_by_id_or_slug(self, chat, client, acme):
        contexts = (
            about("acme"),
            about(str(acme.pk)),
            about(acme.pk),
            about(None, "company:acme"),
            about("acme", "company:acme"),
            about(None, f"company:{acme.pk}"),
        )
        assert all(client.get_boolean_value("fleet_chat", False, context) for context in contexts)

    def test_a_company_by_id_costs_what_any_check_costs(self, chat, client, acme, django_assert_num_queries):
        client.get_boolean_value("fleet_chat", False, about(str(acme.pk)))
        with django_assert_num_queries(1):
            client.get_boolean_value("fleet_chat", False, about(str(acme.pk)))
        with django_assert_num_queries(2):
            client.get_boolean_value("fleet_chat", False, about("acme"))

    @pytest.mark.parametrize(
        "context",
        [
            about("nowhere"),
            about("00000000-0000-4000-8000-000000000000"),
            about(7),
            about(["acme"]),
            about("x" * 300),
            about(None, 7),
            about(None, "company:"),
            about(None, "company:nowhere"),
            about("acme", "company:globex"),
            about("acme", userId={}),
        ],
    )
    @pytest.mark.parametrize("is_async", [False, True])
    def test_facts_that_cannot_be_are_invalid(self, context, is_async, chat, client, globex):  # 2.2.7, 2.3.3
        ask = client.get_boolean_details_async if is_async else client.get_boolean_details
        found = ask("fleet_chat", True, context)
        found = run(found) if is_async else found

        assert (found.value, found.error_code) == (True, ErrorCode.INVALID_CONTEXT)
        assert found.error_message
        assert "globex" not in found.error_message

    def test_an_inactive_company_is_answered_like_none(self, client):
        company = CompanyFactory(slug="gone", is_active=False)
        for name in ("gone", str(company.pk)):
            assert answers(client.get_boolean_details("api_access", True, about(name)))[3] == "no_company"

    def test_the_person_is_the_targeting_key_or_said_apart(self, acme, dan, bob, client):
        GrantFactory(
            company=acme, user=dan, flag=FlagFactory(key="premium_map", needs_grant=True, default_enabled=True)
        )

        def on(key=None, **attributes):
            return client.get_boolean_value("premium_map", False, about("acme", key, **attributes))

        assert on(str(dan.pk)) is True
        assert on("acme/dan", userId=str(dan.pk)) is True
        assert on(str(bob.pk)) is on("service-7") is on() is False

    def test_channel_plan_and_role_are_never_read_from_it(self, client, acme):
        ChannelDefaultFactory(flag=FlagFactory(key="for_pilots"), channel="pilot")
        FlagFactory(key="for_enterprises", minimum_plan="enterprise", default_enabled=True)
        lies = {"channel": "pilot", "plan": "enterprise", "role": "admin", "is_superuser": True}

        for key in ("for_pilots", "for_enterprises"):
            assert client.get_boolean_value(key, True, about("acme", None, **lies)) is False

    def test_nobody_is_a_super_admin_by_being_named(self, client, alice, acme):
        FlagFactory(key="is_off")

        assert client.get_boolean_value("is_off", True, about("acme", str(alice.pk))) is False
        assert client.get_boolean_value("is_off", True, about(None, str(alice.pk))) is False

    def test_a_scope_is_the_context_where_none_is_given(self, chat, client, acme, dan):
        with evaluation_scope(dan, acme) as here:
            for context in (None, about(), about("acme"), about(None, str(dan.pk)), about(str(acme.pk), str(dan.pk))):
                assert client.get_boolean_value("fleet_chat", False, context) is True
            assert here.evaluated == {"fleet_chat": True}

    def test_a_scope_gives_way_to_a_context_that_names_another(self, chat, client, globex, acme, dan):
        with evaluation_scope(dan, globex):
            assert client.get_boolean_value("fleet_chat", False, about("acme")) is True
            assert client.get_boolean_value("fleet_chat", True) is False

    def test_a_strict_provider_refuses_that(self, chat, acme, globex, dan, bob):
        api.set_provider_and_wait(HeadgateProvider(strict=True), "strict")
        client = api.get_client("strict")
        with evaluation_scope(dan, acme):
            assert client.get_boolean_value("fleet_chat", False, about("acme", str(dan.pk))) is True
            for context in (about("globex"), about("acme", str(bob.pk))):
                found = client.get_boolean_details("fleet_chat", True, context)
                assert (found.value, found.error_code) == (True, ErrorCode.INVALID_CONTEXT)
        assert client.get_boolean_value("fleet_chat", False, about("acme")) is True
        api.clear_providers()
