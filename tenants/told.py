"""What is not known here, and is asked of whoever has said that they know: flags, where they are installed."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Protocol
from uuid import UUID

from tenants.models import Company, User


class Versions(Protocol):
    """What was read of versions; within its block, whoever else wants to know has it from there."""

    tokens: int | None

    def __enter__(self) -> "Versions": ...
    def __exit__(self, *exception: object) -> None: ...


class _NoVersions(nullcontext):
    tokens: int | None = None


AskVersions = Callable[[UUID | None, bool], Versions]
Allowed = Callable[[User, Company], bool]

_versions: AskVersions = lambda company_id, exactly: _NoVersions()  # noqa: E731
_allowed: Allowed = lambda user, home: False  # noqa: E731


def ask_versions(ask: AskVersions) -> None:
    """Let `ask(company id, exactly)` tell the tokens' version from now on."""
    global _versions
    _versions = ask


def versions(company_id: UUID | None, *, exactly: bool) -> Versions:
    """Read the present version of all tokens. A context manager. Raises django.db.Error when the database is away.

    With `exactly`, it is read whatever the freshness.
    """
    return _versions(company_id, exactly)


def ask_whether_allowed(ask: Allowed) -> None:
    """Let `ask(person, home)` decide from now on whether somebody may work outside their home."""
    global _allowed
    _allowed = ask


def is_allowed_outside(user: User, home: Company) -> bool:
    """Say whether this person may work in companies other than their home now."""
    return _allowed(user, home)
