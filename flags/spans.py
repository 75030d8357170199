"""Evaluations on the active span, in the words of OpenTelemetry's semantic conventions for feature flags (v1.44.0).

Needs the extras `openfeature` and `otel`. Whoever has both gets it with `flags.openfeature.HeadgateProvider`.
"""

from collections.abc import Callable
from hashlib import sha256

from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagValueType, Reason
from openfeature.hook import Hook, HookContext, HookHints
from opentelemetry import trace

EVENT = "feature_flag.evaluation"


def hashed(targeting_key: str) -> str:
    """Return a targeting key as one that tells people apart and names nobody."""
    return sha256(targeting_key.encode()).hexdigest()[:16]


class SpanHook(Hook):
    """Adds one event to the span in force for each evaluation. Without a span that is recorded, nothing happens.

    The targeting key is personal data. It is left out, unless `context_id` says how to write it (`hashed`, or `str`).
    """

    def __init__(self, context_id: Callable[[str], str] | None = None) -> None:
        self._context_id = context_id

    def finally_after(
        self, hook_context: HookContext, details: FlagEvaluationDetails[FlagValueType], hints: HookHints
    ) -> None:
        span = trace.get_current_span()
        if span.is_recording():
            span.add_event(EVENT, self._attributes(hook_context, details))

    def _attributes(self, context: HookContext, details: FlagEvaluationDetails[FlagValueType]) -> dict[str, str]:
        metadata = details.flag_metadata
        provider = context.provider_metadata
        key = context.evaluation_context.targeting_key
        failed = details.error_code is not None
        found = {
            "feature_flag.key": details.flag_key,
            "feature_flag.result.variant": details.variant,
            "feature_flag.result.reason": (details.reason or Reason.UNKNOWN).lower(),
            "feature_flag.provider.name": provider.name if provider is not None else None,
            "feature_flag.set.id": metadata.get("flagSetId"),
            "feature_flag.version": metadata.get("version"),
            "feature_flag.context.id": self._context_id(key) if self._context_id is not None and key else None,
            "error.type": (details.error_code or ErrorCode.GENERAL).lower() if failed else None,
            "feature_flag.error.message": details.error_message if failed else None,
            # Not of the conventions: which of the twelve rules decided.
            "headgate.reason": metadata.get("reason"),
        }
        return {name: str(value) for name, value in found.items() if value}
