"""Running the tenant isolation audit for the record: the run is stored, and history says who ran it."""

from datetime import datetime

from django.db import DEFAULT_DB_ALIAS

from flags.gates import database_now
from flags.isolation import Report, audit
from flags.recording import Actor, authorise, record, writing
from flags.releasemodels import IsolationAudit
from flags.repeating import verb
from tenants.models import Company


def run_audit(
    mode: str = "both", *, actor: Actor, company: Company | None = None, using: str = DEFAULT_DB_ALIAS
) -> IsolationAudit:
    """Audit tenant isolation and store the run: for super admins, Headgate itself, and tokens with `audit:read`.

    `mode` is schema, data or both; data and probes concern one company if it is named. Only a complete run opens a
    gate: both modes, all companies, on PostgreSQL. Raises NotAllowed, and ValueError for another mode.
    """
    authorise(actor, "audit:read", company)
    at = database_now()
    # Outside the writers' lock: counting takes a while where there is much to count.
    report = audit(mode, None if company is None else company.pk, using)
    return _store(report, mode, at, "" if company is None else company.slug, actor, using)


@verb
def _store(report: Report, mode: str, at: datetime, slug: str, actor: Actor, using: str) -> IsolationAudit:
    with writing("store an isolation audit", using):
        change = record(
            "isolation_audit",
            actor=actor,
            before={},
            # The company stands here, and not in the line's own column: the audit is not the company's business.
            after={
                "mode": mode,
                "of": slug,
                "passed": report.passed,
                "complete": report.complete,
                "findings": len(report.findings),
            },
        )
        return IsolationAudit.objects.using(using).create(
            at=at,
            mode=mode,
            by_name=change.actor,
            company_slug=slug,
            passed=report.passed,
            complete=report.complete,
            checks=report.checks,
            skipped=report.skipped,
            findings=[finding.as_dict() for finding in report.findings],
        )
