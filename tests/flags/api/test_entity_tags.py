"""An entity tag changes with whatever can change an answer: nobody is told 304 of what is not so any more."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from flags import changes, companies
from flags.models import Flag
from tests.factories import FlagFactory

pytestmark = pytest.mark.django_db

KEY = "fleet_chat"
ASKED = {
    "features": lambda client, **headers: client.get("/api/features", headers=headers),
    "ofrep": lambda client, **headers: client.post(
        "/ofrep/v1/evaluate/flags", {"context": {"targetingKey": "x"}}, content_type="application/json", headers=headers
    ),
}


# Each changes what Bob, an admin of Acme on the plan pro in the channel general, is answered about a flag that is on.
WAYS = {
    "killed": lambda acme, bob: changes.kill(KEY, actor=None, reason="broken"),
    "default": lambda acme, bob: changes.set_default(KEY, False, actor=None),
    "default by SQL": lambda acme, bob: Flag.objects.filter(key=KEY).update(default_enabled=False),
    "channel": lambda acme, bob: changes.set_channel(KEY, "general", False, actor=None),
    "share of a channel": lambda acme, bob: changes.set_channel(KEY, "general", True, percentage=0, actor=None),
    "requirement": lambda acme, bob: changes.edit_flag(KEY, requires=["always_off"], actor=None),
    "need of a grant": lambda acme, bob: changes.edit_flag(KEY, needs_grant=True, actor=None),
    "minimum plan": lambda acme, bob: changes.edit_flag(KEY, minimum_plan="enterprise", actor=None),
    "internal": lambda acme, bob: changes.edit_flag(KEY, is_internal=True, actor=None),
    "override": lambda acme, bob: changes.set_override(acme, KEY, False, actor=None),
    "choice": lambda acme, bob: changes.set_opt_in(acme, KEY, False, actor=bob),
    "denial": lambda acme, bob: changes.grant(acme, bob, KEY, enabled=False, actor=None),
    "channel of the company": lambda acme, bob: companies.edit_company(acme, channel="pilot", actor=None),
    "plan of the company": lambda acme, bob: companies.edit_company(acme, plan="starter", actor=None),
    "deletion": lambda acme, bob: changes.delete_flag(KEY, actor=None),
}


@pytest.fixture
def flag(acme):
    """On for Acme, and as much about it as may be changed."""
    FlagFactory(key="always_off", default_enabled=False)
    companies.edit_company(acme, plan="pro", channel="general", actor=None)
    flag = FlagFactory(key=KEY, default_enabled=True, is_self_service=True, minimum_plan_id="pro")
    changes.set_channel(KEY, "pilot", False, actor=None)
    return flag


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how", ASKED)
def test_whatever_changes_an_answer_changes_the_tag(how, way, flag, acme, bob, as_person):
    client: Client = as_person(bob)
    before = ASKED[how](client)
    tag = {"if-none-match": before["ETag"]}
    assert (before.status_code, ASKED[how](client, **tag).status_code) == (200, 304)
    WAYS[way](acme, bob)
    after = ASKED[how](client, **tag)
    assert after.status_code == 200
    assert after["ETag"] != before["ETag"]
    assert after.content != before.content


@pytest.mark.parametrize("how", ASKED)
def test_so_does_time_that_ends_an_override(how, flag, acme, bob, as_person, clock):
    changes.set_override(acme, KEY, False, actor=None, expires_at=timezone.now() + timedelta(minutes=5))
    client = as_person(bob)
    tag = {"if-none-match": ASKED[how](client)["ETag"]}
    assert ASKED[how](client, **tag).status_code == 304
    clock.shift(timedelta(minutes=6))
    assert ASKED[how](client, **tag).status_code == 200
