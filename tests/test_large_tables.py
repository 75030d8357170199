"""Migrations of large tables keep nobody waiting: what scans or rewrites one under a lock is found in their SQL."""

import re
from collections.abc import Iterator, Sequence

import pytest
from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from tenants.operations import AddIndexConcurrently, RemoveIndexConcurrently
from tenants.rls import CONSOLE_ROLE

BEFORE_THE_FIRST_RELEASE = {"flags": "0015_answers_of_channels", "tenants": "0003_names_by_trigram"}
"""The last migrations that nobody has ever run on a table with rows in it."""

LARGE = (
    "flags_(?:change|dailyusage|grant|mail|optin|override|usage|version)",
    "tenants_(?:company|companysettings|membership|nametrigram|refreshtoken|user)",
)
"""Tables that grow with companies, people, overrides or history."""

TABLE = rf'"?(?:{"|".join(LARGE)})"?'
WAITING = {
    "builds an index": re.compile(rf"create (?:unique )?index (?!concurrently).* on {TABLE}[ (]", re.IGNORECASE),
    "checks every row": re.compile(
        rf"alter table {TABLE} .*(?:add constraint (?!.* not valid)|set not null)", re.IGNORECASE
    ),
    "writes every row": re.compile(rf"alter table {TABLE} .*alter column \S+ type|update {TABLE} ", re.IGNORECASE),
}


def found_in(statements: Sequence[str]) -> list[str]:
    """Return what these statements do to a large table while others wait for it."""
    return [why for sql in statements for why, pattern in WAITING.items() if pattern.search(sql)]


def sql_of(migration: migrations.Migration, state: ProjectState) -> list[str]:
    """Return the statements of a migration, without running them."""
    with connection.schema_editor(collect_sql=True, atomic=migration.atomic) as editor:
        migration.apply(state, editor, collect_sql=True)
    return [sql for sql in editor.collected_sql if not sql.startswith("--")]


def migrations_since_the_release(loader: MigrationLoader) -> Iterator[migrations.Migration]:
    for (app, name), migration in sorted(loader.disk_migrations.items()):
        if name > BEFORE_THE_FIRST_RELEASE.get(app, "~"):
            yield migration


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_no_migration_since_the_first_release_keeps_anybody_waiting_for_a_large_table():
    loader = MigrationLoader(None, replace_migrations=False)
    for migration in migrations_since_the_release(loader):
        state = loader.project_state((migration.app_label, migration.name), at_end=False)
        assert found_in(sql_of(migration, state)) == [], (
            f"{migration}: see docs/production.md, 'Migrating a large database'"
        )


INDEX = models.Index(fields=["updated_at"], name="overrides_by_update")
CHECK = models.CheckConstraint(condition=models.Q(version__gt=0), name="version_is_positive")
REASON = models.CharField(max_length=600, blank=True)
REQUIRED = models.DateTimeField()
CASES: list[tuple[Operation, list[str]]] = [
    (migrations.AddIndex("override", INDEX), ["builds an index"]),
    (AddIndexConcurrently("override", INDEX), []),
    (RemoveIndexConcurrently("override", "overrides_by_expiry"), []),
    (migrations.AddConstraint("override", CHECK), ["checks every row"]),
    (AddConstraintNotValid("override", CHECK), []),
    (ValidateConstraint("override", "one_override_per_company"), []),
    (migrations.AddConstraint("change", models.UniqueConstraint(fields=["at"], name="x")), ["checks every row"]),
    (migrations.AlterField("override", "expires_at", REQUIRED), ["checks every row"]),
    (migrations.AlterField("override", "paused", models.IntegerField()), ["writes every row"]),
    (migrations.AddField("override", "note", models.CharField(max_length=9, default="")), []),
    (
        migrations.AddField("override", "note", models.CharField(max_length=9, null=True, db_index=True)),
        ["builds an index"],
    ),
    (migrations.RemoveField("override", "reason"), []),
    (migrations.RunSQL("update flags_override set paused = false"), ["writes every row"]),
    (migrations.AddIndex("savedview", models.Index(fields=["name"], name="views_by_name")), []),
]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("operation", "expected"), CASES)
def test_what_keeps_others_waiting_is_told_from_what_does_not(operation, expected):
    migration = migrations.Migration("9999_tried", "flags")
    migration.operations = [operation]
    migration.atomic = operation.atomic is not False
    state = MigrationLoader(None).project_state()
    assert set(found_in(sql_of(migration, state))) == set(expected)


@pytest.fixture
def as_owner(transactional_db):
    """Let this test change tables, outside of any transaction."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("set session role none")
    yield
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"set session role {CONSOLE_ROLE}")


@pytest.mark.django_db(transaction=True)
def test_an_index_is_built_and_taken_away_beside_others_on_either_database(as_owner):
    before = MigrationLoader(None).project_state()
    add = AddIndexConcurrently("override", INDEX)
    after = before.clone()
    add.state_forwards("flags", after)
    gone = after.clone()
    remove = RemoveIndexConcurrently("override", INDEX.name)
    remove.state_forwards("flags", gone)

    def indexes() -> set[str]:
        with connection.cursor() as cursor:
            return set(connection.introspection.get_constraints(cursor, "flags_override"))

    for work, states, is_there in (
        (add.database_forwards, (before, after), True),
        (remove.database_forwards, (after, gone), False),
        (remove.database_backwards, (gone, after), True),
        (add.database_backwards, (after, before), False),
    ):
        with connection.schema_editor(atomic=False) as editor:
            work("flags", editor, *states)
        assert (INDEX.name in indexes()) == is_there
