"""Databases to measure on: made once for a size, shared by the benchmarks of one run, dropped at its end.

They stand on the server of DATABASE_URL, or in a file without one, and belong to an ordinary login.
"""

import sys
import tempfile
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import connection

from flags import loadscale
from tenants.models import Company
from tenants.rls import CONSOLE_ROLE, acting_as_system
from tests import postgres
from tests.benchmarks.measuring import Unavailable

PREFIX = f"benchmark_headgate{settings.TEST_DB_SUFFIX and '_' + settings.TEST_DB_SUFFIX}_"
FOLDER = Path(tempfile.gettempdir())


def database(
    flags: int = 100, companies: int = 1_000, overrides: int = 5_000, people: int = 0, history: int = 0
) -> None:
    """Connect this process to a migrated database with at least so many of each, as `load_scale` makes them.

    Leave behind what you found: the next benchmark may be using the same one.
    """
    settings.DEBUG = False  # Or Django would keep every query.
    name = f"{PREFIX}{flags}x{companies}x{overrides}"
    if connection.vendor == "postgresql":
        postgres.use_ordinary_login(connection.settings_dict)
    else:
        name = str(FOLDER / f"{name}.sqlite3")
    connection.settings_dict["TEST"]["NAME"] = name
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False, keepdb=True)
    loadscale.load(flags=flags, companies=companies, overrides=overrides, people=people, history=history, tell=_tell)


def act_as_console() -> None:
    """Let this process's connection read and write everything from now on, in transactions or not."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"set session role {CONSOLE_ROLE}")


def a_company() -> UUID:
    """Return the id of one of the companies that were loaded."""
    with acting_as_system("measure"):
        return Company.objects.filter(slug__startswith=loadscale.SLUG).order_by("slug").values_list("pk", flat=True)[0]


def need_postgres() -> None:
    """Raise Unavailable on any other database."""
    if connection.vendor != "postgresql":
        raise Unavailable("needs PostgreSQL, named by DATABASE_URL")


def drop_all() -> None:
    """Drop every database that benchmarks of this checkout have made."""
    for path in FOLDER.glob(f"{PREFIX}*.sqlite3*"):
        path.unlink()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("select datname from pg_database where starts_with(datname, %s)", [PREFIX])
            for (name,) in cursor.fetchall():
                cursor.execute(f"drop database {connection.ops.quote_name(name)} with (force)")


def _tell(what: str, done: int, total: int) -> None:
    print(f"\r  loading {what}: {done:,} of {total:,}", end="" if done < total else "\n", file=sys.stderr, flush=True)
