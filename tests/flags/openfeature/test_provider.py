"""Headgate behind the OpenFeature SDK: its life, and what it does without a database.

Numbers are requirements of OpenFeature's specification (0.9).
"""

import subprocess
import sys
import threading
from contextlib import suppress
from unittest import mock

import pytest
from django.db import Error as DatabaseProblem
from django.db import OperationalError, connection, transaction
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.provider import ProviderStatus

from flags import features, overrides, versions
from flags.models import Override
from flags.openfeature import HeadgateProvider
from tests.flags.openfeature.asking import about, answers, run

pytestmark = pytest.mark.django_db(transaction=True)


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

    @pytest.mark.postgres
    def test_a_connection_that_breaks_within_a_transaction(self, chat, client):
        client.get_boolean_value("fleet_chat", False, about("acme"))
        with suppress(DatabaseProblem), transaction.atomic():
            connection.connection.close()
            for context in (None, about(), about("acme")):
                found = client.get_boolean_details("fleet_chat", False, context)
            assert answers(found) == (True, "on", "STALE", "override")
            assert client.get_boolean_details("fleet_chat", True, about("unheard-of")).error_code == ErrorCode.GENERAL


def test_use_is_counted_once(chat, client, monkeypatch):
    counted = []
    monkeypatch.setattr(features.usage, "count", lambda company, evaluated, failed: counted.append(dict(evaluated)))
    client.get_boolean_value("fleet_chat", False, about("acme"))

    assert counted == [{"fleet_chat": True}]
