"""Stored runs of the tenant isolation audit: a run as a report, and what changed since the last like it. Reads only."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from flags.isolationfindings import Severity
from flags.releasemodels import IsolationAudit

Finding = dict[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """What a run found that the one before it did not, and the other way round. `previous` is None for the first."""

    previous: IsolationAudit | None
    appeared: list[Finding]
    gone: list[Finding]


def severity_counts(run: IsolationAudit) -> dict[str, int]:
    """Return how many findings there are of each severity, worst first, zero included."""
    counted = Counter(finding["severity"] for finding in run.findings)
    return {severity.value: counted[severity.value] for severity in Severity}


def by_severity(run: IsolationAudit) -> list[tuple[str, list[Finding]]]:
    """Return the findings of each severity that has any, worst first."""
    grouped = [(s.value, [f for f in run.findings if f["severity"] == s.value]) for s in Severity]
    return [(severity, findings) for severity, findings in grouped if findings]


def since_last(run: IsolationAudit) -> Difference:
    """Compare a run with the last one before it that looked at the same. One query."""
    earlier = IsolationAudit.objects.filter(mode=run.mode, company_slug=run.company_slug, at__lt=run.at)
    previous = earlier.order_by("-at").first()
    if previous is None:
        return Difference(None, [], [])
    before, now = ({_identity(f): f for f in found.findings} for found in (previous, run))
    return Difference(
        previous,
        [finding for identity, finding in now.items() if identity not in before],
        [finding for identity, finding in before.items() if identity not in now],
    )


def _identity(finding: Finding) -> tuple[str, str, str]:
    """Tell whether two findings are the same one: a count that grew does not make it another."""
    return finding["check"], finding["table"], re.sub(r"\d+", "#", finding["message"])


def as_json(run: IsolationAudit) -> dict[str, Any]:
    """Return a run as API, command and download show it. Two queries at most."""
    difference = since_last(run)
    previous = difference.previous
    return {
        "id": str(run.pk),
        "at": run.at.isoformat(),
        "by": run.by_name,
        "mode": run.mode,
        "company": run.company_slug or None,
        "passed": run.passed,
        "complete": run.complete,
        "checks": run.checks,
        "skipped": run.skipped,
        "counts": severity_counts(run),
        "findings": run.findings,
        "since_last": {
            "previous": None
            if previous is None
            else {"id": str(previous.pk), "at": previous.at.isoformat(), "passed": previous.passed},
            "appeared": difference.appeared,
            "gone": difference.gone,
        },
    }
