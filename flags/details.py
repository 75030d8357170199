"""An answer in OpenFeature's words: variant, reason and metadata. The same for the remote protocol and in process.

Reasons are OpenFeature's own, since released clients refuse others; ours stands in the metadata.
"""

from dataclasses import dataclass

from flags.evaluation import Decision, Reason, Subject
from flags.features import Features, forced

FLAG_SET = "headgate"

# What each rule is to OpenFeature. `default` is told apart below.
WORDS: dict[Reason, str] = {
    Reason.KILLED: "DISABLED",
    Reason.SUPER_ADMIN: "TARGETING_MATCH",
    Reason.NO_COMPANY: "DEFAULT",
    Reason.PREREQUISITE: "TARGETING_MATCH",
    Reason.OVERRIDE: "TARGETING_MATCH",
    Reason.PLAN: "TARGETING_MATCH",
    Reason.OPT_IN: "TARGETING_MATCH",
    Reason.CHANNEL: "TARGETING_MATCH",
    Reason.ROLLOUT: "SPLIT",
    Reason.GRANT_DENIED: "TARGETING_MATCH",
    Reason.GRANT_MISSING: "TARGETING_MATCH",
    Reason.ARCHIVED: "DEFAULT",
    Reason.UNAVAILABLE: "UNKNOWN",
}


@dataclass(frozen=True, slots=True)
class Details:
    """One answer as OpenFeature has it. A killed flag has a value too: without one a caller's own default would do."""

    key: str
    value: bool
    variant: str
    reason: str
    metadata: dict[str, str]


def details(key: str, features: Features) -> Details | None:
    """Return one answer in OpenFeature's words, or None for a key that no flag has."""
    decision = features.decide(key)
    if decision.reason is Reason.UNKNOWN_FLAG:
        return None
    return in_words(decision, features)


def in_words(decision: Decision, features: Features) -> Details:
    """Return a decision about an existing flag in OpenFeature's words."""
    metadata = {"reason": str(decision.reason), "flagSetId": FLAG_SET}
    if decision.key in forced:  # A test has decided, and may have no database to ask.
        return Details(decision.key, decision.enabled, _variant(decision), WORDS[decision.reason], metadata)
    resolution = features.resolution
    flag = resolution.rules.flags.get(decision.key) if resolution.rules is not None else None
    if flag is not None:
        metadata["category"] = flag.category
    if resolution.stale:
        reason = "STALE"
    elif decision.reason is Reason.DEFAULT:
        # Targeting that did not match, or none at all (OpenFeature specification, types: resolution reason).
        reason = "DEFAULT" if _is_targeted(decision.key, features, resolution.subject) else "STATIC"
    else:
        reason = WORDS[decision.reason]
    return Details(decision.key, decision.enabled, _variant(decision), reason, metadata)


def _variant(decision: Decision) -> str:
    return "on" if decision.enabled else "off"


def _is_targeted(key: str, features: Features, subject: Subject) -> bool:
    """Say whether any rule besides the default concerns a flag, for this company or for others."""
    rules = features.resolution.rules
    flag = rules.flags.get(key) if rules is not None else None
    if flag is None:
        return False
    if flag.channels or flag.requires or flag.needs_grant or flag.minimum_plan is not None:
        return True
    company = subject.company
    if company is None:
        return False
    granted = company.grants.get(subject.user_id or "", {})
    return key in company.overrides or key in company.opt_ins or key in granted
