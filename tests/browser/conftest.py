"""A real browser, and a real server with the demonstration in front of it.

`demo_server` serves a database of its own, beside the one that DATABASE_URL names; `visit` gives a page in which
somebody of the demonstration is signed in. Whatever a page complains about in its console fails the test.
"""

import importlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from urllib.request import urlopen

import psycopg
import pytest
from psycopg import sql

from tests.conftest import lacking

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
# What a browser says of every refusal, wanted or not, and htmx of a search that a newer one has overtaken.
EXPECTED = re.compile(r"Failed to load resource: .* status of (403|404|409|422)|htmx:(afterRequest|sendAbort)\b")


TIMEOUT = 15_000  # Milliseconds. A machine that runs all tests at once is slow.


@dataclass(frozen=True, slots=True)
class DemoServer:
    """Where the demonstration is served, who can sign in, the token for programs, and how its database is reached."""

    url: str
    accounts: list[dict[str, str]]
    token: str
    environment: dict[str, str]

    def account(self, role: str, company: str | None = None) -> dict[str, str]:
        """Return the first account with this role, in this company if one is named."""
        return next(
            one for one in self.accounts if one["role"] == role and (company is None or one["company"] == company)
        )

    def run(self, code: str) -> None:
        """Run this in a process beside the server, as Headgate, on the same database."""
        inside = f"from tenants.rls import acting_as_system\nwith acting_as_system('a test'):\n    {code}"
        shell = [sys.executable, "manage.py", "shell", "--no-imports", "-c", inside]
        subprocess.run(shell, cwd=ROOT, env=self.environment, capture_output=True, check=True)


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator:
    """Chromium, driven by Playwright."""
    try:
        sync_api = importlib.import_module("playwright.sync_api")
    except ImportError:
        lacking("Playwright (the extra e2e)")
    sync_api.expect.set_options(timeout=TIMEOUT)
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def demo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    """The demonstration, made anew for each module."""
    with database_of_its_own(tmp_path_factory.mktemp("demo")) as database:
        environment = {name: value for name, value in os.environ.items() if name != "PYTEST_VERSION"}
        environment |= {"DJANGO_DEBUG": "true", "DATABASE_URL": database}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        manage = [sys.executable, "manage.py"]
        made = subprocess.run(
            [*manage, "demo", "--no-serve", "--json"], cwd=ROOT, env=environment, capture_output=True, check=True
        )
        printed = json.loads(made.stdout)
        server = subprocess.Popen(
            [*manage, "runserver", "--noreload", "--skip-checks", f"127.0.0.1:{port}"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_it_answers(f"{url}/healthz", server)
            yield DemoServer(url, printed["accounts"], printed["tokens"]["server"], environment)
        finally:
            server.terminate()
            server.wait(timeout=30)


@contextmanager
def database_of_its_own(folder: Path) -> Iterator[str]:
    """Yield the address of an empty database of the kind that DATABASE_URL names, and remove it afterwards."""
    parts = urlsplit(os.environ.get("DATABASE_URL", "sqlite:///"))
    if not parts.scheme.startswith("postgres"):
        yield f"sqlite:///{folder}/demo.sqlite3"
        return
    name = f"test_headgate_browser_{os.getpid()}"
    server = urlunsplit(parts._replace(scheme="postgresql", path="/postgres"))
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(parts._replace(path=f"/{name}"))
        finally:
            admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def wait_until_it_answers(url: str, server: subprocess.Popen) -> None:
    """Return once the server answers. Fails when it ends, or takes longer than a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"{url} did not answer.", pytrace=False)


@pytest.fixture
def visit(browser, demo_server: DemoServer) -> Iterator:
    """Return a function that signs somebody in and returns their page. Options are those of a browser context."""
    contexts, complaints = [], []

    def visited(account: dict[str, str], **options):
        context = browser.new_context(base_url=demo_server.url, **options)
        context.set_default_timeout(TIMEOUT)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.goto("/login/")
        page.get_by_label("Email").fill(account["email"])
        page.get_by_label("Password").fill(account["password"])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/login/" not in url)
        return page

    yield visited
    for context in contexts:
        context.close()
    assert [complaint for complaint in complaints if not EXPECTED.match(complaint)] == []
