"""Putting a flag away: when that may be, what it answers then, and how it comes back."""

from datetime import timedelta

import pytest
from django.utils import timezone

from flags import archiving, changes, overview, releases, reverting
from flags.evaluation import Reason
from flags.exceptions import ChangeRefused, Conflict, NotAllowed
from flags.features import features_for
from flags.models import Change, Flag
from flags.releasemodels import DailyUsage
from tests.factories import ChannelDefaultFactory, FlagFactory

pytestmark = pytest.mark.django_db

KEY = "trip_management"


def test_an_archived_flag_answers_its_last_default_whatever_else_is_stored(alice, acme, globex):
    changes.set_default(KEY, True, actor=alice)
    changes.set_override(acme, KEY, False, actor=alice)
    ChannelDefaultFactory(flag_id=KEY, channel="pilot", enabled=False)
    archiving.archive(KEY, actor=alice, reason="shipped to everybody")
    for company in (acme, globex):
        decision = features_for(None, company).decide(KEY)
        assert (decision.enabled, decision.reason) == (True, Reason.ARCHIVED)


def test_it_leaves_the_lists_and_keeps_its_history(alice):
    archiving.archive(KEY, actor=alice, reason="shipped")
    assert not overview.find_flags(q=KEY, internal=True).exists()
    assert [flag.key for flag in overview.find_flags(state="archived", internal=True)] == [KEY]
    line = Change.objects.get(flag=KEY)
    assert (line.verb, line.before, line.after, line.reason) == (
        "archive_flag",
        {"archived": False},
        {"archived": True},
        "shipped",
    )


def test_restoring_brings_back_the_state_before(alice, acme):
    changes.set_override(acme, KEY, True, actor=alice)
    archiving.archive(KEY, actor=alice)
    assert not features_for(None, acme)[KEY]
    archiving.restore(KEY, actor=alice)
    decision = features_for(None, acme).decide(KEY)
    assert (decision.enabled, decision.reason) == (True, Reason.OVERRIDE)
    assert overview.find_flags(q=KEY, internal=True).exists()


def test_archiving_is_taken_back_from_history(alice):
    archiving.archive(KEY, actor=alice)
    reverting.revert(Change.objects.get(flag=KEY), actor=alice)
    assert Flag.objects.get(key=KEY).archived_at is None


def test_what_a_live_flag_requires_cannot_be_archived(alice):
    changes.edit_flag("driver_payments", actor=alice, requires=[KEY])
    with pytest.raises(ChangeRefused, match="driver_payments requires 'trip_management'") as refusal:
        archiving.archive(KEY, actor=alice)
    assert refusal.value.extra == {"dependents": ["driver_payments"]}
    archiving.archive("driver_payments", actor=alice)
    assert archiving.archive(KEY, actor=alice).archived_at is not None


def test_a_flag_on_its_way_cannot_be_archived_nor_an_archived_one_begin(alice):
    releases.start(KEY, actor=alice)
    with pytest.raises(ChangeRefused, match="under way, in Internal"):
        archiving.archive(KEY, actor=alice)
    releases.roll_back(KEY, None, actor=alice, reason="not wanted")
    archiving.archive(KEY, actor=alice)
    with pytest.raises(ChangeRefused, match="archived"):
        releases.start(KEY, actor=alice)


def test_twice_is_silent(alice):
    first = archiving.archive(KEY, actor=alice)
    assert archiving.archive(KEY, actor=alice).version == first.version
    archiving.restore(KEY, actor=alice)
    archiving.restore(KEY, actor=alice)
    assert Change.objects.filter(flag=KEY).count() == 2


def test_only_super_admins_put_flags_away_and_only_as_they_saw_them(alice, bob):
    for verb in (archiving.archive, archiving.restore):
        with pytest.raises(NotAllowed):
            verb(KEY, actor=bob)
    with pytest.raises(Conflict):
        archiving.archive(KEY, actor=alice, version=99)
    assert Flag.objects.get(key=KEY).archived_at is None


def test_it_says_whether_it_is_safe_to_archive(alice, django_assert_num_queries):
    flag = FlagFactory(key="old_thing")
    now = timezone.now()
    with django_assert_num_queries(3):
        found = archiving.readiness(flag)
    assert found.is_safe
    assert found.last_evaluated is None
    used = DailyUsage.objects.create(flag=flag, day=now.date(), on=1, last_at=now - timedelta(days=13))
    found = archiving.readiness(flag)
    assert found.is_possible
    assert not found.is_safe
    assert archiving.readiness(flag, at=now + timedelta(days=2)).is_safe
    used.delete()
    releases.start("old_thing", actor=alice)
    found = archiving.readiness(flag)
    assert (found.is_possible, found.release.channel_id) == (False, "internal")
