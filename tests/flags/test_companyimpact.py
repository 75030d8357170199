"""What a change to one company would do, held against what it then does."""

from datetime import timedelta

import pytest
from django.utils import timezone

from flags import changes, companies
from flags.companyfeatures import basis_of
from flags.companyimpact import impact_of_move, impact_of_override
from flags.evaluation import OverrideFact
from flags.features import features_for
from flags.models import Change, Override

pytestmark = pytest.mark.django_db


def keys(turns) -> list[str]:
    return [turn.key for turn in turns]


def what_company_has(company) -> dict[str, bool]:
    return features_for(None, company).listing(internal=True)


def test_a_move_to_another_channel_says_what_that_channel_has(alice, acme):
    changes.set_channel("trip_management", "pilot", True, actor=alice)
    changes.set_channel("driver_management", "pilot", False, actor=alice)
    impact = impact_of_move(acme, channel="pilot")
    assert keys(impact.goes_on) == ["trip_management"]
    assert keys(impact.goes_off) == ["driver_management"]
    assert not impact.alters_nothing


def test_a_move_to_a_lesser_plan_takes_what_that_plan_lacks(alice, acme):
    changes.edit_flag("driver_management", actor=alice, minimum_plan="pro")
    impact = impact_of_move(acme, plan="starter")
    [turn] = impact.goes_off
    assert (turn.key, turn.name, turn.after.reason) == ("driver_management", "Driver Management", "plan")
    assert impact.goes_on == []


def test_an_override_stays_through_a_move(alice, acme):
    changes.set_channel("trip_management", "pilot", True, actor=alice)
    changes.set_override(acme, "trip_management", False, actor=alice)
    assert impact_of_move(acme, channel="pilot").alters_nothing


def test_a_companys_own_choice_counts_on_both_sides_of_a_move(alice, acme):
    changes.set_opt_in(acme, "ai_enabled", True, actor=alice)
    assert keys(impact_of_move(acme, plan="starter").goes_off) == ["ai_enabled"]


def test_deactivation_takes_everything_and_activation_brings_it_back(acme):
    has = sorted(key for key, enabled in what_company_has(acme).items() if enabled)
    assert has
    assert sorted(keys(impact_of_move(acme, is_active=False).goes_off)) == has
    acme.is_active = False
    acme.save()
    assert sorted(keys(impact_of_move(acme, is_active=True).goes_on)) == has
    assert impact_of_move(acme, channel="pilot").alters_nothing


@pytest.mark.parametrize(("channel", "plan"), [("pilot", "starter"), ("internal", "enterprise"), ("general", "pro")])
def test_what_was_foretold_is_what_happens(alice, acme, channel, plan):
    changes.set_channel("trip_management", "pilot", True, actor=alice)
    changes.set_channel("broker_management", "internal", False, actor=alice)
    changes.set_channel("white_label", "pilot", True, percentage=50, actor=alice)
    changes.edit_flag("vehicle_management", actor=alice, minimum_plan="pro")
    changes.edit_flag("advanced_reports", actor=alice, requires=["trip_management"])
    changes.set_override(acme, "advanced_reports", True, actor=alice)
    before = what_company_has(acme)
    impact = impact_of_move(acme, channel=channel, plan=plan)
    companies.edit_company(acme, actor=alice, channel=channel, plan=plan)
    after = what_company_has(acme)
    assert sorted(keys(impact.goes_on)) == sorted(key for key in after if after[key] and not before[key])
    assert sorted(keys(impact.goes_off)) == sorted(key for key in after if before[key] and not after[key])
    assert impact.stays_on == sum(1 for key in after if before[key] and after[key])


def test_an_override_turns_its_flag_and_those_that_require_it(alice, acme):
    changes.edit_flag("driver_payments", actor=alice, requires=["driver_management"])
    changes.set_default("driver_payments", True, actor=alice)
    impact = impact_of_override(acme, "driver_management", OverrideFact(False), basis_of(acme))
    assert keys(impact.goes_off) == ["driver_management", "driver_payments"]
    assert impact.of("driver_management").after.reason == "override"
    assert impact.of("driver_payments").after.reason == "prerequisite"


def test_an_override_that_cannot_help_says_why(alice, acme):
    changes.edit_flag("api_access", actor=alice, requires=["billing_enabled"])
    impact = impact_of_override(acme, "api_access", OverrideFact(True), basis_of(acme))
    assert impact.alters_nothing
    assert impact.of("api_access").after.reason == "prerequisite"


def test_taking_an_override_away_shows_what_is_inherited(alice, acme):
    changes.set_override(acme, "api_access", True, actor=alice)
    turn = impact_of_override(acme, "api_access", None, basis_of(acme)).of("api_access")
    assert (turn.before.reason, turn.after.reason, turn.changes) == ("override", "default", True)


def test_an_override_that_is_paused_or_over_says_nothing(acme):
    past = timezone.now() - timedelta(seconds=1)
    for silent in (OverrideFact(True, paused=True), OverrideFact(True, expires_at=past)):
        assert impact_of_override(acme, "api_access", silent, basis_of(acme)).alters_nothing


def test_an_inactive_company_gains_nothing_by_an_override(acme):
    acme.is_active = False
    acme.save()
    assert impact_of_override(acme, "api_access", OverrideFact(True), basis_of(acme)).alters_nothing


def test_only_what_an_override_can_touch_is_asked_about(acme):
    impact = impact_of_override(acme, "api_access", OverrideFact(True), basis_of(acme))
    assert [turn.key for turn in impact.turns] == ["api_access"]
    with pytest.raises(KeyError):
        impact.of("billing_enabled")


def test_asking_writes_nothing(acme):
    impact_of_move(acme, channel="pilot", plan="starter", is_active=False)
    impact_of_override(acme, "api_access", OverrideFact(True), basis_of(acme))
    assert not Override.objects.exists()
    assert not Change.objects.exists()


def test_queries_do_not_grow_with_flags(acme, alice, django_assert_max_num_queries):
    for number in range(30):
        changes.create_flag(f"flag_{number}", actor=alice)
    impact_of_move(acme, channel="pilot", plan="starter")
    with django_assert_max_num_queries(6):
        impact_of_move(acme, channel="pilot", plan="starter")
