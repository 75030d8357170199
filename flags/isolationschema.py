"""Is every wall there? Reads the catalogue of the database, and no row."""

from django.db import DEFAULT_DB_ALIAS

from flags.isolationfindings import Finding, Findings, Severity
from flags.policies import TABLES, UNPROTECTED, Protection, policies_of
from tenants.rls import CONSOLE_ROLE, TENANT_ROLE


def missing_walls(using: str = DEFAULT_DB_ALIAS) -> list[Finding]:
    """Return what the schema lacks, without probing and without looking at a row: quick enough for every start."""
    findings = Findings(using)
    look(findings)
    return findings.found


def look(findings: Findings) -> None:
    """Look at every table that has a company, and at what roles and functions may do."""
    columns = _company_columns(findings)
    for table in sorted(columns):
        findings.check(
            table in TABLES or table in UNPROTECTED,
            Severity.ERROR,
            "unclassified",
            table,
            f"{table} has a company, and nobody has said how it is protected.",
            "Classify it with flags.policies.classify, and migrate.",
        )
    for table, protection in sorted(TABLES.items()):
        if protection.kind == "company" and table in columns:
            _company_column(findings, table, columns[table], protection)
    if not findings.postgres:
        findings.skipped.append("SQLite has no row-level security, roles or functions: policies were not looked at.")
        return
    _row_level_security(findings)
    _roles(findings)
    _functions(findings)


def _company_columns(findings: Findings) -> dict[str, tuple[str, bool]]:
    """Return, by table, the column that names a company and whether it may be null."""
    if findings.postgres:
        rows = findings.rows(
            "select c.relname, a.attname, not a.attnotnull from pg_attribute a "
            "join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace "
            "where n.nspname = current_schema() and c.relkind in ('r', 'p') and not a.attisdropped "
            "and (a.attname = 'company_id' or exists (select from pg_constraint k "
            "  where k.conrelid = c.oid and k.contype = 'f' and k.confrelid = to_regclass('tenants_company') "
            "  and a.attnum = any (k.conkey)))"
        )
        return {table: (column, nullable) for table, column, nullable in rows}
    found = {}
    for table in findings.connection.introspection.table_names():
        for _, name, _, not_null, _, _ in findings.rows(f'pragma table_info("{table}")'):
            if name == "company_id":
                found[table] = (name, not not_null)
    return found


def _company_column(findings: Findings, table: str, column: tuple[str, bool], protection: Protection) -> None:
    name, nullable = column
    findings.check(
        not nullable or protection.nullable,
        Severity.ERROR,
        "nullable",
        table,
        f"{table}.{name} may be null: a row could belong to nobody.",
        f"Make the column NOT NULL, or say in its classification why it may be.{' ' + protection.why}",
    )
    with findings.connection.cursor() as cursor:
        constraints = findings.connection.introspection.get_constraints(cursor, table)
    indexed = any(
        constraint["columns"][:1] == [name]
        for constraint in constraints.values()
        if constraint["index"] or constraint["unique"] or constraint["primary_key"]
    )
    findings.check(
        indexed,
        Severity.WARNING,
        "not_indexed",
        table,
        f"No index of {table} begins with {name}: policies make every read a scan.",
        f"Add an index on {name}.",
    )


def _row_level_security(findings: Findings) -> None:
    state = {
        table: (enabled, forced)
        for table, enabled, forced in findings.rows(
            "select c.relname, c.relrowsecurity, c.relforcerowsecurity from pg_class c "
            "join pg_namespace n on n.oid = c.relnamespace "
            "where n.nspname = current_schema() and c.relkind in ('r', 'p')"
        )
    }
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for table, name, command, roles in findings.rows(
        "select tablename, policyname, cmd, array_to_string(roles, ',') from pg_policies "
        "where schemaname = current_schema()"
    ):
        found.setdefault(table, {})[name] = (command, roles)
    for table, protection in sorted(TABLES.items()):
        if table not in state:
            continue
        enabled, forced = state[table]
        findings.check(
            enabled,
            Severity.ERROR,
            "rls_off",
            table,
            f"Row-level security is off for {table}.",
            "Run manage.py migrate, which puts it back.",
        )
        findings.check(
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
        findings.check(
            not missing,
            Severity.ERROR,
            "policy_missing",
            table,
            f"{table} lacks its policy {', '.join(missing)}.",
            "Run manage.py migrate, which puts it back.",
        )
        strange = sorted(there.keys() - wanted.keys())
        findings.check(
            not strange,
            Severity.ERROR,
            "policy_unknown",
            table,
            f"{table} has a policy that nobody described: {', '.join(strange)}.",
            "Drop it, or classify the table anew in flags.policies.",
        )


def _roles(findings: Findings) -> None:
    for role, *powers in findings.rows(
        "select rolname, rolsuper, rolbypassrls, rolcanlogin from pg_roles where rolname in (%s, %s)",
        (TENANT_ROLE, CONSOLE_ROLE),
    ):
        findings.check(
            not any(powers),
            Severity.ERROR,
            "role_too_strong",
            role,
            f"The role {role} may log in, or pass row-level security.",
            f"alter role {role} nologin nosuperuser nobypassrls.",
        )
    writable = findings.rows(
        "select c.relname, p.privilege from pg_class c join pg_namespace n on n.oid = c.relnamespace, "
        "unnest(array['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) as p (privilege) "
        "where n.nspname = current_schema() and c.relkind in ('r', 'p') and c.relname like any (%s) "
        "and has_table_privilege(%s, c.oid, p.privilege) order by 1, 2",
        (["flags\\_%", "tenants\\_%"], TENANT_ROLE),
    )
    for table in sorted({table for table, _ in writable}):
        verbs = ", ".join(privilege.lower() for name, privilege in writable if name == table)
        findings.check(
            False,
            Severity.ERROR,
            "tenant_may_write",
            table,
            f"Company people's role may {verbs} in {table}.",
            f"revoke {verbs} on {table} from {TENANT_ROLE}.",
        )
    findings.checks += 1
    for table, column in (
        ("tenants_user", "password"),
        ("tenants_apitoken", "digest"),
        ("tenants_refreshtoken", "digest"),
    ):
        readable = findings.rows("select has_column_privilege(%s, %s, %s, 'SELECT')", (TENANT_ROLE, table, column))
        findings.check(
            not readable[0][0],
            Severity.ERROR,
            "secret_readable",
            table,
            f"Company people's role may read {table}.{column}.",
            f"revoke select on {table} from {TENANT_ROLE}, and migrate.",
        )
    public = findings.rows(
        "select c.relname, string_agg(a.privilege_type, ', ') from pg_class c "
        "join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) a "
        "where n.nspname = current_schema() and c.relkind in ('r', 'p', 'v', 'm') and a.grantee = 0 group by 1"
    )
    findings.checks += 1
    for table, verbs in public:
        findings.check(
            False,
            Severity.ERROR,
            "granted_to_public",
            table,
            f"Every role of the server may {verbs.lower()} {table}.",
            f"revoke all on {table} from public.",
        )


def _functions(findings: Findings) -> None:
    loose = findings.rows(
        "select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace "
        "where n.nspname = current_schema() and p.prosecdef "
        "and not exists (select from unnest(p.proconfig) as c (setting) where c.setting like 'search_path=%%')"
    )
    findings.checks += 1
    for (function,) in loose:
        findings.check(
            False,
            Severity.ERROR,
            "definer_without_search_path",
            function,
            f"{function} runs with its owner's rights and looks for tables wherever the caller says.",
            f"alter function {function} set search_path = pg_catalog, public, pg_temp.",
        )
