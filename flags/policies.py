"""Row-level security for every table: who may see and write which rows, said once.

Put in place after every migrate.

Policies are given to roles, so that each is a plain condition on an indexed column. `FORCE` binds the tables' owner
too: with nobody bound, nobody sees anything. Every table of ours is classified here; an audit fails on one that is not.
"""

from dataclasses import dataclass
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from flags import placing, sqlanswers
from tenants import guard, roles
from tenants.rls import CONSOLE_ROLE, TENANT_ROLE

OWN_COMPANY = "company_id = (select flags_bound_company())"
# A login that inherits the rights of a role is under its policies too, without having become it. Not an equation,
# because the planner takes that to hold for five rows in a thousand, and plans for as few (docs/adr/0015).
IS_CONSOLE = f"(case current_user when '{CONSOLE_ROLE}' then true end) is not null"
IS_TENANT = f"(case current_user when '{TENANT_ROLE}' then true end) is not null"
READERS_COMPANY = "company_id = (select flags_reading_company())"
# A subquery in a policy is itself subject to the policies of what it reads: internal flags are not there.
VISIBLE_FLAG = "exists (select from flags_flag f where f.key = flag_id)"


@dataclass(frozen=True, slots=True)
class Protection:
    """How one table is protected. `reads` is what company people may read of it, or None for nothing at all.

    `kind`: company (has a company's rows), shared (rules that all companies rest on), people, infrastructure (neither).
    `forced` is off only where the login itself must read before anybody is known, for the reason that `why` gives.
    """

    kind: str
    reads: str | None = None
    forced: bool = True
    nullable: bool = False
    why: str = ""


TABLES: dict[str, Protection] = {
    "tenants_company": Protection("company", "id = (select flags_bound_company())"),
    "tenants_nametrigram": Protection("company", OWN_COMPANY),
    "tenants_membership": Protection("company", OWN_COMPANY),
    "tenants_companysettings": Protection("company", OWN_COMPANY),
    "tenants_apitoken": Protection("company", nullable=True, why="a server key may serve every company"),
    "tenants_user": Protection(
        "people",
        "id = (select flags_bound_person()) "
        "or exists (select from tenants_membership m where m.user_id = tenants_user.id)",
        forced=False,
        why="people sign in before anybody is known",
    ),
    "tenants_refreshtoken": Protection("people", forced=False, why="tokens are renewed before anybody is known"),
    "flags_flag": Protection("shared", "not is_internal"),
    "flags_channeldefault": Protection("shared", VISIBLE_FLAG),
    "flags_requirement": Protection("shared", VISIBLE_FLAG),
    "flags_override": Protection("company", f"{READERS_COMPANY} and {VISIBLE_FLAG}"),
    "flags_optin": Protection("company", f"{READERS_COMPANY} and {VISIBLE_FLAG}"),
    "flags_grant": Protection("company", f"{READERS_COMPANY} and {VISIBLE_FLAG}"),
    "flags_change": Protection(
        "company",
        f"{READERS_COMPANY} and (flag = '' or exists (select from flags_flag f where f.key = flag))",
        nullable=True,
        why="a change to a flag concerns every company",
    ),
    "flags_release": Protection("shared", VISIBLE_FLAG),
    "flags_gate": Protection("shared"),
    "flags_gatesignoff": Protection("shared"),
    "flags_promotion": Protection("shared"),
    "flags_usage": Protection("company", f"{READERS_COMPANY} and {VISIBLE_FLAG}"),
    "flags_dailyusage": Protection("shared"),
    "flags_mail": Protection("company", nullable=True, why="a message may concern no single company"),
    "flags_isolationaudit": Protection("shared"),
    "flags_batch": Protection("people"),
    "flags_savedview": Protection("people"),
    "flags_version": Protection(
        "company",
        "scope = (select flags_bound_company()) or scope = '00000000-0000-0000-0000-000000000000'",
        forced=False,
        why="triggers bump versions as the tables' owner",
    ),
}
UNPROTECTED: dict[str, str] = {
    "tenants_releasechannel": "the rings are the same for everybody",
    "tenants_plan": "the plans are the same for everybody",
    "tenants_signinfailure": "digests and counts; read before anybody is known, granted to no role",
    "flags_gatetemplate": "what gates there are; granted to no company role",
    "flags_tally": "how many of what there are; granted to no company role",
    "flags_retiredkey": "keys that are gone; granted to no company role",
    "flags_answeredcall": "answers kept for callers who repeat a call; granted to no company role",
}


def classify(table: str, protection: Protection) -> None:
    """Say how a table of the host application is protected, so that policies and the audit know it.

    Call it while the application starts, for a table that has a company's rows.
    """
    TABLES[table] = protection
    watch()


def watch() -> None:
    """Have requests refused that touch what policies guard while nobody is bound."""
    guard.watch(table for table, protection in TABLES.items() if protection.forced)


def policies_of(protection: Protection) -> dict[str, tuple[str, str]]:
    """Return the policies a table so protected has: name to command and role."""
    policies = {"console_all": ("ALL", CONSOLE_ROLE)}
    if protection.reads is not None:
        policies["company_reads"] = ("SELECT", TENANT_ROLE)
    if not protection.forced:
        policies["login_all"] = ("ALL", "public")
    return policies


