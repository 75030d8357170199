"""Is every row behind its own wall? Counts rows that stand where none should, and settings that look forgotten."""

from dataclasses import dataclass
from uuid import UUID

from flags.isolationfindings import Findings, Severity
from flags.policies import TABLES


@dataclass(frozen=True, slots=True)
class _DataCheck:
    """A count that should be zero. `sql` ends in a where clause; `company` is its company column."""

    severity: Severity
    check: str
    table: str
    company: str
    sql: str
    message: str
    remedy: str


def _orphans(table: str) -> _DataCheck:
    return _DataCheck(
        Severity.ERROR,
        "orphan_company",
        table,
        "t.company_id",
        f"select count(*) from {table} t where not exists (select 1 from tenants_company c where c.id = t.company_id)"
        + (" and t.company_id is not null" if TABLES[table].nullable else ""),
        f"{{count}} rows of {table} belong to a company that is not there, or to none.",
        "Delete them, or give them to the company they belong to.",
    )


NOW = "current_timestamp"
DATA_CHECKS = [
    *(
        _orphans(table)
        for table, protection in sorted(TABLES.items())
        # History outlives companies on purpose.
        if protection.kind == "company" and table not in ("tenants_company", "flags_change", "flags_version")
    ),
    _DataCheck(
        Severity.ERROR,
        "grant_outside_company",
        "flags_grant",
        "g.company_id",
        "select count(*) from flags_grant g where not exists (select 1 from tenants_membership m "
        "where m.company_id = g.company_id and m.user_id = g.user_id)",
        "{count} grants are for people who do not belong to the company. They have no effect.",
        "Revoke them, or add the people.",
    ),
    _DataCheck(
        Severity.INFO,
        "override_expired",
        "flags_override",
        "o.company_id",
        f"select count(*) from flags_override o where o.expires_at <= {NOW}",
        "{count} overrides have expired. They have no effect.",
        "Remove them.",
    ),
    _DataCheck(
        Severity.WARNING,
        "override_of_archived_flag",
        "flags_override",
        "o.company_id",
        "select count(*) from flags_override o join flags_flag f on f.key = o.flag_id where f.archived_at is not null",
        "{count} overrides point at archived flags. They have no effect.",
        "Remove them, or restore the flags.",
    ),
    _DataCheck(
        Severity.WARNING,
        "opt_in_not_self_service",
        "flags_optin",
        "i.company_id",
        "select count(*) from flags_optin i join flags_flag f on f.key = i.flag_id where not f.is_self_service",
        "{count} choices of companies are about flags that are no longer self-service. They have no effect.",
        "Make the flags self-service again, or remove the choices.",
    ),
    _DataCheck(
        Severity.INFO,
        "override_redundant",
        "flags_override",
        "o.company_id",
        "select count(*) from flags_override o join tenants_company c on c.id = o.company_id "
        "join flags_flag f on f.key = o.flag_id "
        "left join flags_channeldefault d on d.flag_id = f.key and d.channel_id = c.channel_id "
        "where f.minimum_plan_id is null and not f.is_self_service and (d.percentage is null or d.percentage = 100) "
        "and o.enabled = coalesce(d.enabled, f.default_enabled)",
        "{count} overrides say what the company would get anyway.",
        "Reset them where they are not meant as a promise.",
    ),
]


def look(findings: Findings, company_id: UUID | None) -> None:
    """Count rows that stand where none should, and settings that look forgotten."""
    for check in DATA_CHECKS:
        condition, params = "", []
        if company_id is not None:
            condition = f" and {check.company} = %s"
            params = [company_id if findings.postgres else company_id.hex]
        count = findings.rows(check.sql + condition, params)[0][0]
        findings.check(
            not count,
            check.severity,
            check.check,
            check.table,
            check.message.format(count=count),
            check.remedy,
        )
