"""Taking a change back: each verb is undone by its opposite, and only while its work is still there to be undone."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from flags import changes, companies, reverting
from flags.exceptions import ChangeRefused, Conflict, Invalid, Missing, NotAllowed
from flags.features import features_for
from flags.impact import impact
from flags.models import Change, ChannelDefault, Flag, Grant, OptIn, Override

pytestmark = pytest.mark.django_db
END = datetime(2100, 3, 3, tzinfo=UTC)


def last() -> Change:
    return Change.objects.first()


def take_back(alice, reason: str = "oops") -> None:
    reverting.revert(last(), actor=alice, reason=reason)


def state() -> dict:
    """Everything that a change may touch, apart from when and how often it was touched."""
    moving = ("version", "updated_at", "created_at", "id", "created_by_id", "killed_at")
    rows = [
        *Flag.objects.order_by("key"),
        *ChannelDefault.objects.order_by("flag", "channel"),
        *Override.objects.order_by("flag", "company"),
        *OptIn.objects.order_by("flag", "company"),
        *Grant.objects.order_by("flag", "company", "user"),
    ]
    return {
        "rows": [{k: v for k, v in vars(row).items() if k not in (*moving, "_state")} for row in rows],
        "killed": sorted(Flag.objects.killed().values_list("key", flat=True)),
        "requires": sorted(Flag.requires.through.objects.values_list("flag_id", "requires_id")),
    }


DEEDS = {
    "a default": lambda a, acme, dan: changes.set_default("api_access", True, actor=a),
    "a default that pinned what it was": lambda a, acme, dan: changes.set_default("api_access", False, actor=a),
    "a channel that had no answer": lambda a, acme, dan: changes.set_channel("api_access", "pilot", True, actor=a),
    "a kill": lambda a, acme, dan: changes.kill("api_access", actor=a, reason="leak"),
    "an override": lambda a, acme, dan: changes.set_override(acme, "api_access", True, actor=a, expires_at=END),
    "an opt-in": lambda a, acme, dan: changes.set_opt_in(acme, "ai_enabled", True, actor=a),
    "a grant": lambda a, acme, dan: changes.grant(acme, dan, "api_access", actor=a, expires_at=END),
    "an edit": lambda a, acme, dan: changes.edit_flag(
        "api_access", actor=a, name="New", owner="Bo", metadata={"a": 1}, minimum_plan="pro", requires=["driver_chat"]
    ),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_what_was_done_to_a_fresh_flag_is_taken_back(deed, alice, acme, dan):
    before = state()
    DEEDS[deed](alice, acme, dan)
    assert state() != before
    take_back(alice)
    assert state() == before
    assert (last().reason, last().actor) == ("oops", alice.email)


@pytest.fixture
def lived_in(alice, acme, dan):
    """A flag with an answer everywhere."""
    changes.set_default("api_access", True, actor=alice)
    changes.set_channel("api_access", "pilot", True, percentage=30, actor=alice)
    changes.set_override(acme, "api_access", False, actor=alice, reason="asked for", expires_at=END)
    changes.set_opt_in(acme, "ai_enabled", True, actor=alice)
    changes.grant(acme, dan, "api_access", enabled=False, actor=alice, reason="asked for", expires_at=END)


LATER = {
    "a default": lambda a, acme, dan: changes.set_default("api_access", False, actor=a),
    "inheriting": lambda a, acme, dan: changes.inherit_default("api_access", actor=a),
    "a channel": lambda a, acme, dan: changes.set_channel("api_access", "pilot", False, actor=a),
    "a share of a channel": lambda a, acme, dan: changes.set_channel(
        "api_access", "pilot", True, percentage=60, actor=a
    ),
    "a channel removed": lambda a, acme, dan: changes.remove_channel("api_access", "pilot", actor=a),
    "an override turned": lambda a, acme, dan: changes.set_override(acme, "api_access", True, actor=a),
    "an override paused": lambda a, acme, dan: changes.set_override(
        acme, "api_access", False, actor=a, reason="asked for", expires_at=END, paused=True
    ),
    "an override prolonged": lambda a, acme, dan: changes.set_override(
        acme, "api_access", False, actor=a, reason="asked for", expires_at=END + timedelta(days=1)
    ),
    "an override removed": lambda a, acme, dan: changes.remove_override(acme, "api_access", actor=a),
    "an opt-in turned": lambda a, acme, dan: changes.set_opt_in(acme, "ai_enabled", False, actor=a),
    "an opt-in removed": lambda a, acme, dan: changes.remove_opt_in(acme, "ai_enabled", actor=a),
    "a grant turned": lambda a, acme, dan: changes.grant(acme, dan, "api_access", actor=a),
    "a grant revoked": lambda a, acme, dan: changes.revoke(acme, dan, "api_access", actor=a),
}


@pytest.mark.parametrize("deed", LATER)
def test_what_replaced_something_brings_it_back(deed, lived_in, alice, acme, dan):
    before = state()
    LATER[deed](alice, acme, dan)
    assert state() != before
    take_back(alice, "asked for")  # An override's and a grant's reason is the reason it was last set for.
    assert state() == before


@pytest.mark.parametrize("deed", LATER)
def test_taking_back_can_be_taken_back(deed, lived_in, alice, acme, dan):
    LATER[deed](alice, acme, dan)
    after = [row for row in state()["rows"] if row.get("reason") != "again"]
    take_back(alice, "asked for")
    take_back(alice, "")
    assert _without_reasons(state()["rows"]) == _without_reasons(after)


def _without_reasons(rows: list[dict]) -> list[dict]:
    return [{name: value for name, value in row.items() if name != "reason"} for row in rows]


def test_a_killed_flag_is_revived_and_back(alice):
    changes.kill("api_access", actor=alice, reason="leak")
    changes.revive("api_access", actor=alice, reason="mended")
    take_back(alice)
    assert Flag.objects.get(key="api_access").is_killed
    take_back(alice)
    assert not Flag.objects.get(key="api_access").is_killed


def test_a_company_goes_back_to_its_channel_and_name(alice, acme):
    companies.edit_company(acme, actor=alice, channel="pilot", plan="enterprise", name="Acme Inc.")
    take_back(alice)
    acme.refresh_from_db()
    assert (acme.channel_id, acme.plan_id, acme.name) == ("general", "pro", "Acme")


def test_what_somebody_changed_since_is_not_overwritten(alice, acme):
    changes.set_override(acme, "api_access", True, actor=alice, reason="first")
    first = last()
    changes.set_override(acme, "api_access", False, actor=alice, reason="second")
    with pytest.raises(Conflict) as refusal:
        reverting.revert(first, actor=alice, reason="oops")
    assert refusal.value.extra["current"]["enabled"] is False
    assert Override.objects.get().reason == "second"


def test_what_was_set_again_since_is_not_removed(alice, acme):
    changes.set_override(acme, "api_access", True, actor=alice)
    changes.remove_override(acme, "api_access", actor=alice)
    removal = last()
    changes.set_override(acme, "api_access", False, actor=alice)
    with pytest.raises(Conflict):
        reverting.revert(removal, actor=alice)
    assert Override.objects.get().enabled is False


def test_other_fields_changed_since_stay(alice):
    changes.edit_flag("api_access", actor=alice, name="New")
    edit = last()
    changes.edit_flag("api_access", actor=alice, owner="Bo")
    reverting.revert(edit, actor=alice)
    flag = Flag.objects.get(key="api_access")
    assert (flag.name, flag.owner) == ("API Access", "Bo")


def test_what_is_gone_cannot_come_back(alice, acme):
    changes.create_flag("short_lived", actor=alice)
    changes.edit_flag("short_lived", actor=alice, name="New")
    edit = last()
    changes.delete_flag("short_lived", actor=alice)
    with pytest.raises(Missing, match="no flag 'short_lived'"):
        reverting.revert(edit, actor=alice)
    with pytest.raises(Missing):
        reverting.proposed(edit)


def test_an_override_that_would_be_over_already_is_refused(alice, acme):
    soon = timezone.now() + timedelta(days=1)
    changes.set_override(acme, "api_access", True, actor=alice, expires_at=soon)
    changes.remove_override(acme, "api_access", actor=alice)
    removal = last()
    removal.before["expires_at"] = "2001-01-01T00:00:00+00:00"
    with pytest.raises(Invalid, match="past"):
        reverting.revert(removal, actor=alice)
    assert not Override.objects.exists()


@pytest.mark.parametrize("verb", ["create_flag", "delete_flag", "add_member", "create_token"])
def test_some_things_cannot_be_taken_back_by_themselves(verb, alice):
    change = Change(verb=verb, flag="api_access")
    assert not reverting.can_revert(change)
    assert reverting.proposed(change) is None
    with pytest.raises(ChangeRefused, match="cannot be taken back"):
        reverting.revert(change, actor=alice)


def test_only_super_admins_take_back(alice, bob, acme):
    changes.set_override(acme, "api_access", True, actor=alice)
    with pytest.raises(NotAllowed):
        reverting.revert(last(), actor=bob)
    assert Override.objects.exists()


def test_reviving_by_taking_back_needs_a_reason_like_reviving_does(alice):
    changes.kill("api_access", actor=alice, reason="leak")
    with pytest.raises(Invalid, match="reason is required"):
        reverting.revert(last(), actor=alice)


FORETOLD = {
    **DEEDS,
    "a channel off": lambda a, acme, dan: changes.set_channel("driver_management", "general", False, actor=a),
    "an override off": lambda a, acme, dan: changes.set_override(acme, "driver_management", False, actor=a),
    "a plan": lambda a, acme, dan: changes.edit_flag("driver_management", actor=a, minimum_plan="enterprise"),
    "a requirement": lambda a, acme, dan: changes.edit_flag("driver_management", actor=a, requires=["driver_chat"]),
    "a kill switch": lambda a, acme, dan: changes.edit_flag("driver_management", actor=a, is_killswitch=True),
}


@pytest.mark.parametrize("deed", FORETOLD)
def test_the_impact_of_taking_back_is_what_happens(deed, alice, acme, globex, dan):
    FORETOLD[deed](alice, acme, dan)
    change = last()
    key = change.flag
    proposed = reverting.proposed(change)
    foretold = {} if proposed is None else impact(proposed).effect
    was = {company: features_for(None, company)[key] for company in (acme, globex)}
    take_back(alice)
    became = {company: features_for(None, company)[key] for company in (acme, globex)}
    turned = {company.name for company in was if was[company] != became[company]}
    assert set(foretold.names if foretold else []) == turned
