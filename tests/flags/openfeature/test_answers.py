"""Headgate behind the OpenFeature SDK: values, variants, reasons and errors.

Numbers are requirements of OpenFeature's specification (0.9).
"""

from datetime import timedelta
from unittest import mock

import pytest
from django.utils import timezone
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationOptions
from openfeature.hook import Hook

from flags import versions
from flags.models import Flag
from flags.testing import override_features
from tests.factories import (
    ChannelDefaultFactory,
    FlagFactory,
    GrantFactory,
    OptInFactory,
    OverrideFactory,
    RequirementFactory,
)
from tests.flags.openfeature.asking import about, answers, run

pytestmark = pytest.mark.django_db(transaction=True)
TYPED = {"string": "none", "integer": 7, "float": 0.5, "object": {"a": 1}}


class TestAnswers:
    @pytest.fixture
    def worlds(self, acme, dan):
        """Make a flag for each reason; return how each is to be answered for Dan of Acme."""
        old = timezone.now() - timedelta(days=1)
        FlagFactory(key="is_static", default_enabled=True)
        FlagFactory(key="is_static_off")
        ChannelDefaultFactory(flag=FlagFactory(key="is_default"), channel="pilot")
        OverrideFactory(company=acme, flag=FlagFactory(key="has_expired"), expires_at=old)
        FlagFactory(key="is_killed", killed_at=old, default_enabled=True)
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
            "is_static_off": (False, "STATIC", "default"),
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

    @pytest.mark.parametrize("default", [True, False])
    def test_each_has_value_variant_and_reason(self, default, worlds, client, dan):  # 2.2.3 to 2.2.6
        for key, (value, reason, word) in worlds.items():
            found = client.get_boolean_details(key, default, about("acme", str(dan.pk)))
            assert (str(found.reason), found.flag_metadata["reason"]) == (reason, word), key
            assert found.variant == ("on" if found.value else "off")
            assert value is None or found.value is value
            assert (found.error_code, found.error_message) == (None, None)

    def test_the_default_of_the_caller_changes_nothing_about_a_killed_flag(self, client, worlds):
        found = client.get_boolean_details("is_killed", True, about("acme"))

        assert answers(found) == (False, "off", "DISABLED", "killed")

    def test_metadata_are_plain_values_and_the_callers_own(self, chat, client):  # 2.2.9, 2.2.10
        found = client.get_boolean_details("fleet_chat", False, about("acme"))

        assert found.flag_metadata.keys() == {"reason", "category", "flagSetId", "version"}
        assert all(isinstance(value, str) for value in found.flag_metadata.values())
        assert found.flag_metadata["category"] == "operations"
        found.flag_metadata["reason"] = "spoilt"
        assert client.get_boolean_details("fleet_chat", False, about("acme")).flag_metadata["reason"] == "override"

    def test_the_version_moves_with_the_rules(self, chat, client):
        def version():
            return int(client.get_boolean_details("fleet_chat", False, about("acme")).flag_metadata["version"])

        before = version()
        assert version() == before
        Flag.objects.filter(key="fleet_chat").update(default_enabled=True)
        assert version() > before

    def test_an_unknown_key_is_not_found(self, client):  # 2.2.7
        found = client.get_boolean_details("nothing_here", True, about())

        assert (found.value, found.reason, found.error_code) == (True, "ERROR", ErrorCode.FLAG_NOT_FOUND)

    @pytest.mark.parametrize("kind", TYPED)
    @pytest.mark.parametrize("is_async", [False, True])
    def test_a_boolean_is_nothing_else(self, kind, is_async, chat, client):  # 2.2.7
        def ask(key):
            name = f"get_{kind}_details"
            if is_async:
                return run(getattr(client, f"{name}_async")(key, TYPED[kind], about("acme")))
            return getattr(client, name)(key, TYPED[kind], about("acme"))

        found = ask("fleet_chat")
        assert (found.value, found.error_code) == (TYPED[kind], ErrorCode.TYPE_MISMATCH)
        assert ask("nothing_here").error_code == ErrorCode.FLAG_NOT_FOUND

    def test_resolvers_take_keywords_and_need_no_context(self, chat, provider):  # 2.2.1
        assert provider.resolve_boolean_details(flag_key="fleet_chat", default_value=True).value is False

    def test_a_test_decides_in_one_line(self, client):
        asked = mock.patch.object(versions, "current", side_effect=AssertionError("asked the database"))
        with asked, override_features(billing_enabled=True):
            found = client.get_boolean_details("billing_enabled", False, about("acme"))

        assert answers(found) == (True, "on", "TARGETING_MATCH", "override")

    def test_provider_hooks_run_after_all_others_before_and_first_after(self, chat, provider, client):  # 2.3.1
        order = []

        class Noting(Hook):
            def __init__(self, name):
                self.name = name

            def before(self, hook_context, hints):
                order.append(f"before {self.name}")

            def after(self, hook_context, details, hints):
                order.append(f"after {self.name}")

        with mock.patch.object(provider, "_hooks", [Noting("provider")]):
            options = FlagEvaluationOptions(hooks=[Noting("call")])
            client.get_boolean_value("fleet_chat", False, about("acme"), options)

        assert order == ["before call", "before provider", "after provider", "after call"]
