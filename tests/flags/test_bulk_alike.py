"""The same path for each: what a batch does to one of many is what the single verb does to it alone.

Two companies, or flags, begin alike; one is changed by the verb, the other by a batch. Their rows, versions, lines of
history and refusals must then be the same.
"""

import uuid
from datetime import timedelta
from itertools import product

import pytest
from django.utils import timezone

from flags import bulk, changes, companies, releases
from flags.bulk import Wish
from flags.exceptions import ChangeRefused, NotAllowed
from flags.models import Change, ChannelDefault, Flag, Grant, Override
from tenants.models import Company
from tests.factories import CompanyFactory, MembershipFactory
from tests.sampling import in_turn

pytestmark = pytest.mark.django_db
KEY = "api_access"
NOW = timezone.now().replace(microsecond=0)
SOON, LATER = NOW + timedelta(hours=1), NOW + timedelta(days=9)
BEFORE = [
    None,
    (True, "", None, False),
    (True, "why", None, False),
    (False, "why", None, False),
    (True, "why", SOON, False),
    (False, "old", LATER, False),
    (True, "why", None, True),
    (False, "", SOON, True),
]
DEEDS = ["turn_on", "turn_off", "reset"]


def in_batch(alice, subject, wish, reason, clock=None, after=None):
    """Return what a batch says of one: changed, unchanged, or why it was refused."""
    batch = bulk.begin(uuid.uuid4(), [subject], wish, actor=alice, reason=reason)
    if clock is not None and after is not None:
        clock.shift(after)
    batch = bulk.step(batch.pk, actor=alice)
    assert batch.finished_at is not None
    return batch.refused[0][1] if batch.refused else bool(batch.changed_count)


def lines(since, **of):
    """Return what history says of one since, as if it had no batch: line by line, without those of the whole."""
    rows = Change.objects.filter(**of).exclude(pk__in=since).exclude(verb__startswith="change_").order_by("at", "id")
    fields = ("verb", "flag", "flag_name", "before", "after", "reason", "actor", "actor_name", "actor_id", "via")
    return list(rows.values_list(*fields))


def alone(act):
    """Do it, and return the refusal's words if it is refused."""
    try:
        act()
    except ChangeRefused as refusal:
        return refusal.detail
    return None


def override_of(company):
    row = Override.objects.filter(company=company).first()
    return row and (row.enabled, row.reason, row.expires_at, row.paused, row.version, row.created_by_id)


OVERRIDES = [
    (*case, reason)
    for turn, case in enumerate(product(BEFORE, [False, True], DEEDS, [None, SOON, LATER]))
    for reason in in_turn(("why", ""), turn, 2)
]


@pytest.mark.parametrize(("before", "is_late", "deed", "until", "reason"), OVERRIDES)
def test_overrides_changed_together_are_as_changed_alone(alice, clock, before, deed, until, is_late, reason):
    one, other = CompanyFactory(name="One"), CompanyFactory(name="Other")
    if before is not None:
        enabled, old, expires_at, paused = before
        for company in (one, other):
            changes.set_override(company, KEY, enabled, actor=alice, reason=old, expires_at=expires_at, paused=paused)
    known = list(Change.objects.values_list("pk", flat=True))
    late = timedelta(hours=2) if is_late else timedelta()
    outcome = in_batch(alice, one.pk, Wish(deed, KEY, expires_at=until), reason, clock, late)
    if deed == "reset":
        refused = alone(lambda: changes.remove_override(other, KEY, actor=alice, reason=reason))
    else:
        refused = alone(
            lambda: changes.set_override(other, KEY, deed == "turn_on", actor=alice, reason=reason, expires_at=until)
        )
    assert override_of(one) == override_of(other)
    assert lines(known, company_id=one.pk) == lines(known, company_id=other.pk)
    expected = refused if refused else bool(lines(known, company_id=other.pk))
    assert outcome == expected


@pytest.mark.parametrize("where", ["general", "pilot"])
def test_moves_are_as_one_alone(alice, where):
    one, other = (CompanyFactory(name=name, channel_id=where) for name in ("One", "Other"))
    known = list(Change.objects.values_list("pk", flat=True))
    outcome = in_batch(alice, one.pk, Wish("move", channel="pilot"), "why")
    companies.edit_company(other, channel="pilot", actor=alice, reason="why")
    rows = Company.objects.filter(pk__in=(one.pk, other.pk)).order_by("name").values_list("channel", "version")
    assert rows[0] == rows[1]
    assert lines(known, company_id=one.pk) == lines(known, company_id=other.pk)
    assert outcome == bool(lines(known, company_id=other.pk)) == (where == "general")


