"""docs/security.md speaks of every case, and of no test that does not exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
ROW = re.compile(r"^\| T(\d+) \| (.+?) \| (.*?) \| (.*?) ?\|$", re.MULTILINE)
LAST_CASE = 110
ROWS = {
    int(number): (case, re.findall(r"`([^`]+)`", tests), why)
    for number, case, tests, why in ROW.findall((ROOT / "docs/security.md").read_text())
}


@cache
def written_in(path: str) -> set[str]:
    """Return every test of a file, with the class it stands in."""
    found = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
    return {name for name in found if name.rpartition("::")[2].startswith("test_")}


def test_every_case_is_there_once_and_in_order():
    assert list(ROWS) == list(range(1, LAST_CASE + 1))
    assert len(ROW.findall((ROOT / "docs/security.md").read_text())) == LAST_CASE


@pytest.mark.parametrize("number", ROWS)
def test_each_has_a_test_that_exists_or_a_reason(number):
    _, tests, why = ROWS[number]
    assert tests or why
    for test in tests:
        path, _, name = test.partition("::")
        assert (ROOT / path).is_file(), path
        assert name in written_in(path), f"{path} has no {name}."
