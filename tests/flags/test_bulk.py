"""Changes for many companies: in steps, resumable, once, one batch in history, and undone as one."""

import uuid
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from flags import bulk, bulkoverrides, overrides, reverting
from flags.bulk import Wish
from flags.exceptions import ChangeRefused, Conflict, Invalid, Missing, NotAllowed
from flags.models import Change, Flag, Override
from tenants.models import Company
from tests.factories import CompanyFactory, OverrideFactory, UserFactory

pytestmark = pytest.mark.django_db
KEY = "api_access"


@pytest.fixture
def companies():
    """Five companies, in the order in which they are taken."""
    return [CompanyFactory(slug=f"c-{number}", name=f"Company {number}") for number in range(5)]


def begun(alice, companies, deed="turn_on", reason="", **wish):
    wish = Wish(deed, **{"flag": KEY, **wish})
    return bulk.begin(uuid.uuid4(), [each.pk for each in companies], wish, actor=alice, reason=reason)


def finished(batch, alice, most=2):
    while batch.finished_at is None:
        batch = bulk.step(batch.pk, actor=alice, most=most)
    return batch


def answers():
    return dict(Override.objects.filter(flag=KEY).values_list("company__slug", "enabled"))


def test_it_goes_in_steps_and_tells_what_came_of_it(alice, companies):
    overrides.set_override(companies[1], KEY, True, actor=alice, reason="contract")
    batch = begun(alice, companies, reason="contract")
    assert (batch.total, batch.done, answers()) == (5, 0, {"c-1": True})
    batch = bulk.step(batch.pk, actor=alice, most=2)
    assert (batch.done, batch.changed_count, batch.unchanged, batch.finished_at) == (2, 1, ["Company 1"], None)
    assert answers() == {"c-0": True, "c-1": True}
    batch = finished(batch, alice)
    assert (batch.done, batch.changed_count, batch.unchanged_count, batch.refused_count) == (5, 4, 1, 0)
    assert answers() == {f"c-{number}": True for number in range(5)}


def test_history_holds_one_batch_and_a_line_for_the_whole(alice, companies):
    batch = finished(begun(alice, companies, reason="contract"), alice)
    lines = Change.objects.filter(batch=batch.pk)
    assert lines.filter(verb="set_override", reason="contract", actor=alice.email).count() == 5
    whole = lines.get(verb="change_companies")
    assert whole.after == {"deed": "turn_on", "companies": 5}


def test_it_is_undone_as_one_and_what_was_changed_since_stays(alice, companies):
    overrides.set_override(companies[0], KEY, False, actor=alice, reason="before")
    batch = finished(begun(alice, companies), alice)
    overrides.set_override(companies[2], KEY, False, actor=alice, reason="since")
    whole = Change.objects.get(batch=batch.pk, verb="change_companies")
    reverting.revert(whole, actor=alice)
    assert answers() == {"c-0": False, "c-2": False}
    assert Override.objects.get(company=companies[0]).reason == "before"


def test_reset_takes_overrides_away(alice, companies):
    for company in companies[:2]:
        OverrideFactory(company=company, flag_id=KEY)
    batch = finished(begun(alice, companies, "reset"), alice)
    assert (batch.changed_count, batch.unchanged_count, answers()) == (2, 3, {})
    reverting.revert(Change.objects.get(batch=batch.pk, verb="change_companies"), actor=alice)
    assert set(answers()) == {"c-0", "c-1"}


def test_begun_twice_it_is_one_and_a_step_after_the_end_does_nothing(alice, companies):
    pk = uuid.uuid4()
    first = bulk.begin(pk, [companies[0].pk], Wish("turn_on", KEY), actor=alice)
    again = bulk.begin(pk, [each.pk for each in companies], Wish("turn_off", KEY), actor=alice)
    assert (again.pk, again.total, again.deed) == (first.pk, 1, "turn_on")
    finished(first, alice)
    lines = Change.objects.count()
    assert bulk.step(pk, actor=alice).done == 1
    assert Change.objects.count() == lines


def test_a_step_that_is_cut_off_leaves_nothing_and_is_taken_again(alice, companies, monkeypatch):
    batch = begun(alice, companies)
    move_many, moved = bulkoverrides.move_many, []

    def cut_off(*args):
        moved.append(move_many(*args))
        raise OperationalError("the server is gone")

    with monkeypatch.context() as patched:
        patched.setattr(bulkoverrides, "move_many", cut_off)
        with pytest.raises(OperationalError):
            bulk.step(batch.pk, actor=alice)
    assert moved == [5]
    assert answers() == {}
    assert not Change.objects.filter(batch=batch.pk).exists()
    assert finished(batch, alice).changed_count == 5


