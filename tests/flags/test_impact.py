"""The numbers before the click are those after it: impact against a count of every company, one by one."""

from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flags import changes
from flags.evaluation import ChannelAnswer, OverrideFact
from flags.features import features_for
from flags.impact import Impact, Proposed, impact
from flags.models import ChannelDefault, Flag, OptIn, Override
from tenants.models import Company
from tests.factories import CompanyFactory

pytestmark = pytest.mark.django_db

KEY = "trip_management"


@pytest.fixture
def companies():
    made = []
    for channel in ("internal", "pilot", "general", "general"):
        made += [CompanyFactory(channel=channel, plan=plan) for plan in ("starter", "pro", "enterprise")]
    made.append(CompanyFactory(is_active=False))
    return made


def answers(key=KEY) -> dict[str, bool]:
    return {company.name: features_for(None, company)[key] for company in Company.objects.filter(is_active=True)}


def counted(before: dict[str, bool], after: dict[str, bool]) -> tuple[int, int, int, int]:
    pairs = [(before[name], after[name]) for name in before]
    return tuple(pairs.count(pair) for pair in ((False, True), (True, False), (True, True), (False, False)))


def foretold(found: Impact) -> tuple[int, int, int, int]:
    return (found.effect.goes_on, found.effect.goes_off, found.effect.stays_on, found.effect.stays_off)


def test_turning_a_default_on_names_who_gains_and_counts_who_keeps_an_override(companies, alice):
    changes.set_override(companies[6], KEY, False, actor=alice)
    changes.set_override(companies[7], KEY, True, actor=alice)
    found = impact(Proposed(KEY, rules={"default_enabled": True}))
    assert foretold(found) == (10, 0, 1, 1)
    assert (found.effect.overrides_stay_on, found.effect.overrides_stay_off) == (1, 1)
    assert len(found.effect.names_on) == 10
    assert companies[6].name not in found.effect.names_on
    assert not found.alters_nothing


def test_what_alters_nothing_says_so(companies, alice):
    for channel in ("internal", "pilot", "general"):
        changes.set_channel(KEY, channel, False, actor=alice)
    assert impact(Proposed(KEY, rules={"default_enabled": True})).alters_nothing


def test_flags_that_require_it_fall_with_it(companies, alice):
    changes.edit_flag("driver_payments", actor=alice, requires=["driver_management"])
    changes.set_default("driver_payments", True, actor=alice)
    found = impact(Proposed("driver_management", rules={"default_enabled": False}))
    assert [effect.key for effect in found.dependents] == ["driver_payments"]
    assert found.dependents[0].goes_off == 12


def test_an_inactive_company_is_not_counted(companies):
    found = impact(Proposed(KEY, rules={"default_enabled": True}))
    assert found.effect.total == 12


def test_one_companys_override_concerns_that_company_only(companies):
    found = impact(Proposed(KEY, overrides={companies[0].pk: OverrideFact(True)}))
    assert foretold(found) == (1, 0, 0, 0)
    assert found.effect.names_on == [companies[0].name]


def test_a_move_to_another_channel_shows_what_changes(companies, alice):
    changes.set_channel(KEY, "pilot", True, actor=alice)
    found = impact(Proposed(KEY, moves={companies[6].pk: ("pilot", 1)}))
    assert foretold(found) == (1, 0, 0, 0)


def test_the_number_of_queries_does_not_grow_with_companies(companies, django_assert_max_num_queries):
    for _ in range(30):
        CompanyFactory()
    with django_assert_max_num_queries(8):
        impact(Proposed(KEY, rules={"default_enabled": True}))


RULES = st.fixed_dictionaries(
    {},
    optional={
        "default_enabled": st.booleans(),
        "killed": st.booleans(),
        "is_self_service": st.booleans(),
        "minimum_plan": st.sampled_from([None, 1, 2, 3]),
    },
)
ANSWERS = st.none() | st.builds(ChannelAnswer, st.booleans(), st.sampled_from([0, 10, 50, 100]))
CHANNELS = st.dictionaries(st.sampled_from(["internal", "pilot", "general"]), ANSWERS)
SETTINGS = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SETTINGS
@given(rules=RULES, proposed=CHANNELS, present=CHANNELS, data=st.data())
def test_what_is_foretold_is_what_happens(companies, rules, proposed, present, data):
    flag = Flag.objects.get(key=KEY)
    for kind in (ChannelDefault, Override, OptIn):
        kind.objects.filter(flag=flag).delete()
    Flag.objects.filter(key=KEY).update(killed_at=None, default_enabled=False, minimum_plan=None, is_self_service=True)
    soon = timezone.now() + timedelta(days=1)
    for company in companies:
        own = data.draw(st.sampled_from([None, None, True, False]))
        if own is not None:
            Override.objects.create(
                company=company, flag=flag, enabled=own, paused=data.draw(st.booleans()), expires_at=soon
            )
        chosen = data.draw(st.sampled_from([None, None, True, False]))
        if chosen is not None:
            OptIn.objects.create(company=company, flag=flag, enabled=chosen)
    write(flag, present)
    before = answers()
    found = impact(Proposed(KEY, rules=rules, channels=proposed))
    columns = {name: value for name, value in rules.items() if name in ("default_enabled", "is_self_service")}
    if "killed" in rules:
        columns["killed_at"] = timezone.now() if rules["killed"] else None
    if "minimum_plan" in rules:
        columns["minimum_plan"] = {None: None, 1: "starter", 2: "pro", 3: "enterprise"}[rules["minimum_plan"]]
    if columns:
        Flag.objects.filter(key=KEY).update(**columns)
    write(flag, proposed)
    after = answers()
    assert foretold(found) == counted(before, after)
    gained = {name for name in after if after[name] and not before[name]}
    assert set(found.effect.names_on) <= gained
    assert len(found.effect.names_on) == min(len(gained), 10)


def write(flag: Flag, channels: dict[str, ChannelAnswer | None]) -> None:
    for channel, answer in channels.items():
        ChannelDefault.objects.filter(flag=flag, channel=channel).delete()
        if answer is not None:
            ChannelDefault.objects.create(
                flag=flag, channel_id=channel, enabled=answer.enabled, percentage=answer.percentage
            )
