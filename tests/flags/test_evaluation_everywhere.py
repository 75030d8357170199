"""The rules in every combination of facts, and as properties of any state."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from flags.evaluation import (
    ChannelAnswer,
    Decision,
    FlagRules,
    GrantFact,
    OverrideFact,
    Reason,
    Subject,
    evaluate,
    evaluate_for_company,
)
from tests.flags import states
from tests.flags.facts import ENTERPRISE, OFF, ON, PRO, company, flag
from tests.flags.states import AT

BEFORE = AT - timedelta(seconds=1)

# Every combination of facts, against a second telling of the rules


def told_again(f: dict) -> tuple[bool, str]:
    """The rules as a page of prose would have them. Shares nothing with the code it checks but the words."""
    if f["killed"] == "pulled" or (f["killed"] == "switch" and not f["default"]):
        return False, "killed"
    if f["asker"] == "super admin":
        return True, "super_admin"
    if f["asker"] == "no company":
        return False, "no_company"
    if f["archived"]:
        return f["default"], "archived"
    override = {"on": True, "off": False}.get(f["override"])
    channel = {"on": (True, "channel"), "off": (False, "channel"), "in": (True, "rollout"), "out": (False, "rollout")}
    if f["requires"] == "off":
        return False, "prerequisite"
    if override is not None:
        enabled, reason = override, "override"
    elif f["plan"] == "too low":
        enabled, reason = False, "plan"
    elif f["self_service"] and f["choice"] is not None:
        enabled, reason = f["choice"], "opt_in"
    else:
        enabled, reason = channel.get(f["channel"], (f["default"], "default"))
    if enabled and f["grant"] == "denied":
        return False, "grant_denied"
    if enabled and f["needs_grant"] and f["grant"] != "given":
        return False, "grant_missing"
    return enabled, reason


FACTS = {
    "killed": ["no", "pulled", "switch"],
    "default": [False, True],
    "archived": [False, True],
    "asker": ["no company", "super admin", "person"],
    "requires": ["nothing", "on", "off"],
    "override": ["none", "on", "off", "ended", "paused"],
    "plan": ["none", "enough", "too low"],
    "self_service": [False, True],
    "choice": [None, True, False],
    "channel": ["silent", "on", "off", "in", "out"],
    "needs_grant": [False, True],
    "grant": ["none", "given", "denied", "ended"],
}
OVERRIDES = {"on": ON, "off": OFF, "ended": OverrideFact(True, AT), "paused": OverrideFact(True, paused=True)}
ANSWERS = {
    "on": ChannelAnswer(True),
    "off": ChannelAnswer(False),
    "in": ChannelAnswer(True, 22),
    "out": ChannelAnswer(True, 21),
}
GRANTS = {"given": GrantFact(True), "denied": GrantFact(False), "ended": GrantFact(False, AT)}
PLANS = {"none": None, "enough": PRO, "too low": ENTERPRISE}


def in_terms_of_the_code(f: dict) -> tuple[dict[str, FlagRules], Subject]:
    rules = {
        "api_access": flag(
            killed=f["killed"] == "pulled",
            is_killswitch=f["killed"] == "switch",
            default_enabled=f["default"],
            archived=f["archived"],
            needs_grant=f["needs_grant"],
            minimum_plan=PLANS[f["plan"]],
            is_self_service=f["self_service"],
            requires=() if f["requires"] == "nothing" else ("parent",),
            channels={"pilot": ANSWERS[f["channel"]]} if f["channel"] in ANSWERS else {},
        ),
        "parent": FlagRules("parent", default_enabled=f["requires"] == "on"),
    }
    facts = company(OVERRIDES.get(f["override"]), f["choice"], GRANTS.get(f["grant"]))
    return rules, Subject(None if f["asker"] == "no company" else facts, "dan", f["asker"] == "super admin")


def test_every_combination_of_facts_is_decided_as_the_page_says():
    wrong = []
    for values in product(*FACTS.values()):
        facts = dict(zip(FACTS, values, strict=True))
        rules, subject = in_terms_of_the_code(facts)
        decision = evaluate(rules, "api_access", subject, AT)
        if (decision.enabled, decision.reason) != told_again(facts):
            wrong.append((facts, decision, told_again(facts)))
    assert wrong == []


def test_every_reason_but_unavailable_is_given_by_some_combination():
    reasons = {told_again(dict(zip(FACTS, values, strict=True)))[1] for values in product(*FACTS.values())}
    assert reasons == {str(reason) for reason in Reason} - {"unavailable", "unknown_flag"}


# Properties of any state


@given(states.rulesets, states.subjects, states.keys)
def test_an_answer_is_never_none_and_its_reason_is_a_known_word(rules, subject, key):
    decision = evaluate(rules, key, subject, AT)
    assert decision.enabled is True or decision.enabled is False
    assert isinstance(decision.reason, Reason)
    assert bool(decision) is decision.enabled


@given(states.rulesets, states.subjects, states.keys)
def test_what_is_killed_is_off_for_everybody(rules, subject, key):
    rules[key] = replace(rules[key], killed=True)
    assert evaluate(rules, key, subject, AT) == Decision(key, False, Reason.KILLED)


@given(states.rulesets, states.subjects, states.keys)
def test_killing_and_reviving_changes_nothing(rules, subject, key):
    before = {name: evaluate(rules, name, subject, AT) for name in rules}
    killed = {**rules, key: replace(rules[key], killed=True)}
    assert not evaluate(killed, key, subject, AT)
    revived = {**killed, key: replace(killed[key], killed=rules[key].killed)}
    assert {name: evaluate(revived, name, subject, AT) for name in rules} == before


@given(states.rulesets, states.companies, states.users, states.keys, states.overrides)
def test_an_override_that_has_ended_or_is_paused_never_speaks(rules, company, user, key, override):
    silent = [replace(override, paused=True), replace(override, expires_at=AT), replace(override, expires_at=BEFORE)]
    without = replace(company, overrides={k: v for k, v in company.overrides.items() if k != key})
    expected = {name: evaluate(rules, name, Subject(without, user), AT) for name in rules}
    for row in silent:
        asked = replace(without, overrides={**without.overrides, key: row})
        assert {name: evaluate(rules, name, Subject(asked, user), AT) for name in rules} == expected


@given(states.rulesets, states.companies, states.keys, st.sampled_from(states.CHANNELS), st.integers(0, 100), st.data())
def test_growing_a_rollout_never_turns_a_company_off(rules, company, key, channel, fewer, data):
    more = data.draw(st.integers(fewer, 100))

    def at(percentage: int) -> bool:
        channels = {**rules[key].channels, channel: ChannelAnswer(True, percentage)}
        return evaluate_for_company({**rules, key: replace(rules[key], channels=channels)}, key, company, AT).enabled

    assert at(more) or not at(fewer)


@given(states.rulesets, states.companies, states.keys, st.sampled_from(states.USERS), states.grants)
def test_a_grant_never_widens_a_company(rules, company, key, user, grant):
    granted = replace(company, grants={**company.grants, user: {**company.grants.get(user, {}), key: grant}})
    of_company = evaluate_for_company(rules, key, company, AT)
    of_person = evaluate(rules, key, Subject(granted, user), AT)
    assert of_company.enabled or of_person == of_company


@given(states.rulesets, states.companies, states.users, states.keys, st.booleans())
def test_an_explicit_override_outranks_the_plan_and_a_choice_never_does(rules, company, user, key, enabled):
    rules[key] = replace(
        rules[key], minimum_plan=company.plan + 1, is_self_service=True, requires=(), killed=False, archived=False
    )
    rules[key] = replace(rules[key], is_killswitch=False)
    bare = replace(company, overrides={}, opt_ins={key: True})
    assert evaluate_for_company(rules, key, bare, AT) == Decision(key, False, Reason.PLAN)
    explicit = replace(bare, overrides={key: OverrideFact(enabled)})
    assert evaluate_for_company(rules, key, explicit, AT) == Decision(key, enabled, Reason.OVERRIDE)


@given(states.rulesets, states.companies, states.users, states.keys)
def test_a_flag_is_never_on_where_one_it_requires_is_off(rules, company, user, key):
    if rules[key].archived or not evaluate(rules, key, Subject(company, user), AT):
        return
    for required in rules[key].requires:
        assert evaluate_for_company(rules, required, company, AT)


@given(states.rulesets, states.subjects, states.keys)
def test_who_may_see_a_flag_does_not_change_its_answer(rules, subject, key):
    shown = {**rules, key: replace(rules[key], is_internal=False)}
    hidden = {**rules, key: replace(rules[key], is_internal=True)}
    assert evaluate(shown, key, subject, AT) == evaluate(hidden, key, subject, AT)
