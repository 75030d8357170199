"""What only a database can tell is refused at the start: a login with too much power, a wall that is down."""

import os
import subprocess
import sys

import pytest

from tests.faults.conftest import Stage
from tests.faults.servers import KEY, ROOT

pytestmark = pytest.mark.faults


def start(stage: Stage, login: str) -> subprocess.CompletedProcess:
    address = f"postgres://{login}@127.0.0.1:{stage.postgres.port}/headgate"
    production = {"DJANGO_DEBUG": "false", "DJANGO_SECRET_KEY": KEY, "DJANGO_ALLOWED_HOSTS": "headgate.example.org"}
    return subprocess.run(
        [sys.executable, "-c", "import config.wsgi"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": address, **production},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_an_ordinary_login_and_standing_walls_start(unbroken: Stage):
    done = start(unbroken, unbroken.postgres.LOGIN)
    assert done.returncode == 0, done.stderr


def test_a_superuser_is_refused(unbroken: Stage):
    done = start(unbroken, "postgres")
    assert done.returncode != 0
    assert "The login 'postgres' is a superuser" in done.stderr
    assert "docs/roles.sql" in done.stderr


def test_a_login_that_passes_row_level_security_is_refused(unbroken: Stage):
    unbroken.postgres.admin(f"alter role {unbroken.postgres.LOGIN} bypassrls")
    try:
        done = start(unbroken, unbroken.postgres.LOGIN)
    finally:
        unbroken.postgres.admin(f"alter role {unbroken.postgres.LOGIN} nobypassrls")
    assert done.returncode != 0
    assert "allowed to bypass row-level security" in done.stderr


@pytest.mark.parametrize(
    ("down", "up"),
    [
        ("disable row level security", "enable row level security"),
        ("no force row level security", "force row level security"),
    ],
)
def test_a_wall_that_is_down_is_refused(unbroken: Stage, down, up):
    """Forced, since the login owns its tables: without that it would pass its own policies."""
    unbroken.postgres.admin(f"alter table flags_override {down}", database="headgate")
    try:
        done = start(unbroken, unbroken.postgres.LOGIN)
    finally:
        unbroken.postgres.admin(f"alter table flags_override {up}", database="headgate")
    assert done.returncode != 0
    assert "flags_override" in done.stderr
    assert "flags.E007" in done.stderr
