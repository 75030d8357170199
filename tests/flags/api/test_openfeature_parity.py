"""Whichever door asks, the answer is one: the provider in process, OFREP single and bulk, and the REST API."""

import random
from datetime import timedelta

import pytest
from django.utils import timezone
from openfeature import api
from openfeature.evaluation_context import EvaluationContext

from flags.openfeature import HeadgateProvider
from tests.factories import (
    ChannelDefaultFactory,
    CompanyFactory,
    FlagFactory,
    GrantFactory,
    OptInFactory,
    OverrideFactory,
    RequirementFactory,
)

pytestmark = pytest.mark.django_db(transaction=True)
BULK = "/ofrep/v1/evaluate/flags"
FLAGS = 24
SEED = 20261128


@pytest.fixture
def client():
    api.set_provider_and_wait(HeadgateProvider())
    yield api.get_client()
    api.clear_providers()


def maybe(chance: random.Random, share: float = 0.3) -> bool:
    return chance.random() < share


def flag_of(chance: random.Random, number: int, before: list, companies, people, now):
    """Make a flag with whatever may concern it: rules, overrides in every state, choices, grants, requirements."""
    flag = FlagFactory(
        key=f"flag_{number}",
        default_enabled=maybe(chance, 0.5),
        killed_at=now if maybe(chance, 0.1) else None,
        needs_grant=maybe(chance, 0.2),
        is_self_service=maybe(chance, 0.4),
        minimum_plan=chance.choice([None, None, "pro", "enterprise"]),
    )
    for channel in ("internal", "pilot", "general"):
        if maybe(chance):
            share = chance.choice([0, 37, 100])
            ChannelDefaultFactory(flag=flag, channel=channel, enabled=maybe(chance, 0.7), percentage=share)
    for company in companies:
        if maybe(chance):
            ends = chance.choice([None, now - timedelta(days=1), now + timedelta(days=1)])
            paused = maybe(chance, 0.2)
            OverrideFactory(company=company, flag=flag, enabled=maybe(chance, 0.5), expires_at=ends, paused=paused)
        if flag.is_self_service and maybe(chance):
            OptInFactory(company=company, flag=flag, enabled=maybe(chance, 0.5))
    for company, person in people:
        if maybe(chance):
            GrantFactory(company=company, user=person, flag=flag, enabled=maybe(chance, 0.6))
    if before and maybe(chance):
        RequirementFactory(flag=flag, requires=chance.choice(before))
    return flag


def flags_of_certain_reasons(company, person):
    """Make flags for the reasons that in the matrix hang on the places companies happen to have in rollouts."""
    rollout = FlagFactory(key="by_rollout")
    for channel in ("internal", "pilot", "general"):
        ChannelDefaultFactory(flag=rollout, channel=channel, percentage=99)
    denied = FlagFactory(key="was_denied", default_enabled=True)
    GrantFactory(company=company, user=person, flag=denied, enabled=False)
    missing = FlagFactory(key="needs_grant", needs_grant=True, default_enabled=True)
    lacking = FlagFactory(key="by_prerequisite", default_enabled=True)
    RequirementFactory(flag=lacking, requires=FlagFactory(key="is_off"))
    return [rollout, denied, missing, lacking]


def test_all_doors_say_the_same(client, as_token, acme, globex, default_tenant, dan, carol):
    chance, now = random.Random(SEED), timezone.now()
    companies = [acme, globex, default_tenant, CompanyFactory(slug="gone", is_active=False)]
    flags: list = flags_of_certain_reasons(acme, dan)
    for number in range(FLAGS):
        flags.append(flag_of(chance, number, flags, companies, [(acme, dan), (globex, carol)], now))
    key = as_token("evaluate")
    words = set()
    for company in (*companies, None):
        for person in (None, dan, carol):
            named = {} if company is None else {"companyId": chance.choice([company.slug, str(company.pk)])}
            target = None if person is None else str(person.pk)
            context = EvaluationContext(target, named)
            body = {"context": {**named, **({} if target is None else {"targetingKey": target})}}
            whole = {one["key"]: one for one in key.post(BULK, body, content_type="application/json").json()["flags"]}
            query = {**({"company": company.slug} if company else {}), **({"user": target} if target else {})}
            for flag in flags:
                found = client.get_boolean_details(flag.key, chance.choice([True, False]), context)
                single = key.post(f"{BULK}/{flag.key}", body, content_type="application/json").json()
                plain = key.get(f"/api/features/{flag.key}", query).json()
                said = {"key": flag.key, "value": found.value, "variant": found.variant, "reason": str(found.reason)}
                metadata = {name: value for name, value in found.flag_metadata.items() if name != "version"}
                assert single == whole[flag.key] == {**said, "metadata": metadata}, (company, person)
                assert (plain["enabled"], plain["reason"]) == (found.value, metadata["reason"])
                words.add(metadata["reason"])

    # The matrix is no good if it never gets to a rule.
    assert words == {
        *("killed", "no_company", "prerequisite", "override", "plan", "opt_in", "channel", "rollout", "default"),
        *("grant_denied", "grant_missing"),
    }
