"""Taking a feature from companies as one batch, and giving it back as one."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from flags import changes, reverting, rollbacks
from flags.evaluation import OverrideFact
from flags.exceptions import ChangeRefused, Invalid, Missing, NotAllowed
from flags.features import features_for
from flags.impact import Proposed, companies_with, impact
from flags.models import Change, Override
from tenants.models import ApiToken, Company
from tests.factories import ChannelDefaultFactory, CompanyFactory, FlagFactory, OptInFactory, OverrideFactory

pytestmark = pytest.mark.django_db

KEY = "trip_management"
STATE = ("company__slug", "enabled", "reason", "expires_at", "paused")


def overrides() -> set[tuple]:
    return set(Override.objects.filter(flag=KEY).values_list(*STATE))


def having() -> set[str]:
    return {company.slug for company in Company.objects.filter(is_active=True) if features_for(None, company)[KEY]}


@pytest.fixture
def on_for_everybody(alice, acme, globex, default_tenant):
    changes.set_default(KEY, True, actor=alice)


def test_the_chosen_companies_lose_it_and_nobody_else(on_for_everybody, alice, acme, globex):
    outcome = rollbacks.roll_back_companies(KEY, [acme], actor=alice, reason="tickets")
    assert (outcome.changed, outcome.unchanged) == (1, 0)
    assert having() == {"globex", "default-tenant"}
    override = Override.objects.get()
    assert (override.reason, override.created_by, override.version) == ("tickets", alice, 1)


def test_all_that_have_it_lose_it_and_who_has_it_not_gets_no_override(alice, acme, globex, default_tenant):
    ChannelDefaultFactory(flag_id=KEY, channel="pilot")
    OverrideFactory(company=default_tenant, flag_id=KEY, enabled=True, reason="ours")
    outcome = rollbacks.roll_back_companies(KEY, None, actor=alice, reason="tickets")
    assert outcome.changed == 2
    assert having() == set()
    assert overrides() == {
        ("globex", False, "tickets", None, False),
        ("default-tenant", False, "tickets", None, False),
    }


def test_it_takes_a_reason_and_a_super_admin(on_for_everybody, alice, bob, acme):
    with pytest.raises(Invalid, match="reason"):
        rollbacks.roll_back_companies(KEY, [acme], actor=alice, reason=" ")
    with pytest.raises(NotAllowed):
        rollbacks.roll_back_companies(KEY, [acme], actor=bob, reason="mine")
    with pytest.raises(NotAllowed):
        rollbacks.undo_batch(uuid.uuid4(), actor=ApiToken(name="reader", kind="server", scopes=["flags:read"]))
    with pytest.raises(Missing):
        rollbacks.roll_back_companies("no_such_flag", None, actor=alice, reason="why")
    assert not Override.objects.exists()


def test_history_has_a_line_for_each_company_and_one_for_all_under_one_batch(on_for_everybody, alice, acme, globex):
    outcome = rollbacks.roll_back_companies(KEY, None, actor=alice, reason="tickets")
    lines = Change.objects.filter(batch=outcome.batch)
    assert set(lines.values_list("verb", "company_slug", "company_name", "reason", "actor")) == {
        ("set_override", "acme", "Acme", "tickets", "alice@example.com"),
        ("set_override", "globex", "Globex", "tickets", "alice@example.com"),
        ("set_override", "default-tenant", "Default Tenant", "tickets", "alice@example.com"),
        ("roll_back_companies", "", "", "tickets", "alice@example.com"),
    }
    assert lines.get(company_slug="acme").company_id == acme.pk
    assert lines.first().verb == "roll_back_companies"
    assert lines.first().after == {"companies": 3}


def test_a_line_of_a_batch_reads_like_that_of_a_single_override(on_for_everybody, alice, acme, globex, default_tenant):
    later = timezone.now() + timedelta(days=3)
    changes.set_override(globex, KEY, True, actor=alice, reason="contract", expires_at=later)
    changes.set_override(default_tenant, KEY, True, actor=alice, reason="tickets", paused=True)
    outcome = rollbacks.roll_back_companies(KEY, None, actor=alice, reason="tickets")
    of_batch = {line.company_slug: (line.before, line.after) for line in Change.objects.filter(batch=outcome.batch)}
    rollbacks.undo_batch(outcome.batch, actor=alice)
    for company in (acme, globex, default_tenant):
        changes.set_override(company, KEY, False, actor=alice, reason="tickets")
        single = Change.objects.filter(company_id=company.pk).first()
        assert of_batch[company.slug] == (single.before, single.after)


def test_who_is_overridden_off_already_is_left_alone(on_for_everybody, alice, acme, globex):
    rollbacks.roll_back_companies(KEY, [acme], actor=alice, reason="tickets")
    again = rollbacks.roll_back_companies(KEY, [acme], actor=alice, reason="tickets")
    assert (again.changed, again.unchanged) == (0, 1)
    assert not Change.objects.filter(batch=again.batch).exists()
    assert Override.objects.get().version == 1


def test_undoing_brings_back_exactly_the_state_before_and_can_be_undone(
    on_for_everybody, alice, acme, globex, default_tenant
):
    later = timezone.now() + timedelta(days=3)
    OverrideFactory(company=globex, flag_id=KEY, enabled=True, reason="contract 881", expires_at=later)
    OverrideFactory(company=default_tenant, flag_id=KEY, enabled=True, reason="ours", paused=True)
    stood, had = overrides(), having()
    outcome = rollbacks.roll_back_companies(KEY, None, actor=alice, reason="tickets")
    assert having() == set()
    undone = rollbacks.undo_batch(outcome.batch, actor=alice, reason="fixed")
    assert (undone.changed, undone.unchanged) == (3, 0)
    assert (overrides(), having()) == (stood, had)
    assert Change.objects.first().verb == "undo_batch"
    rollbacks.undo_batch(undone.batch, actor=alice)
    assert having() == set()


def test_history_offers_to_take_the_whole_batch_back_at_its_line_for_all(on_for_everybody, alice, acme, globex):
    outcome = rollbacks.roll_back_companies(KEY, None, actor=alice, reason="tickets")
    line = Change.objects.filter(batch=outcome.batch).first()
    assert reverting.can_revert(line)
    reverting.revert(line, actor=alice, reason="fixed")
    assert having() == {"acme", "globex", "default-tenant"}


def test_what_was_changed_since_stays_and_is_said(on_for_everybody, alice, acme, globex, default_tenant):
    outcome = rollbacks.roll_back_companies(KEY, None, actor=alice, reason="tickets")
    changes.set_override(acme, KEY, True, actor=alice, reason="acme is fine")
    changes.remove_override(globex, KEY, actor=alice)
    undone = rollbacks.undo_batch(outcome.batch, actor=alice)
    assert (undone.changed, undone.unchanged) == (1, 2)
    assert overrides() == {("acme", True, "acme is fine", None, False)}
    again = rollbacks.undo_batch(outcome.batch, actor=alice)
    assert (again.changed, again.unchanged) == (0, 3)


def test_a_batch_of_wishes_for_several_flags_is_undone_as_one(alice, acme, globex):
    wishes = [changes.Wish(acme, KEY, True), changes.Wish(acme, "api_access", True), changes.Wish(globex, KEY, False)]
    outcome = changes.set_overrides(wishes, actor=alice, reason="set-up")
    assert rollbacks.undo_batch(outcome.batch, actor=alice).changed == 3
    assert not Override.objects.exists()


def test_an_override_that_a_batch_set_twice_is_as_before_the_first(alice, acme, globex):
    changes.set_override(acme, KEY, True, actor=alice, reason="contract")
    stood = overrides()
    wishes = [changes.Wish(acme, KEY, False, "a"), changes.Wish(acme, KEY, True, "b"), changes.Wish(globex, KEY, True)]
    outcome = changes.set_overrides(wishes, actor=alice)
    undone = rollbacks.undo_batch(outcome.batch, actor=alice)
    assert (undone.changed, undone.unchanged) == (2, 0)
    assert overrides() == stood


def test_what_a_batch_itself_put_back_is_left_alone(alice, acme):
    changes.set_override(acme, KEY, True, actor=alice, reason="b")
    wishes = [changes.Wish(acme, KEY, False, "a"), changes.Wish(acme, KEY, True, "b")]
    outcome = changes.set_overrides(wishes, actor=alice)
    lines = Change.objects.count()
    undone = rollbacks.undo_batch(outcome.batch, actor=alice)
    assert (undone.changed, undone.unchanged) == (0, 1)
    assert Change.objects.count() == lines


def test_a_batch_that_is_none_is_refused(alice):
    with pytest.raises(Missing):
        rollbacks.undo_batch(uuid.uuid4(), actor=alice)
    batch = uuid.uuid4()
    changes.set_default(KEY, True, actor=alice, batch=batch)
    with pytest.raises(ChangeRefused, match="no overrides"):
        rollbacks.undo_batch(batch, actor=alice)


def test_the_foretold_impact_is_what_happens(on_for_everybody, alice, acme, globex):
    changes.edit_flag("driver_payments", actor=alice, requires=[KEY])
    changes.set_default("driver_payments", True, actor=alice)
    changes.set_override(acme, KEY, False, actor=alice, reason="never had it")
    foretold = impact(Proposed(KEY, for_all=OverrideFact(False)))
    assert (foretold.effect.goes_off, foretold.effect.stays_off, foretold.effect.overrides_stay_off) == (2, 1, 1)
    assert [(other.key, other.goes_off) for other in foretold.dependents] == [("driver_payments", 2)]
    assert rollbacks.roll_back_companies(KEY, None, actor=alice, reason="tickets").changed == foretold.effect.goes_off


def test_who_has_a_flag_is_what_each_company_is_answered(alice):
    """Every rule that may set companies apart, beside companies that differ in nothing."""
    required = FlagFactory(key="the_required", default_enabled=True)
    flag = FlagFactory(
        key="the_flag", minimum_plan="pro", is_self_service=True, default_enabled=True, requires=[required]
    )
    ChannelDefaultFactory(flag=flag, channel="pilot", percentage=40)
    ChannelDefaultFactory(flag=flag, channel="internal", enabled=False)
    made = [
        CompanyFactory(channel=channel, plan=plan)
        for channel in ("internal", "pilot", "pilot", "pilot", "general")
        for plan in ("starter", "pro", "enterprise")
    ]
    OverrideFactory(company=made[0], flag=flag)
    OverrideFactory(company=made[13], flag=required, enabled=False)
    OverrideFactory(company=made[14], flag=flag, enabled=False, expires_at=timezone.now() - timedelta(hours=1))
    OptInFactory(company=made[1], flag=flag)
    CompanyFactory(plan="pro", is_active=False)
    assert set(companies_with("the_flag")) == {one.pk for one in made if features_for(None, one)["the_flag"]}
    assert companies_with("no_such_flag") == []


def test_the_statements_do_not_grow_with_the_companies(on_for_everybody, alice, django_assert_max_num_queries):
    CompanyFactory.create_batch(60)
    with django_assert_max_num_queries(16):
        outcome = rollbacks.roll_back_companies(KEY, None, actor=alice, reason="tickets")
    assert outcome.changed == 63
    with django_assert_max_num_queries(16):
        rollbacks.undo_batch(outcome.batch, actor=alice)
    assert not Override.objects.exists()


def test_nor_with_what_their_overrides_said_before(on_for_everybody, alice, django_assert_max_num_queries):
    later = timezone.now().replace(microsecond=0) + timedelta(days=3)
    for n, company in enumerate(CompanyFactory.create_batch(40)):
        expires_at = later + timedelta(hours=n // 2) if n % 2 else None
        OverrideFactory(
            company=company, flag_id=KEY, enabled=n % 3 > 0, reason=f"«{n}» it's", expires_at=expires_at, paused=n > 30
        )
    stood = overrides()
    versions = dict(Override.objects.filter(flag=KEY).values_list("company__slug", "version"))
    with django_assert_max_num_queries(16):
        outcome = rollbacks.roll_back_companies(KEY, Company.objects.all(), actor=alice, reason="tickets")
    assert outcome.changed == 43
    assert {row[1:] for row in overrides()} == {(False, "tickets", None, False)}
    told = {line.company_slug: line.before for line in Change.objects.filter(batch=outcome.batch, verb="set_override")}
    for slug, enabled, reason, expires_at, paused in stood:
        before = {"enabled": enabled, "reason": reason}
        before |= {"expires_at": expires_at.isoformat()} if expires_at else {}
        assert told.pop(slug) == before | ({"paused": True} if paused else {})
    assert list(told.values()) == [{}, {}, {}]
    with django_assert_max_num_queries(16):
        rollbacks.undo_batch(outcome.batch, actor=alice)
    assert overrides() == stood
    now = dict(Override.objects.filter(flag=KEY).values_list("company__slug", "version"))
    assert now == {slug: version + 2 for slug, version in versions.items()}


def test_answers_given_in_the_same_transaction_follow_at_once(on_for_everybody, alice, acme):
    features = features_for(None, acme)
    assert features[KEY]
    rollbacks.roll_back_companies(KEY, [acme], actor=alice, reason="tickets")
    assert not features_for(None, acme)[KEY]
