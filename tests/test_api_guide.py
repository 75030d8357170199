"""The first ten questions in docs/api.md: every command runs as it stands there, and prints what is shown beneath."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

from tests.conftest import lacking
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)

GUIDE = Path(settings.BASE_DIR, "docs/api.md").read_text().partition("## Who calls")[0]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
MARK = "=== end of a command ==="


def is_like(shown: object, got: object) -> bool:
    """Say whether an answer is the one that is shown, which may leave out members and write … for what differs."""
    if isinstance(shown, dict):
        return isinstance(got, dict) and all(name in got and is_like(value, got[name]) for name, value in shown.items())
    if isinstance(shown, list):
        return isinstance(got, list) and len(shown) == len(got) and all(map(is_like, shown, got))
    return (shown == "…" and isinstance(got, str) and got != "") or (type(shown) is type(got) and shown == got)


def test_the_comparison_tells_things_apart():
    assert is_like({"a": "…", "b": [1]}, {"a": "x", "b": [1], "c": 2})
    assert not is_like({"a": True}, {"a": 1})
    assert not is_like({"a": "…"}, {"a": None})
    assert not is_like({"a": []}, {"a": [1]})
    assert not is_like({"a": 1}, {})


def test_there_are_ten_and_each_is_answered_by_a_command():
    questions = re.split(r"^### \d+\. ", GUIDE, flags=re.MULTILINE)[1:]

    assert len(questions) == 10
    assert all("```sh" in question for question in questions)


def test_every_command_prints_what_is_shown(live_server, alice, acme):
    for tool in ("bash", "curl", "jq"):
        if shutil.which(tool) is None:
            lacking(tool)
    commands = [text for kind, text in BLOCKS if kind == "sh"]
    shown: list[tuple[str, str] | None] = []
    for number, (kind, _) in enumerate(BLOCKS):
        if kind == "sh":
            following = BLOCKS[number + 1] if number + 1 < len(BLOCKS) else ("sh", "")
            shown.append(None if following[0] == "sh" else following)
    world = {"HOST": live_server.url, "EMAIL": alice.email, "PASSWORD": PASSWORD, "COMPANY": acme.slug}
    script = "".join(f"{command}\nprintf '\\n%s\\n' '{MARK}'\n" for command in commands)

    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        env={"PATH": os.environ["PATH"], "NO_PROXY": "*", **world},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    printed = [text.strip() for text in done.stdout.split(MARK)[:-1]]
    for command, expected, got in zip(commands, shown, printed, strict=True):
        if expected is None:
            assert got == "", command
        elif expected[0] == "json":
            assert is_like(json.loads(expected[1]), json.loads(got)), f"{command}\nshows {expected[1]}\nprinted {got}"
        else:
            assert [line.strip() for line in got.splitlines()] == expected[1].strip().splitlines(), command
