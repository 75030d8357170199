"""The integration domains of seed 004, and how each stands for whoever asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from flags.catalogue import FEATURES
from flags.evaluation import Reason
from flags.features import Features

DOMAINS: Mapping[str, str] = MappingProxyType(
    {"accounting": "accounting_enabled", "ai": "ai_enabled", "document_signing": "document_signing_enabled"}
)
"""Each domain's flag. Payment and notification have none: they are always there."""

NAMES: Mapping[str, str] = MappingProxyType({feature.key: feature.name for feature in FEATURES})


@dataclass(frozen=True, slots=True)
class Integration:
    """One domain as somebody has it. `state` is ready, disabled, not_in_plan or coming_soon."""

    domain: str
    key: str
    name: str
    enabled: bool
    state: str
    reason: str
    may_choose: bool
    """Whether the company itself may switch it."""


def domains(features: Features, *, internal: bool) -> dict[str, str]:
    """Return the domains with their flags' keys; those whose flag was made internal only where `internal`."""
    return {domain: key for domain, key in DOMAINS.items() if internal or not features.is_internal(key)}


def integrations(features: Features, *, internal: bool) -> list[Integration]:
    """Return every domain for whoever `features` answers for; `internal` says whether they may see internal flags."""
    return [integration(domain, features) for domain in domains(features, internal=internal)]


def integration(domain: str, features: Features) -> Integration:
    """Return one domain. Raises KeyError for what is none."""
    key = DOMAINS[domain]
    decision = features.decide(key)
    rules = features.resolution.rules
    flag = rules.flags.get(key) if rules is not None else None
    may_choose = flag is not None and flag.is_self_service
    if decision.enabled:
        state = "ready"
    elif decision.reason == Reason.PLAN:
        state = "not_in_plan"
    elif may_choose or decision.reason in (Reason.OVERRIDE, Reason.OPT_IN, Reason.KILLED):
        state = "disabled"
    else:
        # Off for everybody like this company, and nothing it could do about it.
        state = "coming_soon"
    name = NAMES.get(key, key)
    return Integration(domain, key, name, decision.enabled, state, str(decision.reason), may_choose)
