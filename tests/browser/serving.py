"""A real server with the demonstration in front of it, for tests and for screenshots.

Its database is one of its own, beside the one that DATABASE_URL names and of the same kind; made once, it is copied
for whoever wants one that nobody has touched.
"""

import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from urllib.request import Request, urlopen

import psycopg
from psycopg import sql

from tests.chromium import CHROMIUM

ROOT = Path(__file__).resolve().parents[2]
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_numbers = count()

# Two changes of many, which the demonstration itself has none of: one that is done, and one that waits for its owner.
DONE, WAITING = "b0000000-0000-4000-8000-000000000001", "b0000000-0000-4000-8000-000000000002"
BATCHES = f"""
from flags import bulk
from flags.bulk import Wish
from tenants.models import Company, User

ana, tom = (User.objects.get(email=f"{{name}}@headgate.example") for name in ("ana.ruiz", "tom.okafor"))
flags = ["billing_enforcement", "billing_self_service", "trip_management"]
bulk.begin("{DONE}", flags, Wish("channel_off", channel="general"), actor=ana, reason="Not before the audit")
bulk.step("{DONE}", actor=ana)
everybody = Company.objects.values_list("pk", flat=True)
bulk.begin("{WAITING}", everybody, Wish("turn_on", flag="automated_alerting"), actor=tom)
"""


@dataclass(frozen=True, slots=True)
class DemoServer:
    """Where the demonstration is served, who can sign in, the token for programs, and where its database is."""

    url: str
    accounts: list[dict[str, str]]
    token: str
    database: str

    def account(self, role: str, company: str | None = None) -> dict[str, str]:
        """Return the first account with this role, in this company if one is named."""
        return next(
            one for one in self.accounts if one["role"] == role and (company is None or one["company"] == company)
        )

    def person(self, email: str) -> dict[str, str] | None:
        """Return the account with this email address; None for nobody's."""
        return next(one for one in self.accounts if one["email"] == email) if email else None

    def call(self, method: str, path: str, **body: object) -> dict:
        """Send this to the API as a program does, and return what it answers. Raises HTTPError for a refusal."""
        sends = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        with urlopen(Request(f"{self.url}{path}", json.dumps(body).encode(), sends, method=method), timeout=30) as got:
            return json.loads(got.read() or "{}")

    def run(self, code: str) -> None:
        """Run this in a process beside the server, as Headgate, on the same database."""
        run(self.database, code)


@contextmanager
def chromium() -> Iterator:
    """Yield Chromium, driven by Playwright."""
    with importlib.import_module("playwright.sync_api").sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


def sign_in(page, account: dict[str, str]) -> None:
    """Fill in the form that is shown, and wait for what comes after it."""
    page.get_by_label("Email").fill(account["email"])
    page.get_by_label("Password").fill(account["password"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/login/" not in url)


def manage(database: str, *arguments: str) -> str:
    """Run a management command on this database, and return what it printed."""
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=_environment(database), stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()


def run(database: str, code: str) -> None:
    """Run this in a process of its own, as Headgate, on this database."""
    block = textwrap.indent(textwrap.dedent(code), "    ")
    inside = f"from tenants.rls import acting_as_system\nwith acting_as_system('a test'):\n{block}"
    manage(database, "shell", "--no-imports", "-c", inside)


@contextmanager
def serving(database: str, printed: dict) -> Iterator[DemoServer]:
    """Serve this database, in which `manage.py demo --json` has printed this."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "manage.py",
        "runserver",
        "--noreload",
        "--nostatic",
        "--skip-checks",
        f"127.0.0.1:{port}",
    ]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, cwd=ROOT, env=_environment(database), **quiet)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(f"{url}/healthz", server)
        yield DemoServer(url, printed["accounts"], printed["tokens"]["server"], database)
    finally:
        server.terminate()
        server.wait(timeout=30)


@contextmanager
def demonstration(folder: Path) -> Iterator[tuple[str, dict]]:
    """Yield the address of a database with the demonstration, and what the command printed about it."""
    with database_of_its_own(folder) as database:
        printed = json.loads(manage(database, "demo", "--no-serve", "--json"))
        run(database, BATCHES)
        yield database, printed


@contextmanager
def database_of_its_own(folder: Path, like: str | None = None) -> Iterator[str]:
    """Yield the address of an empty database, or of a copy of `like`, and remove it afterwards."""
    parts = urlsplit(os.environ.get("DATABASE_URL", "sqlite:///"))
    if not parts.scheme.startswith("postgres"):
        file = folder / "demo.sqlite3"
        if like:
            shutil.copy(urlsplit(like).path[1:], file)
        yield f"sqlite:///{file}"
        return
    name = f"test_headgate_browser_{os.getpid()}_{next(_numbers)}"
    template = urlsplit(like).path[1:] if like else "template1"
    with psycopg.connect(urlunsplit(parts._replace(scheme="postgresql", path="/postgres")), autocommit=True) as admin:
        admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
        admin.execute(sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template)))
        try:
            yield urlunsplit(parts._replace(path=f"/{name}"))
        finally:
            admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def _environment(database: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTEST_VERSION"}
    ours = {"DJANGO_DEBUG": "true", "DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "tests.browser.settings"}
    return kept | ours


def _wait_until_it_answers(url: str, server: subprocess.Popen) -> None:
    """Return once the server answers. Raises RuntimeError when it ends, or takes longer than a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"{url} did not answer.")
