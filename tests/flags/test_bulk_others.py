"""Moves, grants and flags at once: each as if it were changed alone, and taken back line by line."""

import uuid
from datetime import timedelta

import pytest
from django.db.models import Sum
from django.utils import timezone

from flags import bulk, changes, companies, releases, reverting
from flags.batchmodels import Batch
from flags.bulk import Wish
from flags.exceptions import ChangeRefused
from flags.features import features_for
from flags.models import Change, ChannelDefault, Flag, Grant, Override, Tally, Version
from tenants.models import Company, ReleaseChannel, Role
from tests.factories import ChannelDefaultFactory, CompanyFactory, MembershipFactory, ReleaseChannelFactory

pytestmark = pytest.mark.django_db
KEY = "api_access"
SINCE = "Somebody changed this again since. Look at what it is now, and decide again."


@pytest.fixture
def some():
    """Four companies of the general channel, one of them in pilot already."""
    made = [CompanyFactory(slug=f"c-{number}", name=f"Company {number}", channel_id="general") for number in range(4)]
    Company.objects.filter(pk=made[3].pk).update(channel="pilot")
    return made


def done(alice, subjects, wish, reason="", most=3):
    batch = bulk.begin(uuid.uuid4(), subjects, wish, actor=alice, reason=reason)
    return finished(batch, alice, most)


def finished(batch, alice, most=3):
    while batch.finished_at is None:
        batch = bulk.step(batch.pk, actor=alice, most=most)
    return batch


def undone(alice, batch):
    return finished(bulk.undo(batch.pk, uuid.uuid4(), actor=alice, reason="wrong ones"), alice)


def channels():
    return dict(Company.objects.filter(slug__startswith="c-").values_list("slug", "channel"))


def test_a_move_of_many_costs_the_same_queries_and_is_seen_of_each(alice, some, django_assert_num_queries):
    ChannelDefaultFactory(flag_id=KEY, channel="pilot")
    many = [*some[1:], *CompanyFactory.create_batch(40, channel_id="general")]
    known = dict(Version.objects.values_list("scope", "n"))
    for companies_moved in (some[:1], many):
        ids = [each.pk for each in companies_moved]
        batch = bulk.begin(uuid.uuid4(), ids, Wish("move", channel="pilot"), actor=alice)
        with django_assert_num_queries(8):
            batch = bulk.step(batch.pk, actor=alice)
        assert (batch.done, batch.refused) == (len(ids), [])
    assert all(features_for(None, each)[KEY] for each in (*some, *many))
    now = dict(Version.objects.values_list("scope", "n"))
    assert {each.slug for each in (*some, *many) if now[each.pk] == known[each.pk]} == {"c-3"}
    counted = Tally.objects.filter(what="companies", name="pilot").aggregate(n=Sum("n"))["n"]
    assert counted == Company.objects.filter(channel="pilot", is_active=True).count()


def test_a_move_to_a_channel_that_is_gone_is_told_company_by_company(alice, some):
    ring = ReleaseChannelFactory()
    batch = bulk.begin(uuid.uuid4(), [each.pk for each in some], Wish("move", channel=ring.pk), actor=alice)
    ReleaseChannel.objects.filter(pk=ring.pk).delete()
    batch = finished(batch, alice)
    assert batch.refused == [[f"Company {n}", f"There is no release channel '{ring.pk}'."] for n in range(4)]
    assert set(channels().values()) == {"general", "pilot"}


def test_a_move_needs_a_reason_where_the_house_says_so(alice, some, settings):
    batch = bulk.begin(uuid.uuid4(), [some[0].pk], Wish("move", channel="pilot"), actor=alice)
    settings.FLAGS_REQUIRE_REASON = True
    batch = finished(batch, alice)
    assert batch.refused == [["Company 0", "A reason is required. Say why."]]
    assert channels()["c-0"] == "general"


def test_companies_are_moved_and_taken_back_as_one(alice, some):
    batch = done(alice, [each.pk for each in some], Wish("move", channel="pilot"), reason="first ring")
    assert (batch.changed_count, batch.unchanged, batch.refused) == (3, ["Company 3"], [])
    assert set(channels().values()) == {"pilot"}
    lines = Change.objects.filter(batch=batch.pk)
    assert lines.filter(verb="move_company", reason="first ring").count() == 3
    whole = lines.get(verb="change_companies")
    assert whole.after == {"deed": "move", "companies": 3, "channel": "pilot"}
    companies.edit_company(some[1], channel="internal", actor=alice)
    companies.edit_company(some[2], name="Renamed", actor=alice)
    back = undone(alice, batch)
    assert channels() == {"c-0": "general", "c-1": "internal", "c-2": "general", "c-3": "pilot"}
    assert (back.changed_count, back.refused_count) == (2, 1)
    assert back.refused == [
        ["Company 1", "Somebody changed this again since. Look at what it is now, and decide again."]
    ]
    assert Change.objects.filter(batch=back.pk, verb="undo_batch").get().after["lines"] == 2


def test_what_was_taken_back_can_be_taken_back(alice, some):
    batch = done(alice, [each.pk for each in some], Wish("move", channel="pilot"))
    back = undone(alice, batch)
    assert channels()["c-0"] == "general"
    assert undone(alice, back).changed_count == 3
    assert set(channels().values()) == {"pilot"}


