"""Headgate behind the OpenFeature SDK, in process. Numbers are requirements of OpenFeature's specification (0.9)."""

import asyncio
import subprocess
import sys
import threading
from datetime import timedelta
from unittest import mock

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connections, transaction
from django.http import JsonResponse
from django.test import RequestFactory
from django.utils import timezone
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationOptions
from openfeature.hook import Hook
from openfeature.provider import ProviderStatus
from openfeature.transaction_context import (
    ContextVarsTransactionContextPropagator,
    clear_transaction_context_propagator,
    get_transaction_context,
    set_transaction_context_propagator,
)

from flags import changes, features, manyoverrides, overridefiles, overrides, versions
from flags.features import evaluation_scope
from flags.middleware import FeaturesMiddleware
from flags.models import Flag, Override
from flags.openfeature import ContextMiddleware, HeadgateProvider
from flags.testing import override_features
from tenants.principal import Principal
from tests.factories import (
    ApiTokenFactory,
    ChannelDefaultFactory,
    CompanyFactory,
    FlagFactory,
    GrantFactory,
    OptInFactory,
    OverrideFactory,
    RequirementFactory,
)

pytestmark = pytest.mark.django_db(transaction=True)
TYPED = {"string": "none", "integer": 7, "float": 0.5, "object": {"a": 1}}


@pytest.fixture
def provider():
    """A provider in use, for as long as the test."""
    provider = HeadgateProvider()
    api.set_provider_and_wait(provider)
    yield provider
    api.clear_providers()


@pytest.fixture
def client(provider):
    return api.get_client()


@pytest.fixture
def chat(acme):
    """On for Acme alone."""
    return OverrideFactory(company=acme, flag=FlagFactory(key="fleet_chat", category="operations")).flag


def about(company=None, targeting_key=None, **attributes):
    named = {} if company is None else {"companyId": company}
    return EvaluationContext(targeting_key, {**named, **attributes})


def answers(found) -> tuple:
    return found.value, found.variant, str(found.reason), found.flag_metadata.get("reason")


def run(work):
    """Run a coroutine, and close the connections that its helper threads have opened."""

    async def and_tidy_up():
        try:
            return await work
        finally:
            await sync_to_async(connections.close_all)()

    return asyncio.run(and_tidy_up())


