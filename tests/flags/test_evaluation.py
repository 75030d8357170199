"""The twelve rules, one by one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from flags.evaluation import (
    ChannelAnswer,
    CompanyFacts,
    Decision,
    FlagRules,
    GrantFact,
    OverrideFact,
    Reason,
    Subject,
    bucket,
    evaluate,
    evaluate_for_company,
    required_by,
)
from tests.flags.facts import (
    ALICE,
    COMPANY,
    ENTERPRISE,
    NOBODY,
    OFF,
    ON,
    PARENT,
    PRO,
    STARTER,
    SWITCHED_OFF,
    SWITCHED_ON,
    company,
    dan,
    flag,
    to,
)
from tests.flags.states import AT

SOON, BEFORE = AT + timedelta(seconds=1), AT - timedelta(seconds=1)


def decide(flag: FlagRules | None, subject: Subject, *others: FlagRules, **kwargs) -> tuple[bool, str]:
    rules = {rule.key: rule for rule in (*others, *((flag,) if flag else ()))}
    decision = evaluate(rules, "api_access", subject, AT, **kwargs)
    return decision.enabled, decision.reason


CASES = [
    # Rule 1: no such flag. Nobody, not even a super admin, has what is not there.
    (None, dan(), False, "unknown_flag"),
    (None, ALICE, False, "unknown_flag"),
    # Rule 2: killed, for everybody and whatever else is said.
    (flag(killed=True, default_enabled=True), dan(), False, "killed"),
    (flag(killed=True), dan(override=ON), False, "killed"),
    (flag(killed=True), ALICE, False, "killed"),
    (flag(killed=True), NOBODY, False, "killed"),
    (flag(killed=True, needs_grant=True), dan(override=ON, grant=GrantFact(True)), False, "killed"),
    (flag(is_killswitch=True), dan(override=ON), False, "killed"),
    (flag(is_killswitch=True), ALICE, False, "killed"),
    (flag(is_killswitch=True, default_enabled=True), dan(), True, "default"),
    (flag(killed=True, archived=True, default_enabled=True), dan(), False, "killed"),
    # Rule 3: a super admin, with a company in view or none.
    (flag(), ALICE, True, "super_admin"),
    (flag(), Subject(None, "alice", is_super_admin=True), True, "super_admin"),
    (flag(needs_grant=True, requires=("missing",)), ALICE, True, "super_admin"),
    # Rule 4: no company, even where everybody has it.
    (flag(default_enabled=True), NOBODY, False, "no_company"),
    (flag(default_enabled=True), Subject(None, "dan"), False, "no_company"),
    # Rule 5: prerequisites come before the override, but not before the kill.
    (flag(requires=("parent",)), dan(override=ON), True, "override"),
    (flag(requires=("missing",)), dan(override=ON), False, "prerequisite"),
    # Rule 6: an override speaks until the instant it ends, and not while it is paused.
    (flag(), dan(override=ON), True, "override"),
    (flag(default_enabled=True), dan(override=OFF), False, "override"),
    (flag(**SWITCHED_OFF), dan(override=ON), True, "override"),
    (flag(), dan(override=OverrideFact(True, SOON)), True, "override"),
    (flag(), dan(override=OverrideFact(True, AT)), False, "default"),  # At its end it has ended.
    (flag(), dan(override=OverrideFact(True, BEFORE)), False, "default"),
    (flag(), dan(override=OverrideFact(True, paused=True)), False, "default"),
    (flag(default_enabled=True), dan(override=OverrideFact(False, SOON, paused=True)), True, "default"),
    # Rule 7: the plan. An explicit override outranks it (6), a company's own choice never does (8).
    (flag(minimum_plan=ENTERPRISE, default_enabled=True), dan(), False, "plan"),
    (flag(minimum_plan=PRO, default_enabled=True), dan(), True, "default"),
    (flag(minimum_plan=STARTER, default_enabled=True), dan(), True, "default"),
    (flag(minimum_plan=ENTERPRISE), dan(override=ON), True, "override"),
    (flag(minimum_plan=ENTERPRISE, is_self_service=True), dan(opt_in=True), False, "plan"),
    (flag(minimum_plan=ENTERPRISE, is_self_service=True), dan(opt_in=False), False, "plan"),
    # Rule 8: a choice counts only while the flag is self-service.
    (flag(is_self_service=True), dan(opt_in=True), True, "opt_in"),
    (flag(is_self_service=True, default_enabled=True), dan(opt_in=False), False, "opt_in"),
    (flag(is_self_service=True, **SWITCHED_OFF), dan(opt_in=True), True, "opt_in"),
    (flag(), dan(opt_in=True), False, "default"),
    (flag(is_self_service=True), dan(override=OFF, opt_in=True), False, "override"),
    # Rule 9: the channel answers for its own companies; what other channels say is nothing to us.
    (flag(**SWITCHED_ON), dan(), True, "channel"),
    (flag(default_enabled=True, **SWITCHED_OFF), dan(), False, "channel"),
    (flag(**SWITCHED_ON), dan(channel="general"), False, "default"),
    (flag(**to(22)), dan(), True, "rollout"),
    (flag(**to(21)), dan(), False, "rollout"),  # Bucket 21 is the 22nd of a hundred.
    (flag(**to(0)), dan(), False, "rollout"),
    (flag(**to(99)), dan(), True, "rollout"),
    (flag(default_enabled=True, **to(21)), dan(), False, "rollout"),  # The channel has answered; the default is silent.
    (flag(channels={"pilot": ChannelAnswer(False, 50)}), dan(), False, "channel"),
    # Rule 10: the default.
    (flag(default_enabled=True), dan(), True, "default"),
    (flag(), dan(), False, "default"),
    # An archived flag gives its last default and hears nothing else but a kill or a super admin.
    (
        flag(archived=True, default_enabled=True, minimum_plan=ENTERPRISE, requires=("missing",)),
        dan(),
        True,
        "archived",
    ),
    (flag(archived=True, needs_grant=True, **SWITCHED_ON), dan(override=ON, opt_in=True), False, "archived"),
    (flag(archived=True, default_enabled=True), dan(grant=GrantFact(False)), True, "archived"),
    # Rule 11: a denial takes away, whatever gave, until it ends.
    (flag(), dan(override=ON, grant=GrantFact(False)), False, "grant_denied"),
    (flag(default_enabled=True), dan(grant=GrantFact(False, SOON)), False, "grant_denied"),
    (flag(default_enabled=True), dan(grant=GrantFact(False, AT)), True, "default"),
    (flag(needs_grant=True, default_enabled=True), dan(grant=GrantFact(False)), False, "grant_denied"),
    # Rule 12: needed and not there. It takes a person to have one.
    (flag(needs_grant=True, default_enabled=True), dan(), False, "grant_missing"),
    (flag(needs_grant=True, default_enabled=True), Subject(company()), False, "grant_missing"),
    (flag(needs_grant=True, default_enabled=True), dan(grant=GrantFact(True)), True, "default"),
    (flag(needs_grant=True, default_enabled=True), dan(grant=GrantFact(True, AT)), False, "grant_missing"),
    (
        flag(needs_grant=True, default_enabled=True),
        Subject(company(grant=GrantFact(True)), "eve"),
        False,
        "grant_missing",
    ),
    # A grant never widens a company: off stays off, and the reason is the company's.
    (flag(needs_grant=True), dan(grant=GrantFact(True)), False, "default"),
    (flag(needs_grant=True), dan(override=OFF, grant=GrantFact(True)), False, "override"),
    (flag(), dan(grant=GrantFact(True)), False, "default"),
    # What only super admins may see evaluates like anything else.
    (flag(is_internal=True, default_enabled=True), dan(), True, "default"),
]


@pytest.mark.parametrize(("flag", "subject", "enabled", "reason"), CASES)
def test_the_first_rule_that_speaks_wins(flag, subject, enabled, reason):
    assert decide(flag, subject, PARENT) == (enabled, reason)


def test_the_default_of_the_caller_answers_only_for_a_flag_that_is_not_there():
    assert decide(None, dan(), default=True) == (True, "unknown_flag")
    assert decide(flag(), dan(), default=True) == (False, "default")
    assert evaluate_for_company({}, "api_access", COMPANY, AT, True) == Decision(
        "api_access", True, Reason.UNKNOWN_FLAG
    )


def test_a_grant_in_one_company_is_none_in_another():
    needs = flag(needs_grant=True, default_enabled=True)
    assert decide(needs, dan(grant=GrantFact(True))) == (True, "default")
    other = CompanyFacts("6fa459ea-ee8a-3ca4-894e-db77e160355e", "pilot", PRO)
    assert decide(needs, Subject(other, "dan")) == (False, "grant_missing")


# Prerequisites

CHAINS = [
    ("the parent is on", [PARENT], True, "default"),
    ("the parent is off", [FlagRules("parent")], False, "prerequisite"),
    ("the parent is killed", [replace(PARENT, killed=True)], False, "prerequisite"),
    ("the parent is missing", [], False, "prerequisite"),
    ("the parent needs a higher plan", [replace(PARENT, minimum_plan=ENTERPRISE)], False, "prerequisite"),
    # Grants are about people; a prerequisite is about the company.
    ("the parent needs a grant", [replace(PARENT, needs_grant=True)], True, "default"),
    ("the parent is archived, and was on", [replace(PARENT, archived=True)], True, "default"),
    ("the grandparent is on", [replace(PARENT, requires=("grand",)), FlagRules("grand", True)], True, "default"),
    ("the grandparent is off", [replace(PARENT, requires=("grand",)), FlagRules("grand")], False, "prerequisite"),
    ("the grandparent is missing", [replace(PARENT, requires=("grand",))], False, "prerequisite"),
    # An archived flag gives its last default, whatever it once required.
    (
        "the grandparent of an archived parent is off",
        [replace(PARENT, archived=True, requires=("grand",)), FlagRules("grand")],
        True,
        "default",
    ),
    ("a circle that is on", [replace(PARENT, requires=("api_access",))], True, "default"),
    ("a circle that is off", [replace(PARENT, default_enabled=False, requires=("api_access",))], False, "prerequisite"),
    ("the parent requires itself", [replace(PARENT, requires=("parent",))], True, "default"),
]


@pytest.mark.parametrize(("others", "enabled", "reason"), [pytest.param(*row[1:], id=row[0]) for row in CHAINS])
def test_a_flag_is_off_where_anything_it_hangs_on_is_off(others, enabled, reason):
    child = flag(default_enabled=True, requires=("parent",))
    assert decide(child, dan(), *others) == (enabled, reason)


def test_a_companys_own_answer_to_the_parent_counts():
    child = flag(default_enabled=True, requires=("parent",))
    facts = replace(COMPANY, overrides={"parent": OFF})
    assert decide(child, Subject(facts, "dan"), PARENT) == (False, "prerequisite")
    assert decide(child, Subject(replace(facts, overrides={"parent": replace(OFF, paused=True)})), PARENT)[0]


def test_requirements_are_followed_to_the_end_and_in_circles_only_once():
    chain = {f"f{n}": FlagRules(f"f{n}", requires=(f"f{n + 1}",)) for n in range(2000)}
    assert len(required_by(chain, "f0")) == 2000
    circle = {"a": FlagRules("a", requires=("b",)), "b": FlagRules("b", requires=("c", "a")), "c": FlagRules("c")}
    assert required_by(circle, "a") == {"a", "b", "c"}
    assert required_by(circle, "unknown") == set()


# Rollouts

# Worked out with md5sum and a calculator: printf %s "key:id" | md5sum, first eight digits, modulo 100.
BUCKETS = [
    ("api_access", "1b4e28ba-2fa1-11d2-883f-0016d3cca427", 21),
    ("billing_enabled", "1b4e28ba-2fa1-11d2-883f-0016d3cca427", 18),
    ("api_access", "00000000-0000-0000-0000-000000000001", 69),
    ("trip_management", "6fa459ea-ee8a-3ca4-894e-db77e160355e", 92),
]


@pytest.mark.parametrize(("key", "company_id", "place"), BUCKETS)
def test_a_companys_place_in_a_rollout_is_the_same_everywhere(key, company_id, place):
    assert bucket(key, company_id) == place


def test_a_rollout_reaches_about_as_many_companies_as_it_says():
    ids = [f"company-{n}" for n in range(10_000)]
    for percentage in (1, 10, 50, 90):
        reached = sum(bucket("api_access", company_id) < percentage for company_id in ids)
        # Four standard deviations of a fair draw, so that only an unfair one fails.
        assert abs(reached - percentage * 100) < 4 * (10_000 * percentage / 100 * (1 - percentage / 100)) ** 0.5