def test_a_batch_in_steps_is_not_taken_back_in_one(alice, some):
    batch = done(alice, [some[0].pk], Wish("move", channel="pilot"))
    whole = Change.objects.get(batch=batch.pk, verb="change_companies")
    assert reverting.can_revert(whole)
    with pytest.raises(ChangeRefused, match="in steps"):
        reverting.revert(whole, actor=alice)
    of_overrides = done(alice, [some[0].pk], Wish("turn_on", KEY))
    with pytest.raises(ChangeRefused, match="at once"):
        bulk.undo(of_overrides.pk, uuid.uuid4(), actor=alice)


@pytest.fixture
def people(some):
    """Of each of the first two companies, one of each role."""
    Flag.objects.filter(key=KEY).update(needs_grant=True)
    return {
        (company.slug, role): MembershipFactory(company=company, role=role)
        for company in some[:2]
        for role in Role.values
    }


@pytest.mark.parametrize(("role", "many"), [("", 6), ("admin", 2), ("coordinator", 2), ("member", 2)])
def test_people_of_a_role_are_granted_and_taken_back(alice, some, people, role, many):
    held = people[("c-0", role or "admin")]
    changes.grant(held.company, held.user, KEY, actor=alice)
    until = timezone.now() + timedelta(days=3)
    chosen = bulk.members([each.pk for each in some], role)
    assert len(chosen) == many
    batch = done(alice, chosen, Wish("grant", KEY, expires_at=until), reason="trial")
    assert (batch.changed_count, batch.refused_count) == (many, 0)
    rows = Grant.objects.filter(flag=KEY, enabled=True, reason="trial", expires_at=until)
    assert {row.user_id for row in rows} == {one.user_id for key, one in people.items() if role in ("", key[1])}
    assert Change.objects.filter(batch=batch.pk, verb="grant").count() == many
    again = done(alice, chosen, Wish("grant", KEY, expires_at=until), reason="trial")
    assert (again.changed_count, again.unchanged_count) == (0, many)
    assert not Change.objects.filter(batch=again.pk).exists()
    undone(alice, batch)
    left = Grant.objects.get(flag=KEY)
    assert (left.user_id, left.reason, left.expires_at) == (held.user_id, "wrong ones", None)


def test_who_left_meanwhile_is_told(alice, some, people):
    batch = bulk.begin(uuid.uuid4(), bulk.members([some[0].pk]), Wish("deny", KEY), actor=alice)
    gone = people[("c-0", "admin")]
    companies.remove_member(gone.company, gone.user, actor=alice)
    batch = finished(batch, alice)
    assert (batch.changed_count, batch.refused_count) == (2, 1)
    assert batch.refused[0][1] == "They do not belong to the company any more."
    assert Grant.objects.filter(flag=KEY, enabled=False).count() == 2


def test_flags_are_overridden_for_one_company_and_taken_back(alice, acme):
    keys = ["api_access", "inspector", "no_such_flag"]
    changes.set_override(acme, "inspector", False, actor=alice, reason="before")
    batch = done(alice, keys, Wish("turn_on", company=acme), reason="deal")
    assert (batch.of, batch.changed_count, batch.refused) == ("flags", 2, [["no_such_flag", "This flag is gone."]])
    assert set(Override.objects.filter(company=acme, enabled=True).values_list("flag", flat=True)) == set(keys[:2])
    whole = Change.objects.get(batch=batch.pk, verb="change_flags")
    assert (whole.company_name, whole.after) == (acme.name, {"deed": "turn_on", "flags": 2})
    reverting.revert(whole, actor=alice)
    left = Override.objects.get(company=acme)
    assert (left.flag_id, left.enabled, left.reason) == ("inspector", False, "before")


def test_a_channels_answer_is_set_for_flags_and_gates_hold(alice, acme):
    releases.start("api_access", actor=alice)
    gated, beyond = Flag.objects.get(key="api_access"), "general"
    before = (
        ChannelDefault.objects.filter(flag="inspector", channel=beyond).values_list("enabled", "percentage").first()
    )
    with pytest.raises(ChangeRefused) as alone:
        changes.set_channel("api_access", beyond, True, actor=alice)
    batch = done(alice, ["api_access", "inspector"], Wish("channel_on", channel=beyond, percentage=25))
    assert batch.refused == [[gated.name, alone.value.detail]]
    assert (batch.changed_count, batch.name) == (1, "General: on for 25 %")
    row = ChannelDefault.objects.get(flag="inspector", channel=beyond)
    assert (row.enabled, row.percentage) == (True, 25)
    undone(alice, batch)
    assert _answer("inspector", beyond) == before


def _answer(key, channel):
    rows = ChannelDefault.objects.filter(flag=key, channel=channel)
    return rows.values_list("enabled", "percentage").first()


def test_a_promotion_in_a_batch_is_not_taken_back_by_it(alice):
    line = Change(verb="promote", flag=KEY)
    with pytest.raises(ChangeRefused, match="rolling the release back"):
        reverting.revert(line, actor=alice)


def test_names_say_what_a_batch_does(alice, acme, some):
    cases = [
        (Wish("move", channel="pilot"), [acme.pk], "Move to Pilot"),
        (Wish("turn_on", KEY), [acme.pk], "API Access: turn on by override"),
        (Wish("reset", company=acme), [KEY], f"{acme.name}: reset: take overrides away"),
        (Wish("channel_off", channel="pilot"), [KEY], "Pilot: off"),
    ]
    for wish, subjects, name in cases:
        batch = bulk.begin(uuid.uuid4(), subjects, wish, actor=alice)
        assert (batch.name, Batch.objects.get(pk=batch.pk).total) == (name, 1)
