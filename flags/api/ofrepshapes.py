"""What OFREP takes and answers, for the published schema. Its own document is looser, and contradicts itself."""

from rest_framework import serializers

REASONS = ("STATIC", "DEFAULT", "TARGETING_MATCH", "SPLIT", "DISABLED", "UNKNOWN", "STALE")


class ContextInput(serializers.Serializer):
    """For whom to answer. Anything else may be said, and is ignored."""

    targetingKey = serializers.CharField(
        required=False, allow_null=True, max_length=200, help_text="The person's id, or `company:<id>`."
    )
    companyId = serializers.CharField(
        required=False, allow_null=True, max_length=200, help_text="UUID or slug, for callers who may choose."
    )
    userId = serializers.CharField(
        required=False, allow_null=True, max_length=200, help_text="The person, where targetingKey is not."
    )


class EvaluationInput(serializers.Serializer):
    """An evaluation."""

    context = ContextInput(required=False)  # type: ignore[assignment]


class EvaluationOutput(serializers.Serializer):
    """One answer."""

    key = serializers.CharField()
    value = serializers.BooleanField()
    variant = serializers.ChoiceField(["on", "off"])
    reason = serializers.ChoiceField(REASONS)
    metadata = serializers.DictField(child=serializers.CharField())


class EvaluationsOutput(serializers.Serializer):
    """Every answer."""

    flags = EvaluationOutput(many=True)
    metadata = serializers.DictField(child=serializers.CharField())


class EvaluationFailureOutput(serializers.Serializer):
    """Why there is no answer."""

    key = serializers.CharField(required=False)
    errorCode = serializers.ChoiceField(["PARSE_ERROR", "INVALID_CONTEXT", "FLAG_NOT_FOUND", "GENERAL"])
    errorDetails = serializers.CharField()
    metadata = serializers.DictField(child=serializers.CharField())
