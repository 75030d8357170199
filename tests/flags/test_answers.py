"""What is compiled once for many answers exactly like what is evaluated each time."""

import sys
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from flags import answers as answers_module
from flags.answers import PEOPLE_KEPT, Base, Overlay, compile_company, compile_rules, with_kills
from flags.evaluation import (
    ChannelAnswer,
    CompanyFacts,
    FlagRules,
    GrantFact,
    OverrideFact,
    Subject,
    bucket,
    evaluate,
    evaluate_for_company,
)
from tests.flags import states
from tests.flags.states import AT
from tests.sampling import examples

COMPANY = CompanyFacts("1b4e28ba-2fa1-11d2-883f-0016d3cca427", "pilot", 2)


def moments(company: CompanyFacts) -> list:
    """Every moment at which anything of this company ends, with the instants around it."""
    rows = [*company.overrides.values(), *(grant for person in company.grants.values() for grant in person.values())]
    ends = {row.expires_at for row in rows if row.expires_at is not None}
    tick = timedelta(microseconds=1)
    return sorted({AT, *ends, *(end - tick for end in ends), *(end + tick for end in ends)})


def evaluated(rules, company, at) -> dict[str, bool]:
    return {key: evaluate_for_company(rules, key, company, at).enabled for key in rules}


@settings(max_examples=examples(500))
@given(states.rulesets, states.companies)
def test_a_companys_answers_are_what_evaluate_says_of_every_key(rules, company):
    answers = compile_company(compile_rules(1, rules.values()), 1, company, AT)
    assert dict(answers.company) == evaluated(rules, company, AT)


@settings(max_examples=examples(300))
@given(states.rulesets, states.companies, states.users)
def test_a_persons_answers_are_what_evaluate_says_of_every_key(rules, company, user):
    answers = compile_company(compile_rules(1, rules.values()), 1, company, AT)
    expected = {key: evaluate(rules, key, Subject(company, user), AT).enabled for key in rules}
    assert dict(answers.for_user(user, AT)) == expected
    assert answers.for_user(user, AT).get("gone") is None


@given(states.rulesets, st.lists(states.companies, min_size=2, max_size=5))
def test_companies_that_share_rules_do_not_share_answers(rules, companies):
    compiled = compile_rules(1, rules.values())
    answers = [compile_company(compiled, 1, company, AT) for company in companies]
    for company, own in zip(companies, answers, strict=True):
        assert dict(own.company) == evaluated(rules, company, AT)


@settings(max_examples=examples(300))
@given(states.rulesets, states.companies, states.users)
def test_answers_are_never_wrong_before_the_moment_they_name(rules, company, user):
    answers = compile_company(compile_rules(1, rules.values()), 1, company, AT)
    for at in moments(company):
        if at >= AT and answers.holds(at):
            assert dict(answers.company) == evaluated(rules, company, at)
            expected = {key: evaluate(rules, key, Subject(company, user), at).enabled for key in rules}
            assert dict(answers.for_user(user, at)) == expected


@given(states.rulesets, states.companies)
def test_the_moment_they_name_is_the_first_at_which_a_row_that_counts_ends(rules, company):
    answers = compile_company(compile_rules(1, rules.values()), 1, company, AT)
    counting = [row.expires_at for row in company.overrides.values() if row.speaks(AT)]
    counting += [row.expires_at for person in company.grants.values() for row in person.values() if row.speaks(AT)]
    assert answers.until == min((end for end in counting if end is not None), default=None)
    assert answers.holds(AT)


def test_answers_change_at_the_instant_an_override_ends():
    end = AT + timedelta(minutes=5)
    company = replace(COMPANY, overrides={"api_access": OverrideFact(True, end)})
    rules = compile_rules(1, [FlagRules("api_access")])
    answers = compile_company(rules, 1, company, AT)
    assert answers.company["api_access"]
    assert answers.until == end
    assert answers.holds(end - timedelta(microseconds=1))
    assert not answers.holds(end)
    after = compile_company(rules, 1, company, end)
    assert not after.company["api_access"]
    assert after.until is None


def test_a_grant_that_ends_ends_for_its_person():
    end = AT + timedelta(minutes=5)
    company = replace(COMPANY, grants={"dan": {"api_access": GrantFact(True, end)}})
    rules = compile_rules(1, [FlagRules("api_access", default_enabled=True, needs_grant=True)])
    answers = compile_company(rules, 1, company, AT)
    assert answers.for_user("dan", AT)["api_access"]
    assert not answers.for_user("eve", AT)["api_access"]
    assert answers.until == end
    assert not compile_company(rules, 1, company, end).for_user("dan", end)["api_access"]


