"""The tenant isolation audit: is every wall there, is every row behind its own, and does a stranger get through?

Three parts. *Schema* reads the catalogue of the database. *Data* counts rows that stand where none should, and settings
that look forgotten. *Probes* make two companies in a transaction that is rolled back, and try under the real role of
company people to read, insert, update and delete across them. Findings name tables and counts, never what is in a row.
"""

from dataclasses import dataclass
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS

from flags import isolationdata, isolationschema
from flags.isolationfindings import Finding, Findings, Severity
from flags.isolationprobes import probe
from tenants.rls import acting_as_system

MODES = ("schema", "data", "both")


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit found. `skipped` says which parts this database cannot take part in, and why."""

    findings: list[Finding]
    checks: int
    skipped: list[str]

    @property
    def passed(self) -> bool:
        return not any(finding.severity is Severity.ERROR for finding in self.findings)

    @property
    def complete(self) -> bool:
        """Whether every part ran. An audit that left something out does not open a gate."""
        return not self.skipped


def audit(mode: str = "both", company_id: UUID | None = None, using: str = DEFAULT_DB_ALIAS) -> Report:
    """Audit schema (with probes), data, or both; data and probes of one company if it is named. Writes nothing.

    Raises ValueError for another mode.
    """
    if mode not in MODES:
        raise ValueError(f"There is no mode {mode!r}. Choose from {', '.join(MODES)}.")
    findings = Findings(using)
    with acting_as_system("audit tenant isolation"):
        if mode in ("schema", "both"):
            isolationschema.look(findings)
        if mode in ("data", "both"):
            isolationdata.look(findings, company_id)
    if mode in ("schema", "both"):
        _probe(findings)
    if mode == "schema":
        findings.skipped.append("The data was not looked at: mode schema.")
    if mode == "data":
        findings.skipped.append("The schema was not looked at, and nothing was probed: mode data.")
    if company_id is not None:
        findings.skipped.append("Only one company's data was looked at.")
    return Report(findings.found, findings.checks, findings.skipped)


def _probe(findings: Findings) -> None:
    """Try to get from one company to another under the real role."""
    if not findings.postgres:
        findings.skipped.append("SQLite has no roles: nothing could be probed.")
        return
    for attempt in probe(findings.connection.alias):
        findings.check(
            attempt.held,
            Severity.ERROR,
            "probe",
            attempt.table,
            f"{attempt.what} {attempt.table}: {attempt.outcome}.",
            "Compare its policies with flags.policies, and run manage.py migrate.",
        )
