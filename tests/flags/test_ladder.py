"""Every answer can be explained, as a ladder of the twelve rules."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.evaluation import (
    FlagRules,
    GrantFact,
    Outcome,
    Reason,
    Subject,
    evaluate,
    explain,
)
from tests.flags import states
from tests.flags.facts import ALICE, ENTERPRISE, NOBODY, OFF, ON, PARENT, SWITCHED_OFF, SWITCHED_ON, dan, flag
from tests.flags.states import AT
from tests.sampling import examples


@settings(max_examples=examples(300))
@given(states.rulesets, states.subjects, states.keys | st.just("unknown"))
def test_the_ladder_has_twelve_steps_and_leads_to_the_decision(rules, subject, key):
    decision, steps = explain(rules, key, subject, AT)
    assert decision == evaluate(rules, key, subject, AT)
    assert [step.number for step in steps] == list(range(1, 13))
    (decided,) = [step for step in steps if step.outcome is Outcome.DECIDED]
    assert (decided.would, decided.reason) == (decision.enabled, decision.reason)
    overruled = [step for step in steps if step.outcome is Outcome.OVERRULED]
    # Only a grant overrules, and only what was on.
    assert len(overruled) == (decided.number > 10)
    assert all(step.would for step in overruled)
    for step in steps:
        if step.outcome is Outcome.PASSED:
            assert step.would is None
            assert step.number < decided.number or step.number > 10
        if step.outcome is Outcome.NOT_REACHED:
            assert step.number > (overruled or [decided])[0].number


def ladder(flag: FlagRules | None, subject: Subject) -> str:
    """One letter for each step: Passed, Decided, Overruled, or - where it was not reached."""
    rules = {"parent": PARENT} | ({"api_access": flag} if flag else {})
    letters = {Outcome.NOT_REACHED: "-"}
    return "".join(
        letters.get(step.outcome, step.outcome[0].upper()) for step in explain(rules, "api_access", subject, AT)[1]
    )


@pytest.mark.parametrize(
    ("flag", "subject", "expected"),
    [
        (None, dan(), "D-----------"),
        (flag(killed=True), dan(), "PD----------"),
        (flag(), ALICE, "PPD---------"),
        (flag(default_enabled=True), NOBODY, "PPPD--------"),
        (flag(requires=("missing",)), dan(), "PPPPD-------"),
        (flag(), dan(override=OFF), "PPPPPD------"),
        (flag(), dan(override=ON), "PPPPPD----PP"),
        (flag(minimum_plan=ENTERPRISE), dan(), "PPPPPPD-----"),
        (flag(is_self_service=True), dan(opt_in=True), "PPPPPPPD--PP"),
        (flag(**SWITCHED_ON), dan(), "PPPPPPPPD-PP"),
        (flag(), dan(), "PPPPPPPPPD--"),
        (flag(default_enabled=True), dan(), "PPPPPPPPPDPP"),
        (flag(default_enabled=True), dan(grant=GrantFact(False)), "PPPPPPPPPOD-"),
        (flag(default_enabled=True, needs_grant=True), dan(), "PPPPPPPPPOPD"),
        (flag(needs_grant=True), dan(override=ON), "PPPPPO----PD"),
    ],
)
def test_each_step_says_how_its_rule_fared(flag, subject, expected):
    assert ladder(flag, subject) == expected


def test_a_step_not_reached_still_says_what_its_rule_would_have_said():
    _, steps = explain({"api_access": flag(default_enabled=True, **SWITCHED_OFF)}, "api_access", dan(override=ON), AT)
    said = {step.rule: (step.outcome, step.would, step.reason) for step in steps}
    assert said["channel"] == (Outcome.NOT_REACHED, False, Reason.CHANNEL)
    assert said["default"] == (Outcome.NOT_REACHED, True, Reason.DEFAULT)
    assert said["plan"] == (Outcome.NOT_REACHED, None, None)


def test_for_nobody_only_the_default_has_something_to_say_after_the_company_is_missed():
    _, steps = explain({"api_access": flag(default_enabled=True, needs_grant=True)}, "api_access", NOBODY, AT)
    assert [step.rule for step in steps if step.would is not None] == ["no_company", "default"]
