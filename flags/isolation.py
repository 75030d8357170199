"""The tenant isolation audit: is every wall there, is every row behind its own, and does a stranger get through?

Three parts. *Schema* reads the catalogue of the database. *Data* counts rows that stand where none should, and settings
that look forgotten. *Probes* make two companies in a transaction that is rolled back, and try under the real role of
company people to read, insert, update and delete across them. Findings name tables and counts, never what is in a row.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections

from flags.isolationprobes import probe
from flags.policies import TABLES, UNPROTECTED, Protection, policies_of
from tenants.rls import CONSOLE_ROLE, TENANT_ROLE, acting_as_system


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


MODES = ("schema", "data", "both")


def audit(mode: str = "both", company_id: UUID | None = None, using: str = DEFAULT_DB_ALIAS) -> Report:
    """Audit schema (with probes), data, or both; data and probes of one company if it is named. Writes nothing.

    Raises ValueError for another mode.
    """
    if mode not in MODES:
        raise ValueError(f"There is no mode {mode!r}. Choose from {', '.join(MODES)}.")
    auditor = _Auditor(using)
    with acting_as_system("audit tenant isolation"):
        if mode in ("schema", "both"):
            auditor.schema()
        if mode in ("data", "both"):
            auditor.data(company_id)
    if mode in ("schema", "both"):
        auditor.probes()
    if mode == "schema":
        auditor.skipped.append("The data was not looked at: mode schema.")
    if mode == "data":
        auditor.skipped.append("The schema was not looked at, and nothing was probed: mode data.")
    if company_id is not None:
        auditor.skipped.append("Only one company's data was looked at.")
    return Report(auditor.findings, auditor.checks, auditor.skipped)


def missing_walls(using: str = DEFAULT_DB_ALIAS) -> list[Finding]:
    """Return what the schema lacks, without probing and without looking at a row: quick enough for every start."""
    auditor = _Auditor(using)
    auditor.schema()
    return auditor.findings


class _Auditor:
    def __init__(self, using: str) -> None:
        self.connection = connections[using]
        self.postgres = self.connection.vendor == "postgresql"
        self.findings: list[Finding] = []
        self.skipped: list[str] = []
        self.checks = 0

    def _rows(self, sql: str, params: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, list(params))
            return cursor.fetchall()

    def _check(self, holds: bool, severity: Severity, check: str, table: str, message: str, remedy: str) -> None:
        self.checks += 1
        if not holds:
            self.findings.append(Finding(severity, check, table, message, remedy))

    # Schema

    def schema(self) -> None:
        """Look at every table that has a company, and at what roles and functions may do."""
        columns = self._company_columns()
        for table in sorted(columns):
            self._check(
                table in TABLES or table in UNPROTECTED,
                Severity.ERROR,
                "unclassified",
                table,
                f"{table} has a company, and nobody has said how it is protected.",
                "Classify it with flags.policies.classify, and migrate.",
            )
        for table, protection in sorted(TABLES.items()):
            if protection.kind == "company" and table in columns:
                self._company_column(table, columns[table], protection)
        if not self.postgres:
            self.skipped.append("SQLite has no row-level security, roles or functions: policies were not looked at.")
            return
        self._row_level_security()
        self._roles()
        self._functions()

    def _company_columns(self) -> dict[str, tuple[str, bool]]:
        """Return, by table, the column that names a company and whether it may be null."""
        if self.postgres:
            rows = self._rows(
                "select c.relname, a.attname, not a.attnotnull from pg_attribute a "
                "join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace "
                "where n.nspname = current_schema() and c.relkind in ('r', 'p') and not a.attisdropped "
                "and (a.attname = 'company_id' or exists (select from pg_constraint k "
                "  where k.conrelid = c.oid and k.contype = 'f' and k.confrelid = to_regclass('tenants_company') "
                "  and a.attnum = any (k.conkey)))"
            )
            return {table: (column, nullable) for table, column, nullable in rows}
        found = {}
        for table in self.connection.introspection.table_names():
            for _, name, _, not_null, _, _ in self._rows(f'pragma table_info("{table}")'):
                if name == "company_id":
                    found[table] = (name, not not_null)
        return found

    def _company_column(self, table: str, column: tuple[str, bool], protection: Protection) -> None:
        name, nullable = column
        self._check(
            not nullable or protection.nullable,
            Severity.ERROR,
            "nullable",
            table,
            f"{table}.{name} may be null: a row could belong to nobody.",
            f"Make the column NOT NULL, or say in its classification why it may be.{' ' + protection.why}",
        )
        with self.connection.cursor() as cursor:
            constraints = self.connection.introspection.get_constraints(cursor, table)
        indexed = any(
            constraint["columns"][:1] == [name]
            for constraint in constraints.values()
            if constraint["index"] or constraint["unique"] or constraint["primary_key"]
        )
        self._check(
            indexed,
            Severity.WARNING,
            "not_indexed",
            table,
            f"No index of {table} begins with {name}: policies make every read a scan.",
            f"Add an index on {name}.",
        )

    def _row_level_security(self) -> None:
        state = {
            table: (enabled, forced)
            for table, enabled, forced in self._rows(
                "select c.relname, c.relrowsecurity, c.relforcerowsecurity from pg_class c "
                "join pg_namespace n on n.oid = c.relnamespace "
                "where n.nspname = current_schema() and c.relkind in ('r', 'p')"
            )
        }
        found: dict[str, dict[str, tuple[str, str]]] = {}
        for table, name, command, roles in self._rows(
            "select tablename, policyname, cmd, array_to_string(roles, ',') from pg_policies "
            "where schemaname = current_schema()"
        ):
            found.setdefault(table, {})[name] = (command, roles)
        for table, protection in sorted(TABLES.items()):
            if table not in state:
                continue
            enabled, forced = state[table]
            self._check(
                enabled,
                Severity.ERROR,
                "rls_off",
                table,
                f"Row-level security is off for {table}.",
                "Run manage.py migrate, which puts it back.",
            )
            self._check(
                forced or not protection.forced,
                Severity.ERROR,
                "rls_not_forced",
                table,
                f"Row-level security of {table} does not bind its owner.",
                "Run manage.py migrate, which puts it back.",
            )
            wanted = policies_of(protection)
            there = found.get(table, {})
            missing = sorted(name for name, what in wanted.items() if there.get(name) != what)
            self._check(
                not missing,
                Severity.ERROR,
                "policy_missing",
                table,
                f"{table} lacks its policy {', '.join(missing)}.",
                "Run manage.py migrate, which puts it back.",
            )
            strange = sorted(there.keys() - wanted.keys())
            self._check(
                not strange,
                Severity.ERROR,
                "policy_unknown",
                table,
                f"{table} has a policy that nobody described: {', '.join(strange)}.",
                "Drop it, or classify the table anew in flags.policies.",
            )

    def _roles(self) -> None:
        for role, *powers in self._rows(
            "select rolname, rolsuper, rolbypassrls, rolcanlogin from pg_roles where rolname in (%s, %s)",
            (TENANT_ROLE, CONSOLE_ROLE),
        ):
            self._check(
                not any(powers),
                Severity.ERROR,
                "role_too_strong",
                role,
                f"The role {role} may log in, or pass row-level security.",
                f"alter role {role} nologin nosuperuser nobypassrls.",
            )
        writable = self._rows(
            "select c.relname, p.privilege from pg_class c join pg_namespace n on n.oid = c.relnamespace, "
            "unnest(array['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) as p (privilege) "
            "where n.nspname = current_schema() and c.relkind in ('r', 'p') and c.relname like any (%s) "
            "and has_table_privilege(%s, c.oid, p.privilege) order by 1, 2",
            (["flags\\_%", "tenants\\_%"], TENANT_ROLE),
        )
        for table in sorted({table for table, _ in writable}):
            verbs = ", ".join(privilege.lower() for name, privilege in writable if name == table)
            self._check(
                False,
                Severity.ERROR,
                "tenant_may_write",
                table,
                f"Company people's role may {verbs} in {table}.",
                f"revoke {verbs} on {table} from {TENANT_ROLE}.",
            )
        self.checks += 1
        for table, column in (
            ("tenants_user", "password"),
            ("tenants_apitoken", "digest"),
            ("tenants_refreshtoken", "digest"),
        ):
            readable = self._rows("select has_column_privilege(%s, %s, %s, 'SELECT')", (TENANT_ROLE, table, column))
            self._check(
                not readable[0][0],
                Severity.ERROR,
                "secret_readable",
                table,
                f"Company people's role may read {table}.{column}.",
                f"revoke select on {table} from {TENANT_ROLE}, and migrate.",
            )
        public = self._rows(
            "select c.relname, string_agg(a.privilege_type, ', ') from pg_class c "
            "join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) a "
            "where n.nspname = current_schema() and c.relkind in ('r', 'p', 'v', 'm') and a.grantee = 0 group by 1"
        )
        self.checks += 1
        for table, verbs in public:
            self._check(
                False,
                Severity.ERROR,
                "granted_to_public",
                table,
                f"Every role of the server may {verbs.lower()} {table}.",
                f"revoke all on {table} from public.",
            )

    def _functions(self) -> None:
        loose = self._rows(
            "select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace "
            "where n.nspname = current_schema() and p.prosecdef "
            "and not exists (select from unnest(p.proconfig) as c (setting) where c.setting like 'search_path=%%')"
        )
        self.checks += 1
        for (function,) in loose:
            self._check(
                False,
                Severity.ERROR,
                "definer_without_search_path",
                function,
                f"{function} runs with its owner's rights and looks for tables wherever the caller says.",
                f"alter function {function} set search_path = pg_catalog, public, pg_temp.",
            )

    # Data

    def data(self, company_id: UUID | None) -> None:
        """Count rows that stand where none should, and settings that look forgotten."""
        for check in DATA_CHECKS:
            condition, params = "", []
            if company_id is not None:
                condition = f" and {check.company} = %s"
                params = [company_id if self.postgres else company_id.hex]
            count = self._rows(check.sql + condition, params)[0][0]
            self._check(
                not count,
                check.severity,
                check.check,
                check.table,
                check.message.format(count=count),
                check.remedy,
            )

    # Probes

    def probes(self) -> None:
        """Try to get from one company to another under the real role."""
        if not self.postgres:
            self.skipped.append("SQLite has no roles: nothing could be probed.")
            return
        for attempt in probe(self.connection.alias):
            self._check(
                attempt.held,
                Severity.ERROR,
                "probe",
                attempt.table,
                f"{attempt.what} {attempt.table}: {attempt.outcome}.",
                "Compare its policies with flags.policies, and run manage.py migrate.",
            )


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