class TestItself:
    def test_it_has_a_name(self, provider):  # 2.1.1
        assert provider.get_metadata().name == api.get_provider_metadata().name == "Headgate"

    def test_nothing_else_needs_the_sdk(self):
        code = (
            "import sys; sys.modules['openfeature'] = sys.modules['opentelemetry'] = None\n"
            "import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings'; django.setup()\n"
            "from django.urls import get_resolver; get_resolver().url_patterns\n"
            "assert 'flags.openfeature' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True, env={"DJANGO_DEBUG": "true"}, timeout=60)

    def test_it_starts_without_a_database_and_is_ready_once(self, django_assert_num_queries):  # 2.4.1, 2.8
        ready, client = [], api.get_client("starting")
        client.add_handler(ProviderEvent.PROVIDER_READY, ready.append)
        client.add_handler(ProviderEvent.PROVIDER_READY, lambda _: told.set())
        told = threading.Event()
        with django_assert_num_queries(0):
            api.set_provider_and_wait(HeadgateProvider(), "starting")

        assert client.get_provider_status() is ProviderStatus.READY
        assert told.wait(5)
        assert [event.provider_name for event in ready if event.provider_name == "Headgate"] == ["Headgate"]
        api.clear_providers()

    def test_it_can_be_shut_down_twice_and_begin_again(self, acme):  # 2.5
        before = {thread.name for thread in threading.enumerate()}
        provider = HeadgateProvider()
        for _ in range(2):
            provider.initialize(EvaluationContext())
            provider.initialize(EvaluationContext())
            with mock.patch.object(provider, "emit") as emit:
                overrides.set_override(acme, "api_access", True, actor=None)
                assert emit.call_count == 1
            provider.shutdown()
            provider.shutdown()
            with mock.patch.object(provider, "emit") as emit:
                overrides.remove_override(acme, "api_access", actor=None)
                assert emit.call_count == 0
        assert {thread.name for thread in threading.enumerate()} == before

    def test_tracking_is_dropped_in_silence(self, client):  # 2.7.1, 6.1
        assert client.track("invoice_sent", about("acme", "user-1")) is None


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


class TestRequests:
    """The middleware, and evaluation in views."""

    @pytest.fixture(autouse=True)
    def _propagated(self):
        set_transaction_context_propagator(ContextVarsTransactionContextPropagator())
        yield
        clear_transaction_context_propagator()

    @staticmethod
    def serve(principal, view, *, middleware=ContextMiddleware):
        request = RequestFactory().get("/")
        request.principal = principal
        return FeaturesMiddleware(middleware(view))(request)

    def test_the_request_is_who_asks(self, chat, client, acme, globex, dan, alice):
        def ask(request):
            return JsonResponse({"value": client.get_boolean_details("fleet_chat", False).flag_metadata["reason"]})

        asked = {
            Principal(dan, acme, "member", credential="session"): b"override",
            Principal(token=ApiTokenFactory(company=acme), company=acme, credential="token"): b"override",
            Principal(dan, globex, "member", credential="session"): b"default",
            Principal(alice, credential="session"): b"super_admin",
            Principal(alice, acme, "admin", viewing_as=acme, credential="session"): b"override",
            Principal(): b"no_company",
        }
        for principal, word in asked.items():
            assert word in self.serve(principal, ask).content
            assert word in self.serve(principal, ask, middleware=lambda view: view).content

    def test_it_reaches_hooks_and_gives_way_to_the_call(self, chat, client, acme, dan):  # 3.2.3
        seen = []

        class Noting(Hook):
            def before(self, hook_context, hints):
                seen.append(hook_context.evaluation_context)

        options = FlagEvaluationOptions(hooks=[Noting()])

        def ask(request):
            client.get_boolean_value("fleet_chat", False, None, options)
            client.get_boolean_value("fleet_chat", False, about("globex"), options)
            return JsonResponse({})

        CompanyFactory(slug="globex")
        self.serve(Principal(dan, acme, "member"), ask)

        assert [(one.targeting_key, one.attributes["companyId"]) for one in seen] == [
            (str(dan.pk), str(acme.pk)),
            (str(dan.pk), "globex"),
        ]

    def test_no_request_sees_the_one_before(self, acme, dan):
        seen = []

        def note(request):
            seen.append(get_transaction_context())
            return JsonResponse({})

        def fail(request):
            raise ZeroDivisionError

        self.serve(Principal(dan, acme, "member"), note)
        assert get_transaction_context() == EvaluationContext()
        with pytest.raises(ZeroDivisionError):
            self.serve(Principal(dan, acme, "member"), fail)
        assert get_transaction_context() == EvaluationContext()
        self.serve(Principal(), note)

        assert seen == [EvaluationContext(str(dan.pk), {"companyId": str(acme.pk)}), EvaluationContext()]

    def test_async_views_ask_off_the_loop(self, chat, client, acme, dan):  # 1.4.10
        async def ask(request):
            mine = await client.get_boolean_value_async("fleet_chat", False)
            other = await client.get_boolean_value_async("fleet_chat", True, about("globex"))
            return JsonResponse({"mine": mine, "other": other, "who": get_transaction_context().targeting_key})

        CompanyFactory(slug="globex")

        async def serve():
            response = await self.serve(Principal(dan, acme, "member"), ask)
            return response.content, get_transaction_context()

        content, afterwards = run(serve())
        assert content == b'{"mine": true, "other": false, "who": "%s"}' % str(dan.pk).encode()
        assert afterwards == EvaluationContext()

    def test_requests_on_one_loop_do_not_mix(self, chat, client, acme, dan):
        globex = CompanyFactory(slug="globex")

        async def ask(request):
            await asyncio.sleep(0)
            return JsonResponse({"value": await client.get_boolean_value_async("fleet_chat", False)})

        async def serve():
            companies = [acme, globex] * 5
            return await asyncio.gather(*(self.serve(Principal(dan, one, "member"), ask) for one in companies))

        assert [b"true" in response.content for response in run(serve())] == [True, False] * 5


class TestEvents:
    @pytest.fixture
    def told(self, provider, acme, globex):
        """Return a function that gives the keys of all events so far, in order."""
        with mock.patch.object(provider, "emit") as emit:
            yield lambda: [call.args[1].flags_changed for call in emit.call_args_list]

    def test_each_kind_of_change_names_its_flag(self, told, acme, alice):  # 5.1
        changes.set_default("api_access", True, actor=alice)
        overrides.set_override(acme, "white_label", True, actor=alice)
        changes.kill("driver_chat", actor=alice, reason="x")

        assert [keys for keys in told() if keys] == [["api_access"], ["white_label"], ["driver_chat"]]

    def test_what_requires_a_flag_changes_with_it(self, told, acme, client):
        RequirementFactory(flag=FlagFactory(key="upper"), requires=FlagFactory(key="lower"))
        client.get_boolean_value("upper", False, about("acme"))
        overrides.set_override(acme, "lower", True, actor=None)

        assert told()[-1] == ["lower", "upper"]

    def test_bulk_changes_tell_too(self, told, acme, globex, alice):
        witness = manyoverrides.Witness(alice, "", timezone.now(), acme.pk)
        state = {"enabled": True, "reason": "", "expires_at": None, "paused": False}
        with transaction.atomic():
            flag = Flag.objects.get(key="api_access")
            manyoverrides.move_many(flag, [acme.pk, globex.pk], manyoverrides.NOTHING, state, witness)
            assert told() == []
        text = "company,flag,enabled,reason,expires_at\nacme,white_label,true,,\nglobex,driver_chat,true,,\n"
        overridefiles.load(text, actor=alice)

        assert told() == [["api_access"], ["driver_chat", "white_label"]]

    def test_a_company_that_moves_may_change_any(self, told, acme):
        acme.plan_id = "enterprise"
        acme.save()

        assert told() == [None]

    def test_what_was_rolled_back_is_not_told(self, told, acme):
        with transaction.atomic():
            OverrideFactory(company=acme, flag_id="api_access", flag=None)
            transaction.set_rollback(True)
        with transaction.atomic():
            with transaction.atomic():
                OverrideFactory(company=acme, flag_id="white_label", flag=None)
                transaction.set_rollback(True)
            OverrideFactory(company=acme, flag_id="driver_chat", flag=None)
            assert told() == []

        assert told() == [["driver_chat"]]

    def test_who_is_told_sees_the_change_already(self, provider, client, acme):
        seen, done = [], threading.Event()

        def look(event):
            seen.append(event.flags_changed)
            done.set()

        client.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, look)
        overrides.set_override(acme, "api_access", True, actor=None)

        assert done.wait(5)
        assert seen == [["api_access"]]
        assert client.get_boolean_value("api_access", False, about("acme")) is True


