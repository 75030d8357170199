"""One statement reads all, and nothing that is not whole gets past it."""

import copy
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from flags.evaluation import ChannelAnswer, CompanyFacts, FlagRules, GrantFact, OverrideFact
from flags.loading import Malformed, load, parse_company, parse_rules
from flags.models import Flag, Grant
from tests.factories import (
    ChannelDefaultFactory,
    FlagFactory,
    GrantFactory,
    MembershipFactory,
    OptInFactory,
    OverrideFactory,
    PlanFactory,
    RequirementFactory,
    UserFactory,
)

COMPANY = UUID("1b4e28ba-2fa1-11d2-883f-0016d3cca427")
USER = "6fa459ea-ee8a-3ca4-894e-db77e160355e"
END = "2026-03-01 12:00:00.000000"

RULES = [
    [
        ["api_access", True, False, False, False, True, 2, "pro", False, False, "core"],
        ["billing_enabled", 0, 1, 0, 0, 0, None, None, 1, 1, "billing"],
    ],
    [["api_access", "pilot", True, 50], ["api_access", "general", 0, 100]],
    [["api_access", "billing_enabled"]],
]
FACTS = [
    "pilot",
    2,
    [["api_access", True, END, False], ["billing_enabled", 0, None, 1]],
    [["billing_enabled", True]],
    [[USER, "api_access", False, None]],
]
# What each column holds; of the first, key, default, kill switch, killed, archived, needs a grant, rank and slug of the
# minimum plan, self-service, internal and category.
COLUMNS = {
    ("rules", 0): "text flag flag flag flag flag number any flag flag text",
    ("rules", 1): "text text flag percentage",
    ("rules", 2): "text text",
    ("company", 2): "text flag moment flag",
    ("company", 3): "text flag",
    ("company", 4): "person text flag moment",
}
BAD = {
    "any": [],
    "text": [None, "", 7, True, [], {}],
    "flag": [None, "", "true", 2, -1, 0.5, 1.0, [], {}],
    "number": [None, "", "2", -1, 2.5, True, [], {}],
    "percentage": [None, "", "50", -1, 101, 0.5, True, [], {}],
    "moment": ["", "tomorrow", 7, True, [], {}, "2026-02-30 12:00:00"],
    "person": [None, "", "somebody", 7, True, [], {}, "6fa459ea"],
}


def damaged(name: str, table: int, damage) -> str:
    what = copy.deepcopy(RULES if name == "rules" else FACTS)
    damage(what, what[table])
    return json.dumps(what)


def parse(name: str, text: str | None):
    return parse_rules(text) if name == "rules" else parse_company(COMPANY, text)


def test_rules_are_read_as_they_stand():
    assert parse_rules(json.dumps(RULES)) == [
        FlagRules(
            "api_access",
            default_enabled=True,
            needs_grant=True,
            minimum_plan=2,
            category="core",
            requires=("billing_enabled",),
            channels={"pilot": ChannelAnswer(True, 50), "general": ChannelAnswer(False, 100)},
        ),
        FlagRules("billing_enabled", is_killswitch=True, is_self_service=True, is_internal=True, category="billing"),
    ]


def test_a_company_is_read_as_it_stands():
    end = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert parse_company(COMPANY, json.dumps(FACTS)) == CompanyFacts(
        id=str(COMPANY),
        channel="pilot",
        plan=2,
        overrides={"api_access": OverrideFact(True, end), "billing_enabled": OverrideFact(False, None, True)},
        opt_ins={"billing_enabled": True},
        grants={USER: {"api_access": GrantFact(False)}},
    )


def test_no_such_company_is_none_and_not_malformed():
    assert parse_company(COMPANY, None) is None


def test_a_moment_that_names_its_zone_is_that_moment():
    facts = copy.deepcopy(FACTS)
    facts[2][0][2] = "2026-03-01T14:00:00+02:00"
    assert parse_company(COMPANY, json.dumps(facts)) == parse_company(COMPANY, json.dumps(FACTS))


CELLS = [
    pytest.param(name, table, column, value, id=f"{name}-{table}-{column}-{value!r}")
    for (name, table), kinds in COLUMNS.items()
    for column, kind in enumerate(kinds.split())
    for value in BAD[kind]
]


@pytest.mark.parametrize(("name", "table", "column", "value"), CELLS)
def test_one_bad_value_anywhere_is_malformed(name, table, column, value):
    def put(_, rows):
        rows[0][column] = value

    with pytest.raises(Malformed):
        parse(name, damaged(name, table, put))


@pytest.mark.parametrize(("place", "kind"), [(0, "text"), (1, "number")])
def test_a_company_without_a_channel_or_plan_is_malformed(place, kind):
    for value in BAD[kind]:
        facts = copy.deepcopy(FACTS)
        facts[place] = value
        with pytest.raises(Malformed):
            parse_company(COMPANY, json.dumps(facts))


DAMAGE = {
    "twice": lambda what, rows: rows.append(list(rows[0])),
    "short": lambda what, rows: rows[0].pop(),
    "long": lambda what, rows: rows[0].append(True),
    "not a row": lambda what, rows: rows.append(None),
    "not a table": lambda what, rows: what.__setitem__(what.index(rows), 7),
    "gone": lambda what, rows: what.remove(rows),
}


@pytest.mark.parametrize(("name", "table"), COLUMNS)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_table_that_is_not_whole_is_malformed(name, table, damage):
    with pytest.raises(Malformed):
        parse(name, damaged(name, table, DAMAGE[damage]))


