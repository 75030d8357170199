"""Live attempts to get from one company to another, under the role of company people, in a transaction rolled back."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from django.apps import apps
from django.db import DatabaseError, connections, transaction
from django.db.models import Model
from django.utils import timezone

from flags.models import Change, ChannelDefault, Flag, Grant, OptIn, Override
from flags.policies import TABLES
from flags.releasemodels import Mail, Usage
from tenants.models import ApiToken, Company, CompanySettings, Membership, Role, User
from tenants.rls import TENANT_ROLE, Binding, acting_as_system, bound


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. `held` is whether the wall did."""

    table: str
    what: str
    held: bool
    outcome: str


class _RolledBack(Exception):
    """Ends the transaction of the probes, so that nothing of them stays."""


def probe(using: str) -> list[Attempt]:
    """Make two companies with a row in every table, try every way across, and leave no trace. PostgreSQL only."""
    attempts: list[Attempt] = []
    try:
        with transaction.atomic(using=using), acting_as_system("make two companies to probe with"):
            ours, theirs = _company("ours"), _company("theirs")
            for role in Role.values:
                person = User.objects.create_user(f"probe-{uuid.uuid4().hex}@probe.invalid")
                Membership.objects.create(company=ours, user=person, role=role)
                with bound(Binding(TENANT_ROLE, ours.pk, person.pk, role)):
                    attempts += _across(using, theirs, role)
            with bound(Binding(TENANT_ROLE)):
                attempts += _unbound(using)
            raise _RolledBack
    except _RolledBack:
        pass
    except DatabaseError as error:
        # Walls that even Headgate itself cannot pass are no better than none: nobody could say what they hold.
        state = getattr(error.__cause__, "sqlstate", "") or type(error).__name__
        attempts.append(Attempt("every table", "Headgate makes companies to probe with in", False, f"error {state}"))
    return attempts


def _company(name: str) -> Company:
    """Make a company with one row of its own in every table that has a company."""
    slug = f"probe-{name}-{uuid.uuid4().hex[:12]}"
    company = Company.objects.create(slug=slug, name=slug)
    person = User.objects.create_user(f"{slug}@probe.invalid")
    key = f"probe_{uuid.uuid4().hex[:16]}"
    flag = Flag.objects.create(key=key, name=key, is_internal=True)
    ChannelDefault.objects.create(flag=flag, channel=company.channel, enabled=True)
    CompanySettings.objects.create(company=company)
    Membership.objects.create(company=company, user=person)
    ApiToken.objects.create(name=slug, company=company, public_id=uuid.uuid4().hex[:16], digest="0" * 64)
    Override.objects.create(company=company, flag=flag, enabled=True)
    OptIn.objects.create(company=company, flag=flag, enabled=True)
    Grant.objects.create(company=company, user=person, flag=flag)
    Change.objects.create(actor="probe", via="system", verb="probe", company_id=company.pk, company_slug=slug)
    Usage.objects.create(company=company, flag=flag, day=timezone.now().date(), last_at=timezone.now())
    Mail.objects.create(company=company, to=person.email, subject=slug, body=slug)
    return company


def _models() -> Iterator[tuple[type[Model], str]]:
    """Return every model whose table has a company, with the field that names it."""
    for model in apps.get_models():
        table = model._meta.db_table
        if table in TABLES and TABLES[table].kind == "company" and table != "flags_version":
            yield model, "id" if model is Company else "company_id"


def _across(using: str, theirs: Company, role: str) -> Iterator[Attempt]:
    for model, column in _models():
        table = model._meta.db_table
        primary = model._meta.pk.column or column  # One of several columns has none of its own.
        foreign = f"{column} = %s"
        tries = (
            ("reads rows of another company in", f"select count(*) from {table} where {foreign}"),
            ("locks rows of another company in", f"select 1 from {table} where {foreign} for update"),
            ("changes rows of another company in", f"update {table} set {column} = {column} where {foreign}"),
            ("deletes rows of another company in", f"delete from {table} where {foreign}"),
            (
                "copies rows into another company in",
                f"insert into {table} ({primary}, {column}) select gen_random_uuid(), %s"
                if column != "id" and primary not in (column, "id")
                else f"insert into {table} ({column}) values (%s)",
            ),
        )
        for what, sql in tries:
            yield _attempt(using, table, f"A {role} {what}", sql, theirs)
    yield _function(using, role)


def _attempt(using: str, table: str, what: str, sql: str, theirs: Company) -> Attempt:
    """Run one statement. Zero rows or a refusal is a wall that holds."""
    try:
        with transaction.atomic(using=using), connections[using].cursor() as cursor:
            cursor.execute(sql, [theirs.pk])
            if sql.startswith("select count"):
                rows = cursor.fetchone()[0]
            elif sql.startswith("select"):
                rows = len(cursor.fetchall())
            else:
                rows = cursor.rowcount
    except DatabaseError as error:
        state = getattr(error.__cause__, "sqlstate", "") or ""
        # 42501: refused by right or policy. Anything else stopped it by accident, and may not stop the next one.
        held = state == "42501"
        return Attempt(table, what, held, "refused" if held else f"stopped only by error {state}")
    return Attempt(table, what, rows == 0, f"{rows} rows")


def _function(using: str, role: str) -> Attempt:
    """The SQL functions answer for the bound company, and do not list internal flags."""
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("select count(*) from list_feature_flags() l where l.feature_key like 'probe\\_%'")
        listed = cursor.fetchone()[0]
    return Attempt("list_feature_flags()", f"A {role} lists internal flags with", listed == 0, f"{listed} flags")


def _unbound(using: str) -> Iterator[Attempt]:
    """The role without a company sees nobody's rows."""
    for model, _ in _models():
        table = model._meta.db_table
        try:
            with transaction.atomic(using=using), connections[using].cursor() as cursor:
                cursor.execute(f"select count(*) from {table}")
                rows = cursor.fetchone()[0]
        except DatabaseError as error:
            held = (getattr(error.__cause__, "sqlstate", "") or "") == "42501"
            yield Attempt(table, "Somebody of no company reads", held, "refused")
            continue
        yield Attempt(table, "Somebody of no company reads", rows == 0, f"{rows} rows")
