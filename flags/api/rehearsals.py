"""What `?dry_run=1` answers."""

from typing import Any

from rest_framework import serializers
from rest_framework.response import Response

from flags.impact import Effect
from flags.models import Change, Flag
from flags.rehearsal import Rehearsal


class PlannedChangeOutput(serializers.Serializer):
    """A line that history would get."""

    verb = serializers.CharField()
    flag = serializers.CharField(allow_null=True)
    company = serializers.CharField(allow_null=True)
    before = serializers.DictField()
    after = serializers.DictField()


class EffectOutput(serializers.Serializer):
    """How one flag would fare: for how many companies it goes on or off, and the first of their names."""

    key = serializers.CharField()
    goes_on = serializers.IntegerField()
    goes_off = serializers.IntegerField()
    stays_on = serializers.IntegerField()
    stays_off = serializers.IntegerField()
    names_on = serializers.ListField(child=serializers.CharField())
    names_off = serializers.ListField(child=serializers.CharField())


class MessageOutput(serializers.Serializer):
    """What somebody would be told."""

    subject = serializers.CharField()
    body = serializers.CharField()


class RehearsalOutput(serializers.Serializer):
    """What a call would do. `impact` is null where it touches too many companies in too many ways to compare."""

    dry_run = serializers.BooleanField()
    status = serializers.IntegerField(help_text="What the call would answer.")
    result = serializers.DictField(allow_null=True)
    changes = PlannedChangeOutput(many=True)
    impact = EffectOutput(many=True, allow_null=True)
    recipients = serializers.IntegerField(
        required=False, help_text="Of a promotion: to how many people `tell` would send the message."
    )
    message = MessageOutput(
        required=False, allow_null=True, help_text="Of a promotion: that message; null where nobody may be told."
    )


def rehearsed(done: Rehearsal, *, internal: bool) -> dict[str, Any]:
    """Return a rehearsal as the API shows it; of internal flags nothing, unless the caller may see them."""
    response: Response = done.result
    result = response.data
    if isinstance(result, dict):
        # A secret that opens nothing would only be mistaken for one.
        result = {name: value for name, value in result.items() if name != "secret"}
    hidden: set[str] = set()
    if not internal:
        keys = {effect.key for effect in done.effects or ()}
        visible = Flag.objects.filter(key__in=keys, is_internal=False).values_list("key", flat=True)
        hidden = keys - set(visible)
    return {
        "dry_run": True,
        "status": response.status_code,
        "result": result,
        "changes": [_change(change) for change in done.changes],
        "impact": None
        if done.effects is None
        else [_effect(effect) for effect in done.effects if effect.key not in hidden],
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "verb": change.verb,
        "flag": change.flag or None,
        "company": change.company_slug or None,
        "before": change.before,
        "after": change.after,
    }


def _effect(effect: Effect) -> dict[str, Any]:
    return dict(EffectOutput(effect).data)