def _policies(table: str, protection: Protection) -> list[str]:
    statements = [
        f"alter table {table} enable row level security",
        f"alter table {table} {'force' if protection.forced else 'no force'} row level security",
        f"drop policy if exists console_all on {table}",
        f"create policy console_all on {table} for all to {CONSOLE_ROLE} "
        f"using ({IS_CONSOLE}) with check ({IS_CONSOLE})",
        f"drop policy if exists company_reads on {table}",
    ]
    if protection.reads is not None:
        statements.append(
            f"create policy company_reads on {table} for select to {TENANT_ROLE} "
            f"using ({IS_TENANT} and ({protection.reads}))"
        )
    if not protection.forced:
        # For a login that does not own the tables: it signs people in, and reads the global version, unbound.
        statements.append(f"drop policy if exists login_all on {table}")
        statements.append(
            f"create policy login_all on {table} for all to public "
            f"using (current_user not in ('{TENANT_ROLE}', '{CONSOLE_ROLE}')) "
            f"with check (current_user not in ('{TENANT_ROLE}', '{CONSOLE_ROLE}'))"
        )
    return statements


def install(connection: BaseDatabaseWrapper) -> None:
    """Put functions and policies in their place. Safe to run again; PostgreSQL only, and only where the roles are.

    Locks no table whose policies are as they should be, and any other for as long as it takes by itself. Raises
    django.db.OperationalError where that has to wait for more than a few seconds; the next run goes on from there.
    """
    if connection.vendor != "postgresql" or not roles.ready(connection):
        return
    present = set(connection.introspection.table_names())
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if not present.issuperset(TABLES):
            # On the way back the tables that functions read are gone; people and companies stay behind their policies.
            cursor.execute("set local check_function_bodies = off")
        _install_functions(cursor)
    with connection.cursor() as cursor:
        standing = _standing(cursor, [table for table in TABLES if table in present])
    for table in standing:
        _protect(connection, table, _policies(table, TABLES[table]), *standing[table])


def _protect(connection: BaseDatabaseWrapper, table: str, statements: list[str], found: str, marked: str) -> None:
    """Put the policies of one table in their places, in a transaction of their own, unless they are there."""
    ours = "; ".join(statements)
    if marked == placing.mark(ours, found):
        return
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        placing.wait_briefly(cursor)
        for statement in statements:
            cursor.execute(statement)
        found, _ = _standing(cursor, [table])[table]
        cursor.execute(f"comment on policy console_all on {table} is '{placing.mark(ours, found)}'")


STANDING = """
select c.relname,
  concat_ws(' ', c.relrowsecurity, c.relforcerowsecurity, string_agg(
    concat_ws(' ', p.polname, p.polcmd, p.polpermissive, p.polroles::regrole[]::text,
      pg_get_expr(p.polqual, c.oid), pg_get_expr(p.polwithcheck, c.oid)), '; ' order by p.polname)),
  coalesce(max(obj_description(p.oid, 'pg_policy')) filter (where p.polname = 'console_all'), '')
from pg_class c left join pg_policy p on p.polrelid = c.oid
where c.relnamespace = current_schema()::regnamespace and c.relname = any(%s)
group by c.oid
"""


def _standing(cursor: Any, tables: list[str]) -> dict[str, tuple[str, str]]:
    """Return, by table, how it is protected now as the catalogue says it, and the mark it bears."""
    cursor.execute(STANDING, [tables])
    return {table: (found, marked) for table, found, marked in cursor.fetchall()}


def _install_functions(cursor) -> None:
    """Make the functions as the console's role. Owned by it, a definer sees what it sees, and FORCE does not blind it.

    The login itself could not replace them: it may become their owner, but need not have its rights (PostgreSQL 16).
    """
    cursor.execute(f"grant create on schema public to {CONSOLE_ROLE}")
    # A dump that was restored has given them to the login.
    cursor.execute(
        "select oid::regprocedure::text from pg_proc where pronamespace = 'public'::regnamespace "
        "and oid::regprocedure::text = any(%s) and proowner = session_user::regrole",
        [
            [
                function.replace("timestamptz", "timestamp with time zone").replace(", ", ",")
                for function in sqlanswers.FOR_THE_CONSOLE
            ]
        ],
    )
    for (function,) in cursor.fetchall():
        cursor.execute(f"alter function {function} owner to {CONSOLE_ROLE}")
    cursor.execute(f"set local role {CONSOLE_ROLE}")
    cursor.execute(sqlanswers.DECIDE_ALL)
    cursor.execute(sqlanswers.CALLERS)
    for function in sqlanswers.FOR_THE_CONSOLE:
        cursor.execute(f"revoke all on function {function} from public")
    for function in sqlanswers.FOR_TENANTS:
        cursor.execute(f"grant execute on function {function} to {TENANT_ROLE}")
    cursor.execute("set local role none")
    cursor.execute(f"revoke create on schema public from {CONSOLE_ROLE}")


def after_migrate(using: str, **_kwargs) -> None:
    """Receive `post_migrate`."""
    connection = connections[using]
    if connection.vendor == "postgresql":
        install(connection)