@pytest.mark.parametrize("held", [None, (True, "", None), (True, "why", LATER), (False, "why", None)])
@pytest.mark.parametrize("deed", ["grant", "deny"])
@pytest.mark.parametrize("until", [None, SOON, LATER])
@pytest.mark.parametrize("is_late", [False, True])
def test_grants_are_as_one_alone(alice, clock, held, deed, until, is_late):
    Flag.objects.filter(key=KEY).update(needs_grant=True)
    one, other = MembershipFactory(), MembershipFactory()
    if held is not None:
        for member in (one, other):
            enabled, why, expires_at = held
            changes.grant(
                member.company, member.user, KEY, enabled=enabled, actor=alice, reason=why, expires_at=expires_at
            )
    known = list(Change.objects.values_list("pk", flat=True))
    late = timedelta(hours=2) if is_late else timedelta()
    outcome = in_batch(alice, one.pk, Wish(deed, KEY, expires_at=until), "why", clock, late)
    refused = alone(
        lambda: changes.grant(
            other.company, other.user, KEY, enabled=deed == "grant", actor=alice, reason="why", expires_at=until
        )
    )
    rows = [
        Grant.objects.filter(user=member.user).values_list("enabled", "reason", "expires_at", "created_by").first()
        for member in (one, other)
    ]
    assert rows[0] == rows[1]
    assert _nameless(lines(known, company_id=one.company_id)) == _nameless(lines(known, company_id=other.company_id))
    assert outcome == (refused if refused else bool(lines(known, company_id=other.company_id)))


def _nameless(found):
    """Leave out whom a line is about, which is another person by design."""
    return [
        tuple({k: v for k, v in part.items() if k != "user"} if isinstance(part, dict) else part for part in line)
        for line in found
    ]


CHANNEL_WISHES = [("channel_on", 100), ("channel_on", 25), ("channel_on", 0), ("channel_off", 100)]


@pytest.mark.parametrize("held", [None, (True, 100), (True, 25), (False, 100)])
@pytest.mark.parametrize(("deed", "percentage"), CHANNEL_WISHES)
@pytest.mark.parametrize("channel", ["internal", "pilot", "general"])
@pytest.mark.parametrize("is_released", [False, True])
def test_answers_of_channels_are_as_one_alone(alice, held, deed, percentage, channel, is_released):
    keys = ("first_one", "first_two")
    for key in keys:
        changes.create_flag(key, actor=alice, name="Alike")
        if held is not None:
            changes.set_channel(key, channel, held[0], percentage=held[1], actor=alice)
        if is_released:
            alone(lambda key=key: releases.start(key, actor=alice))
    known = list(Change.objects.values_list("pk", flat=True))
    outcome = in_batch(alice, keys[0], Wish(deed, channel=channel, percentage=percentage), "why")
    on = deed == "channel_on"
    refused = alone(lambda: changes.set_channel(keys[1], channel, on, percentage=percentage, actor=alice, reason="why"))
    rows = [
        list(
            ChannelDefault.objects.filter(flag=key).order_by("channel").values_list("channel", "enabled", "percentage")
        )
        for key in keys
    ]
    assert rows[0] == rows[1]
    versions = Flag.objects.filter(key__in=keys).order_by("key").values_list("version", flat=True)
    assert versions[0] == versions[1]
    told = [[line[:1] + line[3:] for line in lines(known, flag=key)] for key in keys]
    assert told[0] == told[1]
    assert outcome == (refused if refused else bool(told[1]))


WISHES = [
    ("company", Wish("turn_on", KEY)),
    ("company", Wish("move", channel="pilot")),
    ("person", Wish("grant", KEY)),
    ("flag", Wish("channel_on", channel="pilot")),
]


@pytest.mark.parametrize(("of", "wish"), WISHES)
def test_who_may_not_change_one_may_not_begin_nor_go_on_with_many(alice, bob, of, wish):
    Flag.objects.filter(key=KEY).update(needs_grant=True)
    member = MembershipFactory()
    subject = {"company": member.company_id, "person": member.pk, "flag": KEY}[of]
    batch = bulk.begin(uuid.uuid4(), [subject], wish, actor=alice)
    known = Change.objects.count()
    with pytest.raises(NotAllowed):
        bulk.begin(uuid.uuid4(), [subject], wish, actor=bob)
    type(alice).objects.filter(pk=alice.pk).update(is_superuser=False)
    alice.refresh_from_db()
    for act in (bulk.step, bulk.stop):
        with pytest.raises(NotAllowed):
            act(batch.pk, actor=alice)
    assert Change.objects.count() == known