def away(*args, **kwargs):
    raise OperationalError("the server is gone")


class TestWithoutDatabase:
    """Nothing is raised, whatever breaks (1.4.10)."""

    def test_what_was_known_goes_on_and_says_so(self, chat, client, acme, monkeypatch):
        client.get_boolean_value("fleet_chat", False, about("acme"))
        with monkeypatch.context() as broken:
            broken.setattr(versions, "current", away)
            broken.setattr(Override._meta.model, "objects", None)
            broken.setattr("flags.openfeature.rls.acting_as_system", away)
            for context in (about("acme"), about(str(acme.pk))):
                found = client.get_boolean_details("fleet_chat", False, context)
                assert answers(found) == (True, "on", "STALE", "override")
            assert client.get_provider_status() is ProviderStatus.STALE

        assert str(client.get_boolean_details("fleet_chat", False, about("acme")).reason) == "TARGETING_MATCH"
        assert client.get_provider_status() is ProviderStatus.READY

    @pytest.mark.parametrize("default", [True, False])
    @pytest.mark.parametrize("is_async", [False, True])
    def test_where_nothing_is_known_the_callers_default_stands(self, default, is_async, client, acme, monkeypatch):
        monkeypatch.setattr(versions, "current", away)
        monkeypatch.setattr("flags.openfeature.rls.acting_as_system", away)
        for context in (None, about("unheard-of"), about(str(acme.pk))):
            ask = client.get_boolean_details_async if is_async else client.get_boolean_details
            found = ask("api_access", default, context)
            found = run(found) if is_async else found
            assert (found.value, found.error_code) == (default, ErrorCode.GENERAL)
            assert "gone" not in found.error_message


def test_use_is_counted_once(chat, client, monkeypatch):
    counted = []
    monkeypatch.setattr(features.usage, "count", lambda company, evaluated, failed: counted.append(evaluated))
    client.get_boolean_value("fleet_chat", False, about("acme"))

    assert counted == [{"fleet_chat": True}]
