"""What input may look like: nothing unknown, and no type but the one named."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from rest_framework import serializers


class Input(serializers.Serializer):
    """A body or a query string. A name it does not know is refused, so that a typo is never silently ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = [str(name) for name in data if name not in self.fields]
            if unknown:
                known = ", ".join(self.fields) or "none"
                raise serializers.ValidationError(
                    {name: [f"Unknown. The known ones are: {known}."] for name in sorted(unknown)}
                )
        return super().to_internal_value(data)


class Bool(serializers.BooleanField):
    """true or false, and not "true", 1 or "on"."""

    default_error_messages = {"invalid": "Say true or false."}

    def to_internal_value(self, data: Any) -> bool:
        if data is not True and data is not False:
            self.fail("invalid")
        return bool(data)


class Text(serializers.CharField):
    """A string, and not a number that could pass for one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Whole(serializers.IntegerField):
    """A whole number, and not true, 1.0 or "1"."""

    default_error_messages = {"invalid": "Give a whole number."}

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return super().to_internal_value(data)


class Moment(serializers.DateTimeField):
    """A moment as ISO 8601 text with its time zone, such as 2026-03-01T12:00:00Z."""

    default_error_messages = {"invalid": "Give a moment with its time zone, such as 2026-03-01T12:00:00Z."}

    def to_internal_value(self, value: Any) -> datetime:
        moment = as_moment(value) if isinstance(value, str) else None
        if moment is None:
            self.fail("invalid")
        return moment


class MomentParameter(Moment):
    """The same in a query string, where a plus sign may have become a space."""

    def to_internal_value(self, value: Any) -> datetime:
        return super().to_internal_value(value.replace(" ", "+") if isinstance(value, str) else value)


def as_moment(text: str) -> datetime | None:
    """Return an aware moment in UTC, or None where the text is none, or names no time zone."""
    try:
        found = parse_datetime(text)
        return None if found is None or found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


class Reason(Text):
    """Why. Whether it is required is decided where changes are made."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_blank=True, default="", max_length=500, **kwargs)


class ReasonInput(Input):
    """Why."""

    reason = Reason()


class ReasonQuery(Input):
    """Why, for calls without a body."""

    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=500)


class PageQuery(Input):
    """Which page of a list."""

    page = serializers.IntegerField(required=False, default=1, min_value=1, max_value=10_000)
    page_size = serializers.IntegerField(required=False, default=50, min_value=1, max_value=200)


class CursorQuery(Input):
    """Where in a long list, as `next` and `previous` name it."""

    cursor = serializers.CharField(required=False, default="", max_length=400)
    page_size = serializers.IntegerField(required=False, default=50, min_value=1, max_value=200)
