"""No way of changing a rule goes unseen, and what may not be changed is not."""

import time
import uuid
from collections.abc import Callable
from functools import partial

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import Model
from django.utils import timezone

from flags import triggers
from flags.models import Change, ChannelDefault, Flag, Grant, OptIn, Override, Requirement, RetiredKey, Version
from flags.versions import NIL, TOKENS, as_stored
from tenants import rls
from tenants.models import ApiToken, Company, Membership, Plan, ReleaseChannel
from tests.factories import (
    ApiTokenFactory,
    ChangeFactory,
    ChannelDefaultFactory,
    CompanyFactory,
    FlagFactory,
    GrantFactory,
    MembershipFactory,
    OptInFactory,
    OverrideFactory,
    PlanFactory,
    ReleaseChannelFactory,
    RequirementFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

# What is made anew for each case: a row, another like it not yet saved, and a harmless column to change.
ROWS: dict[str, tuple[type[Model], Callable[[Company], Model], str]] = {
    "flag": (Flag, lambda company: FlagFactory(), "description"),
    "requirement": (Requirement, lambda company: RequirementFactory(), "flag_id"),
    "channel default": (ChannelDefault, lambda company: ChannelDefaultFactory(), "percentage"),
    "release channel": (ReleaseChannel, lambda company: ReleaseChannelFactory(), "name"),
    "plan": (Plan, lambda company: PlanFactory(), "name"),
    "override": (Override, lambda company: OverrideFactory(company=company), "reason"),
    "opt-in": (OptIn, lambda company: OptInFactory(company=company), "enabled"),
    "grant": (Grant, lambda company: GrantFactory(company=company), "reason"),
    "membership": (Membership, lambda company: MembershipFactory(company=company), "role"),
}
OF_A_COMPANY = ("override", "opt-in", "grant", "membership")


def versions() -> dict[uuid.UUID, int]:
    return dict(Version.objects.values_list("scope", "n"))


def bumped(change: Callable[[], object]) -> set[uuid.UUID]:
    """Return the scopes that have a new version after `change`, tokens aside. Versions only ever grow."""
    before = versions()
    change()
    after = versions()
    assert all(after[scope] >= n for scope, n in before.items())
    return {scope for scope, n in after.items() if before.get(scope) != n} - {TOKENS}


def sql(statement: str, *params: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def values(row: Model) -> dict[str, object]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def another(row: Model) -> Model:
    """A second row that may stand beside this one: its unique parts are its own."""
    fresh = values(row)
    fresh["pk"] = fresh.pop(row._meta.pk.attname)
    if isinstance(row, Flag | ReleaseChannel | Plan):
        fresh["pk"] = f"{row.pk}_two" if isinstance(row, Flag) else f"{row.pk}-two"
        if not isinstance(row, Flag):
            fresh["rank"] = row.rank + 500
    else:
        fresh["pk"] = uuid.uuid4()
    if "flag_id" in fresh:
        fresh["flag_id"] = FlagFactory().pk
    if isinstance(row, Membership):
        fresh["user_id"] = UserFactory().pk
        fresh["is_home"] = False
    return type(row)(**fresh)


def insert_by_sql(row: Model) -> None:
    names, cells = [], []
    for field in row._meta.concrete_fields:
        names.append(field.column)
        cells.append(field.get_db_prep_save(getattr(row, field.attname), connection))
    sql(f"insert into {row._meta.db_table} ({', '.join(names)}) values ({', '.join(['%s'] * len(cells))})", *cells)


WAYS: dict[str, Callable[[Model, str], Callable[[], object]]] = {
    "insert": lambda row, column: another(row).save,
    "bulk insert": lambda row, column: partial(type(row).objects.bulk_create, [another(row)]),
    "insert by SQL": lambda row, column: partial(insert_by_sql, another(row)),
    "save": lambda row, column: row.save,
    "update": lambda row, column: lambda: type(row).objects.filter(pk=row.pk).update(**{column: getattr(row, column)}),
    "bulk update": lambda row, column: lambda: type(row).objects.bulk_update([row], [column.removesuffix("_id")]),
    "update by SQL": lambda row, column: lambda: sql(f"update {row._meta.db_table} set {column} = {column}"),
    "delete": lambda row, column: row.delete,
    "bulk delete": lambda row, column: type(row).objects.filter(pk=row.pk).delete,
    "delete by SQL": lambda row, column: (
        lambda: sql(
            f"delete from {row._meta.db_table} where {row._meta.pk.column} = %s",
            row._meta.pk.get_db_prep_value(row.pk, connection),
        )
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ROWS)
def test_every_change_of_every_table_by_every_way_makes_a_new_version(kind, way, acme):
    neighbour = CompanyFactory()
    _, make, column = ROWS[kind]
    change = WAYS[way](make(acme), column)
    scopes = bumped(change)
    assert (acme.pk if kind in OF_A_COMPANY else NIL) in scopes
    assert neighbour.pk not in scopes
    if kind in OF_A_COMPANY:
        assert NIL not in scopes


@pytest.mark.postgres
@pytest.mark.parametrize("kind", ROWS)
def test_emptying_a_table_makes_a_new_version_of_all_it_touches(kind, acme):
    model, make, _ = ROWS[kind]
    make(acme)
    sql("set constraints all immediate")
    with rls.acting_as_nobody():  # The owner of the tables may; Headgate's roles may not.
        scopes = bumped(lambda: sql(f"truncate {model._meta.db_table} cascade"))
    assert (acme.pk if kind in OF_A_COMPANY else NIL) in scopes


def test_a_row_that_moves_to_another_company_makes_a_new_version_of_both(acme, globex):
    override = OverrideFactory(company=acme)
    assert bumped(lambda: Override.objects.filter(pk=override.pk).update(company=globex)) == {acme.pk, globex.pk}


def test_a_statement_that_touches_many_companies_makes_a_new_version_of_each(acme, globex):
    flag, third = FlagFactory(), CompanyFactory()
    rows = [Override(company=company, flag=flag, enabled=True) for company in (acme, globex, third)]
    assert bumped(lambda: Override.objects.bulk_create(rows)) == {acme.pk, globex.pk, third.pk}
    assert bumped(lambda: Override.objects.exclude(company=third).update(enabled=False)) == {acme.pk, globex.pk}


@pytest.mark.parametrize(("field", "value"), [("channel_id", "pilot"), ("plan_id", "enterprise"), ("is_active", False)])
def test_what_a_company_is_answered_by_makes_a_new_version_of_it(acme, globex, field, value):
    assert bumped(lambda: Company.objects.filter(pk=acme.pk).update(**{field: value})) == {acme.pk}
    assert bumped(lambda: Company.objects.filter(pk=acme.pk).update(**{field: value})) == set()


def test_what_a_company_is_called_is_no_new_version(acme):
    assert (
        bumped(lambda: Company.objects.filter(pk=acme.pk).update(name="Acme and Sons", slug="acme-and-sons")) == set()
    )


def test_making_and_deleting_a_company_makes_a_new_version_of_it():
    company = Company(slug="new", name="New")
    assert bumped(company.save) == {company.pk}
    pk = company.pk
    assert bumped(company.delete) == {pk}


def test_a_plan_that_changes_its_rank_makes_a_new_version_of_every_company(acme, globex):
    plan = Plan.objects.get(pk="pro")
    plan.rank = 77
    assert bumped(plan.save) >= {NIL, acme.pk, globex.pk}


def test_deleting_a_flag_makes_a_new_version_of_whoever_had_an_answer_of_its_own(acme, globex):
    flag = OverrideFactory(company=acme).flag
    assert bumped(flag.delete) == {NIL, acme.pk}


TOKEN_CHANGES = {
    "made": lambda token: ApiTokenFactory(),
    "revoked": lambda token: ApiToken.objects.filter(pk=token.pk).update(revoked_at=timezone.now()),
    "expires": lambda token: ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now()),
    "may less": lambda token: ApiToken.objects.filter(pk=token.pk).update(scopes=[]),
    "deleted by SQL": lambda token: sql("delete from tenants_apitoken"),
    "its company is renamed": lambda token: Company.objects.filter(pk=token.company_id).update(slug="another"),
    "its company is inactive": lambda token: Company.objects.filter(pk=token.company_id).update(is_active=False),
    "its company is deleted": lambda token: Company.objects.get(pk=token.company_id).delete(),
}


@pytest.mark.parametrize("change", TOKEN_CHANGES)
def test_whatever_is_known_by_a_token_makes_a_new_version_of_tokens(acme, change):
    token = ApiTokenFactory(company=acme)
    before = versions()[TOKENS]
    TOKEN_CHANGES[change](token)
    assert versions()[TOKENS] > before


def test_using_a_token_is_no_new_version(acme):
    token = ApiTokenFactory(company=acme)
    before = versions()
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=timezone.now())
    assert versions() == before


@pytest.mark.django_db(transaction=True)
def test_a_new_version_becomes_visible_with_the_change_and_goes_with_it():
    flag = FlagFactory()

    def taken_back() -> None:
        with transaction.atomic():
            Flag.objects.filter(pk=flag.pk).update(default_enabled=True)
            transaction.set_rollback(True)

    assert bumped(taken_back) == set()
    assert bumped(lambda: Flag.objects.filter(pk=flag.pk).update(default_enabled=True)) == {NIL}


@pytest.mark.django_db(transaction=True)
def test_a_version_is_never_given_twice_not_even_after_it_was_taken_back():
    flag = FlagFactory()
    given: list[int] = []
    for number in range(40):
        with transaction.atomic():
            Flag.objects.filter(pk=flag.pk).update(default_enabled=True)
            given.append(Version.objects.get(scope=NIL).n)
            transaction.set_rollback(number % 2 == 0)
        time.sleep(0.002)  # SQLite's clock ticks in milliseconds.
    assert given == sorted(set(given))


def test_a_version_that_lies_ahead_of_the_clock_still_grows():
    ahead = int((time.time() + 86_400) * 1_000_000)
    with rls.acting_as_nobody():
        Version.objects.filter(scope=NIL).update(n=ahead)
    assert bumped(FlagFactory) >= {NIL}
    assert ahead < Version.objects.get(scope=NIL).n < ahead + 10


@pytest.mark.postgres
def test_the_planner_writes_the_next_version_out_instead_of_calling_a_function_for_each():
    with rls.acting_as_nobody(), connection.cursor() as cursor:
        cursor.execute("explain (verbose) update flags_version set n = flags_next_version(n)")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "clock_timestamp()" in plan
    assert "flags_next_version" not in plan


# History, keys, grants


def visible_to_the_owner(table: str) -> None:
    """Let the owner of a table get at its rows, so that what refuses is the trigger and not row-level security."""
    if connection.vendor == "postgresql":
        sql(f"alter table {table} no force row level security")


ATTEMPTS_ON_HISTORY = {
    "both": ["update flags_change set actor = 'somebody else'", "delete from flags_change"],
    "postgresql": ["truncate flags_change"],
    "sqlite": ["insert or replace into flags_change select * from flags_change"],
}


def test_history_can_only_grow():
    ChangeFactory(actor="alice@example.com")
    with rls.acting_as_nobody():
        visible_to_the_owner("flags_change")
        for statement in (*ATTEMPTS_ON_HISTORY["both"], *ATTEMPTS_ON_HISTORY[connection.vendor]):
            with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
                sql(statement)
    assert Change.objects.get().actor == "alice@example.com"


def test_a_company_has_one_override_and_one_choice_of_a_flag_whoever_writes_them(acme):
    flag = FlagFactory(is_self_service=True)
    for table in (Override, OptIn):
        table.objects.create(company=acme, flag=flag, enabled=True)
        with pytest.raises(IntegrityError, match=r"(?i)unique"), transaction.atomic():
            table.objects.bulk_create([table(company=acme, flag=flag, enabled=False)])
        assert table.objects.get(company=acme, flag=flag).enabled


def test_a_flag_leaves_its_key_behind_for_ever():
    FlagFactory(key="gone_flag").delete()
    assert RetiredKey.objects.get(pk="gone_flag").retired_at <= timezone.now()
    row = FlagFactory.build(key="gone_flag", created_at=timezone.now(), updated_at=timezone.now())
    for make in (row.save, lambda: Flag.objects.bulk_create([row]), lambda: insert_by_sql(row)):
        with pytest.raises(IntegrityError, match="never be used again"), transaction.atomic():
            make()
    assert not Flag.objects.filter(key="gone_flag").exists()


def test_a_key_is_permanent():
    FlagFactory(key="first_name")
    with pytest.raises(IntegrityError, match="permanent"), transaction.atomic():
        Flag.objects.filter(key="first_name").update(key="second_name")
    assert bumped(lambda: Flag.objects.filter(key="first_name").update(key="first_name")) == {NIL}


@pytest.mark.parametrize("way", ["delete", "bulk", "sql"])
def test_whoever_leaves_a_company_leaves_its_grants(way, acme, globex):
    membership = MembershipFactory(company=acme)
    flag = FlagFactory()
    GrantFactory(company=acme, user=membership.user, flag=flag)
    kept = [GrantFactory(company=globex, user=membership.user, flag=flag), GrantFactory(company=acme, flag=flag)]
    {
        "delete": membership.delete,
        "bulk": Membership.objects.filter(pk=membership.pk).delete,
        "sql": lambda: sql("delete from tenants_membership where id = %s", as_stored(membership.pk, connection.vendor)),
    }[way]()
    assert set(Grant.objects.all()) == set(kept)


# In their places


def test_all_triggers_are_in_their_places():
    assert triggers.missing(connection) == []


@pytest.mark.parametrize("name", ["flags_bump_truncate", "flags_append_only"])
@pytest.mark.postgres
def test_a_trigger_that_was_switched_off_is_missed(name):
    table = {"flags_bump_truncate": "flags_grant", "flags_append_only": "flags_change"}[name]
    with rls.acting_as_nobody():
        sql(f"alter table {table} disable trigger {name}")
    assert triggers.missing(connection) == [f"{table}.{name}"]


@pytest.mark.django_db(transaction=True)
def test_a_table_that_a_migration_rebuilds_gets_its_triggers_back_and_what_was_missed_is_seen():
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite rebuilds tables")
    override = OverrideFactory()
    with connection.schema_editor() as editor:
        editor._remake_table(Override)
    assert triggers.missing(connection) == [
        f"flags_override.flags_{kind}_{event}_flags_override"
        for kind in ("bump", "tally")
        for event in ("delete", "insert", "update")
    ]
    assert bumped(lambda: Override.objects.update(enabled=False)) == set()
    assert bumped(lambda: triggers.after_migrate("default")) >= {NIL, override.company_id}
    assert triggers.missing(connection) == []
    assert bumped(lambda: Override.objects.update(enabled=True)) == {override.company_id}


@pytest.mark.django_db(transaction=True)
def test_migrating_again_is_no_change():
    FlagFactory()
    with rls.acting_as_nobody():
        assert bumped(lambda: triggers.after_migrate("default")) == set()
