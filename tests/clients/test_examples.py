"""The examples in docs/examples do what they say."""

import json
import runpy
import subprocess
import sys

import pytest
from openfeature import api

from tests.clients.conftest import EXAMPLES, SECONDS

pytestmark = pytest.mark.django_db(transaction=True)


def printed(*command: str, env: dict[str, str]) -> list[str]:
    done = subprocess.run(command, cwd=EXAMPLES, env=env, capture_output=True, text=True, check=True, timeout=SECONDS)
    return done.stdout.split()


def test_the_clients_are_pinned_and_come_from_wherever_npm_is_told_to_look():
    wanted = json.loads((EXAMPLES / "package.json").read_text())["dependencies"]
    locked = json.loads((EXAMPLES / "package-lock.json").read_text())["packages"]

    assert {name: locked[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all("resolved" not in one and (name == "" or "integrity" in one) for name, one in locked.items())


def test_python_in_process(acme, globex, capsys):
    try:
        runpy.run_path(str(EXAMPLES / "in_process.py"))
    finally:
        api.clear_providers()

    assert capsys.readouterr().out.splitlines() == [
        "acme on TARGETING_MATCH override",
        "globex off STATIC default",
    ]


def test_python_over_ofrep(acme, outside):
    expected = ["True", "on", "TARGETING_MATCH", "override", "None"]
    assert printed(sys.executable, "over_ofrep.py", env=outside) == expected
    assert printed(sys.executable, "over_ofrep.py", env={**outside, "COMPANY": "nowhere"})[-1] == "INVALID_CONTEXT"


@pytest.mark.clients
def test_node_over_ofrep(acme, outside):
    expected = ["true", "on", "TARGETING_MATCH", "override", "undefined"]
    assert printed("node", "server.mjs", env=outside) == expected
    assert printed("node", "server.mjs", env={**outside, "COMPANY": "nowhere"})[-1] == "INVALID_CONTEXT"
