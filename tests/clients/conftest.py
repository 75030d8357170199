"""A company with a flag that is on for it alone, keys to ask with, and clients in processes of their own."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tenants.models import Company
from tests.factories import ApiTokenFactory, CompanyFactory, FlagFactory, OverrideFactory

EXAMPLES = Path(settings.BASE_DIR) / "docs" / "examples"
HERE = Path(__file__).parent
SECONDS = 60.0


class Talking:
    """A program that prints lines of JSON. Iterating waits for the next; its end must be a good one."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process

    def __iter__(self) -> Iterator[dict]:
        for line in self.process.stdout:
            yield json.loads(line)
        assert self.process.wait(SECONDS) == 0

    def until(self, **wanted: object) -> list[dict]:
        """Return all lines up to the first that says this."""
        said = []
        for one in self:
            said.append(one)
            if wanted.items() <= one.items():
                return said
        raise AssertionError(f"{wanted} was never said, but {said}")


@pytest.fixture
def started() -> Iterator[Callable[..., Talking]]:
    """Return a function that starts a program, which is ended with the test."""
    processes = []

    def start(*command: str, program: str | None = None, **options) -> Talking:
        given = subprocess.DEVNULL if program is None else subprocess.PIPE
        process = subprocess.Popen(command, stdin=given, stdout=subprocess.PIPE, text=True, **options)
        processes.append(process)
        if program is not None:
            process.stdin.write(program)
            process.stdin.close()
        return Talking(process)

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def node(started) -> Callable[..., Talking]:
    """Return a function that runs a script from here in Node, where the published clients are installed."""

    def run(script: str, **asked: object) -> Talking:
        command = ("node", "--input-type=module", "-", json.dumps(asked))
        return started(*command, program=(HERE / script).read_text(), cwd=EXAMPLES)

    return run


@pytest.fixture
def acme(db) -> Company:
    """The only company that has advanced reporting."""
    acme = CompanyFactory(slug="acme", name="Acme")
    FlagFactory(key="is_killed", default_enabled=True, killed_at="2026-01-01T00:00:00Z")
    OverrideFactory(company=acme, flag_id="advanced_reporting", flag=None)
    return acme


@pytest.fixture
def globex(db) -> Company:
    """A company without it."""
    return CompanyFactory(slug="globex", name="Globex")


@pytest.fixture
def server_key(db) -> str:
    """A key that may ask for any company."""
    return ApiTokenFactory(scopes=["evaluate"]).plain


@pytest.fixture
def client_key(acme) -> str:
    """A key that may be published in Acme's pages."""
    return ApiTokenFactory(kind="client", scopes=["evaluate"], company=acme).plain


@pytest.fixture
def outside(live_server, server_key) -> dict[str, str]:
    """The environment in which an example runs."""
    return {"PATH": os.environ["PATH"], "HEADGATE_URL": live_server.url, "HEADGATE_KEY": server_key, "COMPANY": "acme"}
