"""A company's features as its page shows them: the facts of each, what comes of them, and what is notable."""

from datetime import timedelta

import pytest
from django.utils import timezone

from flags import changes, companyfeatures
from flags.models import Flag
from tests.factories import OverrideFactory

pytestmark = pytest.mark.django_db


def row_of(company, key):
    [row] = companyfeatures.feature_rows(company, internal=True, flags=Flag.objects.filter(key=key))
    return row


def states(company, **kwargs):
    return companyfeatures.feature_states(company, internal=True, **kwargs)


def test_a_row_holds_what_the_answer_rests_on(alice, acme):
    changes.set_channel("ai_enabled", "general", False, actor=alice)
    changes.set_override(acme, "ai_enabled", True, actor=alice, reason="contract 881")
    row = row_of(acme, "ai_enabled")
    assert (row.flag.default_enabled, row.channel.enabled, row.plan.slug, row.has_plan) == (False, False, "pro", True)
    assert (row.override.reason, row.override.created_by) == ("contract 881", alice)
    assert (row.decision.enabled, row.decision.reason) == (True, "override")
    assert (row.inherited.enabled, row.inherited.reason) == (False, "channel")
    assert row.differs
    assert not row.is_redundant


def test_a_plan_that_ranks_too_low_is_seen(globex):
    row = row_of(globex, "ai_enabled")
    assert (row.plan.slug, row.has_plan, row.decision.reason) == ("pro", False, "plan")
    assert row_of(globex, "api_access").plan is None
    assert row_of(globex, "api_access").has_plan


def test_the_flag_that_is_missing_is_named_also_when_it_lies_deeper(alice, acme):
    changes.edit_flag("billing_self_service", actor=alice, requires=["billing_enabled"])
    changes.edit_flag("billing_enforcement", actor=alice, requires=["billing_self_service"])
    assert row_of(acme, "billing_enforcement").unmet == "Self-Service Billing"
    changes.set_override(acme, "billing_self_service", True, actor=alice)
    assert row_of(acme, "billing_self_service").unmet == "Billing System"
    changes.set_default("billing_enabled", True, actor=alice)
    assert row_of(acme, "billing_enforcement").unmet == ""


def test_an_override_that_repeats_what_is_inherited_is_redundant(alice, acme):
    changes.set_override(acme, "driver_management", True, actor=alice)
    assert row_of(acme, "driver_management").is_redundant
    assert states(acme)["redundant"] == {"driver_management"}
    changes.set_override(acme, "driver_management", True, actor=alice, paused=True)
    assert not row_of(acme, "driver_management").is_redundant
    assert states(acme)["redundant"] == set()


def test_an_override_that_is_over_is_told_from_one_that_is_paused(alice, acme):
    over = OverrideFactory(
        company=acme, flag_id="api_access", flag=None, expires_at=timezone.now() - timedelta(minutes=1)
    )
    row = row_of(acme, over.flag_id)
    assert (row.override_speaks, row.override_is_over, row.decision.reason) == (False, True, "default")
    changes.set_override(acme, "trip_management", True, actor=alice, paused=True)
    row = row_of(acme, "trip_management")
    assert (row.override_speaks, row.override_is_over, row.decision.reason) == (False, False, "default")


def test_what_is_notable_is_told_by_keys(alice, acme):
    soon = timezone.now() + timedelta(days=13)
    changes.set_override(acme, "api_access", True, actor=alice, expires_at=soon)
    changes.set_override(acme, "trip_management", True, actor=alice, expires_at=soon + timedelta(days=2))
    changes.set_override(acme, "driver_management", False, actor=alice)
    found = states(acme)
    assert found["overridden"] == {"api_access", "trip_management", "driver_management"}
    assert found["differs"] == {"api_access", "trip_management", "driver_management"}
    assert found["expiring"] == {"api_access"}
    assert found["redundant"] == set()
    assert "api_access" in found["on"]
    assert "driver_management" in found["off"]


def test_the_states_agree_with_the_rows(alice, acme):
    changes.edit_flag("billing_self_service", actor=alice, requires=["billing_enabled"])
    changes.set_override(acme, "billing_self_service", True, actor=alice)
    changes.set_override(acme, "api_access", False, actor=alice)
    changes.set_channel("white_label", "general", True, percentage=50, actor=alice)
    rows = companyfeatures.feature_rows(acme, internal=True)
    assert states(acme) == {
        "on": {row.flag.key for row in rows if row.decision},
        "off": {row.flag.key for row in rows if not row.decision},
        "differs": {row.flag.key for row in rows if row.differs},
        "overridden": {row.flag.key for row in rows if row.override},
        "expiring": set(),
        "redundant": {row.flag.key for row in rows if row.is_redundant},
    }


def test_an_inactive_company_has_nothing_on(alice, acme):
    changes.set_override(acme, "api_access", True, actor=alice)
    acme.is_active = False
    acme.save()
    assert states(acme)["on"] == set()
    assert states(acme)["overridden"] == {"api_access"}
    assert states(acme)["redundant"] == set()
    assert row_of(acme, "api_access").decision.reason == "no_company"


def test_internal_flags_are_in_neither_unless_asked_for(acme):
    assert "inspector" not in {row.flag.key for row in companyfeatures.feature_rows(acme, internal=False)}
    assert "inspector" not in companyfeatures.feature_states(acme, internal=False)["off"]
    assert "inspector" in states(acme)["off"]


def test_queries_do_not_grow_with_flags(alice, acme, django_assert_max_num_queries):
    changes.edit_flag("billing_self_service", actor=alice, requires=["billing_enabled"])
    for number in range(20):
        changes.create_flag(f"flag_{number}", actor=alice, minimum_plan="enterprise", requires=["billing_enabled"])
        changes.set_override(acme, f"flag_{number}", True, actor=alice)
    companyfeatures.feature_rows(acme, internal=True)
    with django_assert_max_num_queries(5):
        companyfeatures.feature_rows(acme, internal=True)
    with django_assert_max_num_queries(1):
        states(acme)