def test_companies_that_are_gone_or_refused_are_told_and_the_others_changed(alice, companies, clock):
    batch = begun(alice, companies, expires_at=timezone.now() + timedelta(hours=1))
    Company.objects.filter(pk=companies[0].pk).delete()
    batch = bulk.step(batch.pk, actor=alice, most=2)
    clock.shift(timedelta(hours=2))
    batch = finished(batch, alice)
    assert batch.changed_count == 1
    assert batch.refused[0][1] == "This company is gone."
    assert batch.refused[1:] == [[f"Company {number}", "The expiry lies in the past."] for number in (2, 3, 4)]
    assert set(answers()) == {"c-1"}


def test_what_takes_several_steps_is_taken_in_the_order_of_ids(alice, companies, monkeypatch):
    monkeypatch.setattr(bulk, "TOGETHER", 2)
    batch = begun(alice, companies)
    assert batch.subjects == sorted(str(company.pk) for company in companies)
    steps = 0
    while batch.finished_at is None:
        batch, steps = bulk.step(batch.pk, actor=alice), steps + 1
    assert (steps, batch.changed_count) == (3, 5)
    few = begun(alice, companies[:2], deed="turn_off")
    assert few.subjects == [str(company.pk) for company in companies[:2]]


def test_a_step_costs_the_same_queries_for_any_number_of_companies(alice, companies, django_assert_num_queries):
    many = companies + CompanyFactory.create_batch(60)
    few = begun(alice, companies[:2])
    with django_assert_num_queries(10):
        bulk.step(few.pk, actor=alice)
    batch = begun(alice, many, deed="turn_off")
    with django_assert_num_queries(10):
        bulk.step(batch.pk, actor=alice)


def test_it_can_be_stopped(alice, companies):
    batch = bulk.step(begun(alice, companies).pk, actor=alice, most=2)
    batch = bulk.stop(batch.pk, actor=alice)
    assert batch.left == 3
    assert bulk.step(batch.pk, actor=alice).done == 2
    assert Change.objects.get(verb="change_companies").after["companies"] == 2


def test_a_flag_that_is_deleted_meanwhile_is_told_company_by_company(alice, companies):
    batch = begun(alice, companies)
    Flag.objects.filter(key=KEY).delete()
    batch = finished(batch, alice)
    assert (batch.refused_count, batch.refused[0]) == (5, ["Company 0", "There is no flag 'api_access'."])
    assert not Change.objects.filter(verb="change_companies").exists()


def test_what_cannot_begin_is_refused(alice, companies, bob):
    ids = [each.pk for each in companies]
    cases = [
        (ids, Wish("turn_round", KEY), {}, Invalid),
        (ids, Wish("turn_on", "nothing"), {}, Missing),
        ([], Wish("turn_on", KEY), {}, Invalid),
        (ids, Wish("turn_on", KEY, expires_at=timezone.now() - timedelta(days=1)), {}, Invalid),
        (ids, Wish("turn_on", KEY), {"expected": 4}, Conflict),
        (ids, Wish("move", channel="nowhere"), {}, Missing),
        (ids, Wish("grant", KEY), {}, Invalid),
        ([KEY], Wish("channel_on", channel="pilot", percentage=101), {}, Invalid),
    ]
    for chosen, wish, more, refusal in cases:
        with pytest.raises(refusal):
            bulk.begin(uuid.uuid4(), chosen, wish, actor=alice, **more)
    with pytest.raises(NotAllowed):
        bulk.begin(uuid.uuid4(), ids, Wish("turn_on", KEY), actor=bob)
    with pytest.raises(Missing):
        bulk.undo(uuid.uuid4(), uuid.uuid4(), actor=alice)


def test_only_who_began_it_goes_on(alice, companies):
    batch = begun(alice, companies)
    other = UserFactory(super_admin=True)
    for act in (bulk.step, bulk.stop):
        with pytest.raises(ChangeRefused, match="Somebody else"):
            act(batch.pk, actor=other)
    with pytest.raises(Missing):
        bulk.step(uuid.uuid4(), actor=alice)