def premium() -> CompanyFacts:
    granted = {f"person_{n}": {"api_access": GrantFact(enabled=n % 2 == 0)} for n in range(3 * PEOPLE_KEPT)}
    return replace(COMPANY, grants=granted)


def test_who_asks_twice_gets_the_same_object_and_nothing_is_put_together_again(monkeypatch):
    """What others keep, they keep by that object."""
    made = []
    monkeypatch.setattr(answers_module, "Overlay", lambda *of: made.append(of) or Overlay(*of))
    rules = compile_rules(1, [FlagRules("api_access", default_enabled=True, needs_grant=True)])
    answers = compile_company(rules, 1, premium(), AT)
    for user, expected in ((None, False), ("stranger", False), ("person_0", True), ("person_1", False)):
        first = answers.for_user(user, AT)
        before = len(made)
        assert answers.for_user(user, AT) is first
        assert len(made) == before
        assert first["api_access"] is expected
    assert answers.for_user(None, AT) is answers.for_user("stranger", AT)


def test_only_so_many_people_are_kept_and_all_are_answered_right():
    rules = compile_rules(1, [FlagRules("api_access", default_enabled=True, needs_grant=True)])
    answers = compile_company(rules, 1, premium(), AT)
    for n in range(3 * PEOPLE_KEPT):
        assert answers.for_user(f"person_{n}", AT)["api_access"] is (n % 2 == 0)
        assert len(answers._made) <= PEOPLE_KEPT + 1


@given(states.rulesets)
def test_super_admins_have_all_that_is_not_killed_and_nobody_has_anything(rules):
    compiled = compile_rules(1, rules.values())
    assert compiled.super_admin == {key: not rules[key].is_killed for key in rules}
    assert compiled.nobody == dict.fromkeys(rules, False)


@settings(max_examples=examples(200))
@given(states.rulesets, states.companies, st.sets(states.keys))
def test_what_was_killed_since_is_off_in_answers_from_the_past(rules, company, keys):
    past = compile_rules(1, rules.values())
    # Later rules may differ in anything; only their kills reach back.
    later = {key: replace(rule, default_enabled=not rule.default_enabled, killed=False) for key, rule in rules.items()}
    later |= {key: replace(later[key], killed=True) for key in keys}
    killed = {key for key, rule in later.items() if rule.is_killed}
    answers = compile_company(with_kills(past, compile_rules(2, later.values())), 1, company, AT)
    as_if = {key: replace(rule, killed=rule.killed or key in killed) for key, rule in rules.items()}
    assert dict(answers.company) == evaluated(as_if, company, AT)
    assert not any(answers.company[key] for key in killed)


def test_where_nothing_was_killed_the_past_is_left_as_it_was():
    past = compile_rules(1, [FlagRules("api_access"), FlagRules("gone", killed=True)])
    assert with_kills(past, past) is past
    assert with_kills(past, compile_rules(2, [FlagRules("api_access", default_enabled=True)])) is past


def test_a_company_costs_its_differences_and_not_a_copy_of_every_flag():
    rules = compile_rules(1, [FlagRules(f"feature_{n}", default_enabled=n % 2 == 0) for n in range(1000)])
    company = replace(COMPANY, overrides={f"feature_{n}": OverrideFact(True) for n in range(3)})
    answers = compile_company(rules, 1, company, AT)
    assert answers.company.shared is compile_company(rules, 1, replace(company, id="other"), AT).company.shared
    assert len(answers.company.own) == 3
    assert sys.getsizeof(answers.company.own) < 500 < sys.getsizeof(dict(answers.company))


def test_a_companys_place_in_a_rollout_is_worked_out_when_somebody_asks():
    channels = {"pilot": ChannelAnswer(True, 50)}
    rules = compile_rules(1, [FlagRules("api_access", channels=channels), FlagRules("billing_enabled")])
    answers = compile_company(rules, 1, COMPANY, AT)
    assert not answers.company.own
    assert answers.company["api_access"] is (bucket("api_access", COMPANY.id) < 50)
    assert set(answers.company.own) == {"api_access"}
    elsewhere = compile_company(rules, 1, replace(COMPANY, channel="general"), AT)
    assert not any(dict(elsewhere.company).values())
    assert not elsewhere.company.own


def test_an_overlay_is_a_mapping_like_any_other():
    base = Base({"a": True, "b": False, "c": True}, {}, frozenset(), frozenset())
    overlay = Overlay(base, {"b": True, "c": False}, "x")
    assert dict(overlay) == {"a": True, "b": True, "c": False}
    assert (len(overlay), list(overlay), "b" in overlay, "d" in overlay) == (3, ["a", "b", "c"], True, False)
    assert overlay.get("d") is None
    assert overlay.get("c") is False
