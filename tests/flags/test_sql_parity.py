"""Python and PostgreSQL decide alike: every combination of facts, and a search for one that nobody thought of."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flags import snapshots, sqlanswers
from flags.evaluation import Subject, bucket, evaluate
from flags.models import ChannelDefault, Flag, Grant, OptIn, Override, Requirement
from tenants import rls
from tenants.models import Company, Membership
from tests.factories import CompanyFactory, MembershipFactory, UserFactory

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]

NOW = timezone.now()
PAST, FUTURE = NOW - timedelta(days=1), NOW + timedelta(days=1)


class Facts(NamedTuple):
    """One combination. What it is called in the rules stands in `build`."""

    killed: str
    archived: bool
    required: str
    override: str
    below_plan: bool
    choice: str
    channel: str
    default: bool
    grant: str


EVERY = [
    Facts(*combination)
    for combination in itertools.product(
        ("no", "pulled", "resting"),
        (False, True),
        ("nothing", "on", "off", "killed", "behind", "circle"),
        ("none", "on", "off", "expired", "paused"),
        (False, True),
        ("not_ours", "none", "on", "off"),
        ("none", "off", "on", "half"),
        (False, True),
        ("not_needed", "none", "on", "denied", "expired", "denied_unneeded"),
    )
    # What an archived or killed flag does with everything else is asked once for each, not squared.
    if not (combination[0] != "no" and combination[1])
    and not (combination[1] and combination[2] in ("behind", "circle"))
]
SOME = [facts for index, facts in enumerate(EVERY) if index % 4 == 0 or (facts.killed == "no" and not facts.archived)]


def build(company: Company, person, many: list[Facts]) -> list[str]:
    """Write the flags that these facts describe, with all that hangs on them, and return their keys."""
    required = {
        "on": Flag(key="needed_on", name="On", default_enabled=True),
        "off": Flag(key="needed_off", name="Off"),
        "killed": Flag(key="needed_killed", name="Killed", default_enabled=True, killed_at=PAST),
        "behind": Flag(key="needed_behind", name="Behind", default_enabled=True),
        "circle": Flag(key="needed_circle", name="Circle", default_enabled=True),
    }
    flags = list(required.values())
    requirements = [Requirement(flag_id="needed_behind", requires_id="needed_off")]
    overrides, choices, channels, grants, keys = [], [], [], [], []
    for number, facts in enumerate(many):
        key = f"case_{number}"
        keys.append(key)
        flags.append(
            Flag(
                key=key,
                name=key,
                default_enabled=facts.default and facts.killed != "resting",
                is_killswitch=facts.killed == "resting",
                killed_at=PAST if facts.killed == "pulled" else None,
                archived_at=PAST if facts.archived else None,
                minimum_plan_id="enterprise" if facts.below_plan else "starter" if number % 2 else None,
                is_self_service=facts.choice != "not_ours",
                needs_grant=facts.grant not in ("not_needed", "denied_unneeded"),
            )
        )
        if facts.required != "nothing":
            requirements.append(Requirement(flag_id=key, requires_id=f"needed_{facts.required}"))
        if facts.override != "none":
            overrides.append(
                Override(
                    company=company,
                    flag_id=key,
                    enabled=facts.override != "off",
                    expires_at=PAST if facts.override == "expired" else FUTURE if number % 3 == 0 else None,
                    paused=facts.override == "paused",
                )
            )
        if facts.choice in ("on", "off") or (facts.choice == "not_ours" and number % 5 == 0):
            choices.append(OptIn(company=company, flag_id=key, enabled=facts.choice != "off"))
        if facts.channel != "none":
            share = 50 if facts.channel == "half" else 100
            channels.append(
                ChannelDefault(flag_id=key, channel_id="pilot", enabled=facts.channel != "off", percentage=share)
            )
        if facts.grant in ("on", "denied", "expired", "denied_unneeded"):
            grants.append(
                Grant(
                    company=company,
                    user=person,
                    flag_id=key,
                    enabled="denied" not in facts.grant,
                    expires_at=PAST if facts.grant == "expired" else None,
                )
            )
    if any(facts.required == "circle" for facts in many):
        requirements.append(Requirement(flag_id="needed_circle", requires_id=keys[0]))
    Flag.objects.bulk_create(flags, batch_size=2000)
    for rows in (requirements, overrides, choices, channels, grants):
        if rows:
            type(rows[0]).objects.bulk_create(rows, batch_size=2000)
    return keys


def by_sql(company: Company | None, person, super_admin: bool, at: datetime) -> dict[str, tuple[bool, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select key, enabled, reason from flags_decide_all(%s, %s, %s, %s)",
            [company and company.pk, person and person.pk, super_admin, at],
        )
        return {key: (enabled, reason) for key, enabled, reason in cursor.fetchall()}


def by_python(company: Company | None, person, super_admin: bool, at: datetime) -> dict[str, tuple[bool, str]]:
    answers = None if company is None else snapshots.resolve(company.pk, at)
    rules = (answers.rules if answers is not None else snapshots.resolve_rules(at)).flags
    subject = Subject(answers and answers.facts, person and str(person.pk), super_admin)
    decisions = {key: evaluate(rules, key, subject, at) for key in rules}
    return {key: (decision.enabled, str(decision.reason)) for key, decision in decisions.items()}


def differences(company, person, super_admin=False, at=NOW) -> dict[str, tuple]:
    python, sql = by_python(company, person, super_admin, at), by_sql(company, person, super_admin, at)
    assert python.keys() == sql.keys()
    return {key: (python[key], sql[key]) for key in python if python[key] != sql[key]}


@pytest.fixture
def company():
    return CompanyFactory(channel="pilot", plan="pro")


@pytest.fixture
def person(company):
    return MembershipFactory(company=company, user=UserFactory()).user


def test_every_combination_of_facts_is_decided_alike(company, person):
    build(company, person, SOME)
    stranger, nowhere = UserFactory(), CompanyFactory(channel="pilot", is_active=False)
    askers = [
        (company, person, False),
        (company, None, False),
        (company, stranger, False),
        (company, person, True),
        (None, person, False),
        (None, person, True),
        (nowhere, None, False),
        (CompanyFactory(channel="general", plan="enterprise"), None, False),
    ]
    assert len(SOME) > 10_000
    for asker in askers:
        assert not differences(*asker)


def test_a_grant_of_somebody_who_left_counts_in_neither(company, person):
    Flag.objects.filter(key="driver_management").update(needs_grant=True)
    Grant.objects.create(company=company, user=person, flag_id="driver_management")
    assert by_sql(company, person, False, NOW)["driver_management"] == (True, "default")
    Membership.objects.filter(company=company, user=person).delete()
    assert by_sql(company, person, False, NOW)["driver_management"] == (False, "grant_missing")
    assert not differences(company, person)


SWAPS = {
    "override and plan": (
        "      when override is not null then override\n      when below_plan then false\n",
        "      when below_plan then false\n      when override is not null then override\n",
    ),
    "kill and super admin": (
        "      when own.killed then false\n      when super_admin then true\n",
        "      when super_admin then true\n      when own.killed then false\n",
    ),
    "plan and choice": (
        "      when below_plan then false\n      when choice is not null then choice\n",
        "      when choice is not null then choice\n      when below_plan then false\n",
    ),
}


@pytest.mark.parametrize("swap", SWAPS)
def test_two_rules_that_change_places_are_noticed(company, person, swap):
    build(company, person, EVERY[:: len(EVERY) // 3000])
    right, wrong = SWAPS[swap]
    assert right in sqlanswers.DECIDE_ALL
    with rls.acting_as_nobody(), connection.cursor() as cursor:
        cursor.execute("grant create on schema public to headgate_console")
    with connection.cursor() as cursor:
        cursor.execute(sqlanswers.DECIDE_ALL.replace(right, wrong))
    assert differences(company, person) or differences(company, person, True)


FACTS = st.builds(
    Facts,
    killed=st.sampled_from(["no", "no", "pulled", "resting"]),
    archived=st.booleans(),
    required=st.sampled_from(["nothing", "on", "off", "killed", "behind", "circle"]),
    override=st.sampled_from(["none", "on", "off", "expired", "paused"]),
    below_plan=st.booleans(),
    choice=st.sampled_from(["not_ours", "none", "on", "off"]),
    channel=st.sampled_from(["none", "off", "on", "half"]),
    default=st.booleans(),
    grant=st.sampled_from(["not_needed", "none", "on", "denied", "expired", "denied_unneeded"]),
)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(many=st.lists(FACTS, min_size=3, max_size=12), requires=st.data(), at=MOMENTS)
def test_no_web_of_requirements_and_no_moment_is_decided_differently(company, person, many, requires, at):
    with transaction.atomic():
        keys = build(company, person, many)
        pairs = st.lists(st.tuples(st.sampled_from(keys), st.sampled_from(keys)), max_size=20, unique=True)
        wanted = {(one, other) for one, other in requires.draw(pairs) if one != other}
        known = set(Requirement.objects.values_list("flag_id", "requires_id"))
        Requirement.objects.bulk_create(Requirement(flag_id=one, requires_id=other) for one, other in wanted - known)
        assert not differences(company, person, at=at)
        assert not differences(company, person, super_admin=True, at=at)
        transaction.set_rollback(True)


def test_the_bucket_is_the_same(company):
    keys = [f"key_{number}" for number in range(500)]
    with connection.cursor() as cursor:
        cursor.execute("select k, flags_bucket(k, %s) from unnest(%s::text[]) k", [company.pk, keys])
        assert dict(cursor.fetchall()) == {key: bucket(key, str(company.pk)) for key in keys}


def test_an_archived_flag_requires_nothing_in_either(company, person):
    off, archived = (
        Flag(key="off_flag", name="Off"),
        Flag(key="old", name="Old", default_enabled=True, archived_at=PAST),
    )
    Flag.objects.bulk_create([off, archived, Flag(key="child", name="Child", default_enabled=True)])
    Requirement.objects.create(flag_id="old", requires_id="off_flag")
    Requirement.objects.create(flag_id="child", requires_id="old")
    assert by_sql(company, person, False, NOW)["child"] == (True, "default")
    assert not differences(company, person)
