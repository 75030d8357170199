"""A change tried out: really made, looked at, and taken back before anybody else could see it.

What it would do to companies comes from the real evaluation of the real state after it, whatever verbs it was made of.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from flags import snapshots
from flags.evaluation import FlagRules, OverrideFact
from flags.impact import NAMES_SHOWN, Effect, Proposed, impact
from flags.models import Change, Override
from flags.setwise import among
from tenants import provenance
from tenants.models import Company
from tenants.rls import acting_as_system

COMPANIES_COMPARED = 500
OVERRIDING = {"set_override", "remove_override"}

Answers = Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a change would do: what it answered, the lines of history it wrote, and how features would fare.

    `effects` has one entry for each flag that some company's answer changes for, by key; None where more companies were
    touched than are compared flag by flag, and by more than their overrides of one flag.
    """

    result: Any
    changes: list[Change]
    effects: list[Effect] | None


def rehearse(act: Callable[[], Any]) -> Rehearsal:
    """Do `act` in a transaction that is always rolled back. Raises what it raises. Nothing of it remains.

    Whatever `act` writes must be in the default database, and in history. What is due on commit does not happen.
    """
    at = timezone.now()
    # An id of its own, by which its history is found.
    token = provenance.request_id.set(f"rehearsal-{uuid.uuid4()}")
    try:
        with transaction.atomic():
            result = act()
            with acting_as_system("look at a rehearsed change"):
                changes = list(Change.objects.filter(request_id=provenance.request_id.get()).order_by("at", "id"))
                companies = {change.company_id for change in changes if change.company_id is not None}
                keys = {change.flag for change in changes if change.flag and change.company_id is None}
                is_few = len(companies) <= COMPANIES_COMPARED
                snapshots.mark_changed(None)  # Read past every cache, whether or not models were saved one by one.
                rules = dict(snapshots.resolve_rules(at).flags)
                after = {pk: _answers(pk, at) for pk in companies} if is_few else {}
                overriding = None if is_few else _overriding(changes, companies)
            transaction.set_rollback(True)
    finally:
        provenance.request_id.reset(token)
    with acting_as_system("compare a rehearsed change"):
        effects = _effects(keys, rules, after, at) if is_few else _effects_of_many(overriding, rules, at)
    return Rehearsal(result, changes, effects)


def _overriding(changes: list[Change], companies: set[UUID]) -> Proposed | None:
    """Return what was done to these companies as a change of one flag's overrides; None where it was anything else."""
    lines = {(change.verb, change.flag) for change in changes if change.company_id is not None}
    keys = {key for _, key in lines}
    if len(keys) != 1 or not {verb for verb, _ in lines} <= OVERRIDING:
        return None
    (key,) = keys
    rows = Override.objects.filter(flag=key, company__in=among(companies)).order_by()
    facts = {
        pk: OverrideFact(enabled, expires_at, paused)
        for pk, enabled, expires_at, paused in rows.values_list("company_id", "enabled", "expires_at", "paused")
    }
    return Proposed(key, overrides={pk: facts.get(pk) for pk in companies})


def _answers(company_id: UUID, at: datetime) -> Answers:
    answers = snapshots.resolve(company_id, at)
    return {} if answers is None else answers.company


def _effects_of_many(overriding: Proposed | None, rules: Mapping[str, FlagRules], at: datetime) -> list[Effect] | None:
    """Return how flags fare by overrides of one of them, whose rules stay; None where that is not all."""
    if overriding is None or rules.get(overriding.key) != snapshots.resolve_rules(at).flags.get(overriding.key):
        return None
    found = impact(overriding, at)
    return sorted((effect for effect in (found.effect, *found.dependents) if effect.changes), key=lambda one: one.key)


def _effects(
    keys: set[str], rules: Mapping[str, FlagRules], after: Mapping[UUID, Answers], at: datetime
) -> list[Effect]:
    """Return how flags fare between the state as it is and the one that was rehearsed."""
    effects: dict[str, Effect] = {}
    now = snapshots.resolve_rules(at).flags
    # A line about a flag need not be about its rules: a batch of overrides has one as well.
    keys = {key for key in keys if rules.get(key) != now.get(key)}
    for key in sorted(keys):
        found = impact(_proposed(key, rules.get(key), now.get(key)), at)
        for effect in (found.effect, *found.dependents):
            if effect.changes:
                effects[effect.key] = effect
    names = dict(Company.objects.filter(pk__in=after).values_list("pk", "name"))
    for pk, answers in after.items():
        before = _answers(pk, at)
        for key in sorted(before.keys() | answers.keys()):
            was, becomes = before.get(key, False), answers.get(key, False)
            if was != becomes and key not in keys:
                effect = effects.setdefault(key, Effect(key))
                effect.add(was, becomes)
                shown = effect.names_on if becomes else effect.names_off
                if len(shown) < NAMES_SHOWN:
                    # A company that is itself new has no name yet outside the rehearsal.
                    shown.append(names.get(pk, "the new company"))
    return [effects[key] for key in sorted(effects)]


def _proposed(key: str, after: FlagRules | None, before: FlagRules | None) -> Proposed:
    if after is None:
        return Proposed(key, rules={"killed": True})  # Without a flag it is off for everybody.
    same = {field.name: getattr(after, field.name) for field in fields(after) if field.name not in ("key", "channels")}
    gone = dict.fromkeys(before.channels if before is not None else {})
    return Proposed(key, rules=same, channels={**gone, **after.channels})
