"""Migrations go forward and back on both databases, and models never run ahead of them."""

import os
import subprocess
import sys
from urllib.parse import quote

import pytest
from django.core.management import call_command
from django.db import connection

from flags import triggers
from tenants import rls


@pytest.mark.django_db
def test_no_model_change_lacks_a_migration():
    with rls.acting_as_nobody():
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db
def test_triggers_are_there_after_migrating():
    with rls.acting_as_nobody():
        assert triggers.missing(connection) == []


def manage(url: str, *arguments: str) -> None:
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_DEBUG": "true"}
    environment.pop("PYTEST_VERSION", None)
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture
def empty_database(tmp_path, request, django_db_setup, django_db_blocker):
    """The address of a database without tables, of the kind that the other tests use."""
    if connection.vendor == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite3'}"
        return
    settings = connection.settings_dict
    name = f"{settings['NAME']}_empty"
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(f'drop database if exists "{name}"')
        cursor.execute(f'create database "{name}"')
    login = quote(settings["USER"]) + (f":{quote(settings['PASSWORD'])}" if settings["PASSWORD"] else "")
    yield f"postgres://{login}@{settings['HOST']}:{settings['PORT'] or 5432}/{name}"
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(f'drop database "{name}"')
        connection.close()


def test_forward_back_and_forward_again(empty_database):
    manage(empty_database, "migrate", "--verbosity=0")
    manage(empty_database, "migrate", "--verbosity=0", "flags", "zero")
    manage(empty_database, "migrate", "--verbosity=0", "tenants", "zero")
    manage(empty_database, "migrate", "--verbosity=0")
    manage(empty_database, "migrate", "--verbosity=0")
    manage(empty_database, "check", "--database=default")
