"""Releases as the API shows them."""

from typing import Any

from rest_framework import serializers

from flags.releasemodels import Promotion, Release
from flags.standing import Standing


class GateOutput(serializers.Serializer):
    """One gate before the next channel: whether it holds, and in words why or why not yet."""

    id = serializers.UUIDField(source="gate.pk")
    title = serializers.CharField(source="gate.title")
    kind = serializers.CharField(source="gate.check_kind")
    holds = serializers.BooleanField()
    words = serializers.CharField()
    ready_at = serializers.DateTimeField(allow_null=True)
    signed_off_by = serializers.CharField(source="sign_off.by_name", allow_null=True, default=None)
    signed_off_at = serializers.DateTimeField(source="sign_off.at", allow_null=True, default=None)
    note = serializers.CharField(source="sign_off.note", allow_null=True, default=None)
    link = serializers.CharField(source="sign_off.link", allow_null=True, default=None)


class BriefReleaseOutput(serializers.Serializer):
    """Where a release is, without what its gates say."""

    channel = serializers.CharField(source="channel_id")
    since = serializers.DateTimeField(source="entered_at")
    by = serializers.CharField(source="moved_by", allow_null=True)
    forced = serializers.BooleanField(source="was_forced")
    started_at = serializers.DateTimeField()
    paused = serializers.SerializerMethodField()

    def get_paused(self, release: Release) -> bool:
        return release.paused_at is not None or release.flag.is_killed


class ReleaseOutput(serializers.Serializer):
    """Where a release stands: its channel, since when and by whom, the gates ahead, and when it can go on.

    What is said from `gates` on is left out in the list of flags.
    """

    channel = serializers.CharField(source="release.channel_id")
    since = serializers.DateTimeField(source="release.entered_at")
    by = serializers.CharField(source="release.moved_by", allow_null=True)
    forced = serializers.BooleanField(source="release.was_forced")
    started_at = serializers.DateTimeField(source="release.started_at")
    paused = serializers.BooleanField(source="is_held")
    gates = GateOutput(many=True, required=False)
    next = serializers.CharField(source="following.slug", allow_null=True, default=None)
    can_promote = serializers.BooleanField(required=False)
    ready_at = serializers.DateTimeField(allow_null=True, required=False)
    when = serializers.CharField(required=False)
    evaluations = serializers.IntegerField(source="seen.evaluations", required=False)
    errors = serializers.IntegerField(source="seen.errors", required=False)  # type: ignore[assignment]


class PromotionOutput(serializers.Serializer):
    """One step of a release, with the evidence as it was then. A step that was forced says so for ever."""

    kind = serializers.ChoiceField(Promotion.Kind.values)
    from_channel = serializers.CharField()
    to_channel = serializers.CharField()
    at = serializers.DateTimeField()
    by = serializers.CharField(source="by_name")
    reason = serializers.CharField()
    forced = serializers.BooleanField()
    evidence = serializers.ListField(child=serializers.DictField())


def shown_in_brief(release: Release) -> dict[str, Any]:
    """Return a release as it stands in a list of flags: where, since when, by whom, and whether it is held."""
    return dict(BriefReleaseOutput(release).data)


def shown_release(standing: Standing | None) -> dict[str, Any] | None:
    """Return a release as the API shows it; None where none is under way."""
    return None if standing is None else dict(ReleaseOutput(standing).data)