@pytest.mark.parametrize("text", [None, "", "null", "7", "{}", "[]", "[[], []", "[" * 100_000, '"text"', "[1, 2, 3]"])
def test_text_that_is_no_snapshot_is_malformed(text):
    with pytest.raises(Malformed):
        parse_rules(text)
    if text is not None:
        with pytest.raises(Malformed):
            parse_company(COMPANY, text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=30,
)


@given(JSON)
def test_whatever_comes_back_is_whole_or_malformed_and_nothing_else(value):
    for name in ("rules", "company"):
        with suppress(Malformed):
            parse(name, json.dumps(value))


# The database


@pytest.fixture
def rich(acme, dan):
    """Acme with one row of every kind, and a neighbour with as many."""
    end = datetime(2030, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    parent = FlagFactory(key="parent", default_enabled=True, is_killswitch=True, is_internal=True, category="core")
    child = FlagFactory(key="child", needs_grant=True, is_self_service=True, minimum_plan="pro", requires=[parent])
    FlagFactory(key="dead", killed_at=end, archived_at=end)
    ChannelDefaultFactory(flag=child, channel="general", enabled=True, percentage=25)
    ChannelDefaultFactory(flag=child, channel="pilot", enabled=False)
    OverrideFactory(company=acme, flag=child, enabled=False, expires_at=end, paused=True)
    OptInFactory(company=acme, flag=child, enabled=True)
    GrantFactory(company=acme, user=dan, flag=child, enabled=True, expires_at=end)
    for make in (OverrideFactory, OptInFactory, GrantFactory):
        make(flag=child)
    return end


@pytest.mark.django_db
def test_everything_comes_in_one_statement_as_the_rows_say(rich, acme, dan):
    with CaptureQueriesContext(
        connection,
    ) as queries:
        loaded = load(acme.pk, rules=True)
    assert len(queries) == 1
    rules = {rule.key: rule for rule in parse_rules(loaded.rules)}
    assert rules["child"] == FlagRules(
        "child",
        needs_grant=True,
        minimum_plan=acme.plan.rank,
        is_self_service=True,
        requires=("parent",),
        channels={"general": ChannelAnswer(True, 25), "pilot": ChannelAnswer(False)},
    )
    assert rules["parent"] == FlagRules(
        "parent", default_enabled=True, is_killswitch=True, is_internal=True, category="core"
    )
    assert rules["dead"].killed
    assert rules["dead"].archived
    assert set(rules) == set(Flag.objects.values_list("key", flat=True))
    assert parse_company(acme.pk, loaded.company) == CompanyFacts(
        str(acme.pk),
        "general",
        acme.plan.rank,
        {"child": OverrideFact(False, rich, True)},
        {"child": True},
        {str(dan.pk): {"child": GrantFact(True, rich)}},
    )


@pytest.mark.django_db
def test_what_is_not_asked_for_is_not_read(rich, acme):
    assert load(acme.pk, rules=False).rules is None
    assert load(None, rules=True).company is None


@pytest.mark.django_db
def test_an_inactive_company_is_like_none(rich, acme):
    acme.is_active = False
    acme.save()
    assert load(acme.pk, rules=False).company is None
    assert load(uuid4(), rules=False).company is None


@pytest.mark.django_db
def test_a_grant_without_a_membership_has_no_effect(rich, acme, dan):
    stranger = UserFactory()
    Grant.objects.create(company=acme, user=stranger, flag_id="child", enabled=True)
    assert set(parse_company(acme.pk, load(acme.pk, rules=False).company).grants) == {str(dan.pk)}
    MembershipFactory(company=acme, user=stranger)
    assert str(stranger.pk) in parse_company(acme.pk, load(acme.pk, rules=False).company).grants


@pytest.mark.django_db
def test_versions_come_with_what_was_read_at_them(acme):
    before = load(acme.pk, rules=True)
    OverrideFactory(company=acme, flag=FlagFactory(key="fresh"))
    after = load(acme.pk, rules=True)
    assert after.global_version > before.global_version > 0
    assert after.company_version > before.company_version > 0
    assert load(None, rules=True).company_version == 0


@pytest.mark.django_db
@pytest.mark.parametrize("moment", [timedelta(0), timedelta(microseconds=1), timedelta(microseconds=999_999)])
def test_an_end_is_read_to_the_microsecond(acme, moment):
    end = datetime(2030, 6, 1, tzinfo=UTC) + moment
    OverrideFactory(company=acme, flag=FlagFactory(key="timed"), expires_at=end)
    assert parse_company(acme.pk, load(acme.pk, rules=False).company).overrides["timed"].expires_at == end


@pytest.mark.django_db
def test_text_with_quotes_and_letters_of_any_kind_comes_through(acme):
    FlagFactory(key="odd", category="""o'd "d" \\ ☃""")
    PlanFactory(slug="odd-plan", rank=99)
    (rule,) = [rule for rule in parse_rules(load(None, rules=True).rules) if rule.key == "odd"]
    assert rule.category == """o'd "d" \\ ☃"""


@pytest.mark.django_db
def test_a_circle_of_requirements_is_read_like_any_other(acme):
    one, two = FlagFactory(key="one"), FlagFactory(key="two")
    RequirementFactory(flag=one, requires=two)
    RequirementFactory(flag=two, requires=one)
    rules = {rule.key: rule.requires for rule in parse_rules(load(None, rules=True).rules)}
    assert (rules["one"], rules["two"]) == (("two",), ("one",))
