"""How a command is run in tests: with what it printed, and the refusal it ended with."""

import io
import json
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command printed, its exit code, and what it said when it refused."""

    out: str
    err: str
    code: int
    refusal: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run():
    """Return a function that runs a command as the shell would."""

    def ran(*words: str) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command(*words, stdout=out, stderr=err)
        except CommandError as error:
            return Ran(out.getvalue(), err.getvalue(), error.returncode, str(error))
        return Ran(out.getvalue(), err.getvalue(), 0, "")

    return ran
