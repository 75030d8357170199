"""What Headgate refuses, and how it says so. Every door renders these; none makes up its own."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied


class FeatureDisabled(PermissionDenied):
    """A feature is off for whoever asks. Answers 403 in every door (seeds 003 and 004).

    `code` is stable: the key in capitals, a trailing `_ENABLED` dropped, plus `_DISABLED`.
    """

    def __init__(self, key: str, reason: str, *, is_internal: bool = False) -> None:
        self.key = key
        self.reason = reason
        self.is_internal = is_internal
        self.code = f"{key.upper().removesuffix('_ENABLED')}_DISABLED"
        super().__init__(f"The feature {key} is off ({reason}).")


class ChangeRefused(Exception):
    """A change that was not made. Names the thing, the verdict and the way out; nothing was written.

    `status` is the HTTP status that fits, `code` a stable word, `errors` the bad fields by name.
    """

    status = 409
    code = "CHANGE_REFUSED"

    def __init__(self, detail: str, *, code: str = "", errors: Mapping[str, list[str]] | None = None, **extra: Any):
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.errors = dict(errors or {})
        self.extra = extra

    def __str__(self) -> str:
        return self.detail


class Invalid(ChangeRefused):
    """What was asked for breaks a rule of the thing itself. `errors` says which field, and why."""

    status = 400
    code = "INVALID"


class Missing(ChangeRefused):
    """There is no such flag, company, person or row."""

    status = 404
    code = "NOT_FOUND"


class NotAllowed(ChangeRefused):
    """Whoever asks may not make this change."""

    status = 403
    code = "NOT_ALLOWED"


class Conflict(ChangeRefused):
    """Somebody else was faster. `extra` holds `current` and `yours`, so that neither is lost."""

    status = 409
    code = "CONFLICT"
