"""What an audit finds, and how it is noted down: a check that does not hold becomes a finding with its way out."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from django.db import connections


class Severity(StrEnum):
    """How bad a finding is. Only errors make an audit fail."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: where, what, and the way out. `check` is a stable word."""

    severity: Severity
    check: str
    table: str
    message: str
    remedy: str

    def as_dict(self) -> dict[str, str]:
        return {name: str(value) for name, value in asdict(self).items()}


class Findings:
    """Looks into one database and notes down what does not hold, how many checks were made, and what was left out."""

    def __init__(self, using: str) -> None:
        self.connection = connections[using]
        self.postgres = self.connection.vendor == "postgresql"
        self.found: list[Finding] = []
        self.skipped: list[str] = []
        self.checks = 0

    def rows(self, sql: str, params: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Return what a query answers."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, list(params))
            return cursor.fetchall()

    def check(self, holds: bool, severity: Severity, check: str, table: str, message: str, remedy: str) -> None:
        """Count a check, and note it down unless it holds."""
        self.checks += 1
        if not holds:
            self.found.append(Finding(severity, check, table, message, remedy))
