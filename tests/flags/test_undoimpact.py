"""What taking back a batch brings back, by name, before anybody does it."""

import uuid

import pytest

from flags import bulk, changes
from flags.bulk import Wish
from flags.models import ChannelDefault
from flags.undoimpact import NAMES_SHOWN, Undo, undo_of
from tests.factories import FlagFactory, GrantFactory, MembershipFactory

pytestmark = pytest.mark.django_db


def done(alice, subjects, wish) -> uuid.UUID:
    """Change these at once, and return the batch."""
    batch = bulk.begin(uuid.uuid4(), subjects, wish, actor=alice)
    while batch.finished_at is None:
        batch = bulk.step(batch.pk, actor=alice)
    return batch.pk


def said(batch: uuid.UUID) -> list[tuple[str, int, list[str], int]]:
    return [(each.words, each.number, each.names, each.more) for each in undo_of(batch).returns]


@pytest.fixture
def routes():
    return FlagFactory(key="routes", name="Routes", needs_grant=True)


def test_grants_end_or_become_again_what_they_were(alice, acme, routes):
    new, denied, allowed = MembershipFactory.create_batch(3, company=acme)
    GrantFactory(company=acme, user=denied.user, flag=routes, enabled=False)
    GrantFactory(company=acme, user=allowed.user, flag=routes, enabled=True, reason="before")
    batch = done(alice, [one.pk for one in (new, denied, allowed)], Wish("grant", flag="routes"))
    assert said(batch) == [
        ("Routes is denied again", 1, [f"{denied.user.email} (Acme)"], 0),
        ("Routes is granted again", 1, [f"{allowed.user.email} (Acme)"], 0),
        ("The grant of Routes ends", 1, [f"{new.user.email} (Acme)"], 0),
    ]


def test_what_was_changed_again_since_stays_and_is_counted(alice, acme, routes):
    kept, changed = MembershipFactory.create_batch(2, company=acme)
    batch = done(alice, [kept.pk, changed.pk], Wish("deny", flag="routes"))
    changes.grant(acme, changed.user, "routes", enabled=True, actor=alice)
    assert said(batch) == [("The denial of Routes ends", 1, [f"{kept.user.email} (Acme)"], 0)]
    assert undo_of(batch).stay == 1


def test_channels_become_again_what_they_were(alice):
    keys = [FlagFactory(key=f"flag_{letter}", name=f"Flag {letter}").pk for letter in "abcd"]
    for key, enabled, percentage in ((keys[1], True, 25), (keys[2], True, 100), (keys[3], False, 100)):
        ChannelDefault.objects.create(flag_id=key, channel_id="general", enabled=enabled, percentage=percentage)
    batch = done(alice, keys, Wish("channel_on", channel="general", percentage=50))
    assert said(batch) == [
        ("General follows the default again", 1, ["Flag a"], 0),
        ("General is off again", 1, ["Flag d"], 0),
        ("General is on again", 1, ["Flag c"], 0),
        ("General is on again for 25 %", 1, ["Flag b"], 0),
    ]
    undone = bulk.undo(batch, uuid.uuid4(), actor=alice)
    while undone.finished_at is None:
        undone = bulk.step(undone.pk, actor=alice)
    assert (undone.changed_count, undone.refused_count) == (4, 0)
    assert said(undone.pk) == [("General is on again for 50 %", 4, [f"Flag {letter}" for letter in "abcd"], 0)]


@pytest.mark.parametrize("number", [2, NAMES_SHOWN + 5])
def test_as_many_queries_however_many_come_back(alice, acme, routes, number, django_assert_num_queries):
    members = MembershipFactory.create_batch(number, company=acme)
    people = done(alice, [one.pk for one in members], Wish("grant", flag="routes"))
    flags = done(alice, [FlagFactory().pk for _ in range(number)], Wish("channel_off", channel="pilot"))
    with django_assert_num_queries(2):  # The lines, and what is held now.
        [ended] = undo_of(people).returns
    with django_assert_num_queries(3):  # The names of the channels besides.
        [back] = undo_of(flags).returns
    named = min(number, NAMES_SHOWN)
    for each in (ended, back):
        assert (each.number, len(each.names), each.more) == (number, named, number - named)


def test_a_batch_of_overrides_is_told_elsewhere(alice, acme):
    batch = done(alice, [acme.pk], Wish("turn_on", flag="api_access"))
    assert undo_of(batch) == Undo([], 0)
