"""Headgate behind the OpenFeature SDK: what it tells of changes.

Numbers are requirements of OpenFeature's specification (0.9).
"""

import threading
from unittest import mock

import pytest
from django.db import transaction
from django.utils import timezone
from openfeature.event import ProviderEvent

from flags import changes, manyoverrides, overridefiles, overrides
from flags.models import Flag
from tests.factories import (
    FlagFactory,
    OverrideFactory,
    RequirementFactory,
)
from tests.flags.openfeature.asking import about

pytestmark = pytest.mark.django_db(transaction=True)


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
        moves = {(None, manyoverrides.State(True, "")): [acme.pk, globex.pk]}
        with transaction.atomic():
            flag = Flag.objects.get(key="api_access")
            manyoverrides.move_many(flag, moves, witness)
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
