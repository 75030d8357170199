"""The API against a fuzzer that knows its schema: no 500, and every answer is one that the schema allows.

Left out by default; .ci/run has it as a step. It takes as long as SCHEMATHESIS_SECONDS says (120), shared by three
callers: what the schema names comes first, chance fills the rest.
"""

import importlib.util
import os
import subprocess
import sys

import pytest

from tenants import jwt
from tenants.models import Role
from tenants.tokens import SCOPES
from tests.conftest import lacking
from tests.factories import (
    ApiTokenFactory,
    ChannelDefaultFactory,
    CompanyFactory,
    FlagFactory,
    GrantFactory,
    MembershipFactory,
    OverrideFactory,
    UserFactory,
)

pytestmark = [pytest.mark.schemathesis, pytest.mark.django_db(transaction=True)]

# Not every body the schema allows is taken: rules between fields, and what exists, are beyond it.
LEFT_OUT = "positive_data_acceptance"
SECONDS = int(os.environ.get("SCHEMATHESIS_SECONDS", "120"))
# Who calls, by the share of that time.
PROGRAM, SUPER_ADMIN, COMPANY_ADMIN = 0.6, 0.2, 0.2


@pytest.fixture
def world(transactional_db, settings):
    """A company, people and flags for the examples in the schema to meet."""
    settings.API_RATE_LIMIT = "1000000/min"
    globex = CompanyFactory(slug="globex", name="Globex", channel="pilot", plan="pro")
    flag = FlagFactory(key="fleet_chat", needs_grant=True)
    ChannelDefaultFactory(flag=flag, channel="pilot", percentage=50)
    OverrideFactory(company=globex, flag=flag)
    admin = UserFactory(id="0a8c7d2e-5b1f-4c3d-9e6a-7f8091a2b3c4", email="bob@globex.example")
    MembershipFactory(company=globex, user=admin, role=Role.ADMIN)
    GrantFactory(company=globex, user=admin, flag=flag)
    return globex, admin


def fuzz(url: str, credential: str, share: float, *options: str) -> None:
    """Run the fuzzer as one caller for a share of the time; fail with what it found."""
    if importlib.util.find_spec("schemathesis") is None:
        lacking("schemathesis, of the extra dev")
    seconds = max(1, int(SECONDS * share))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/api/schema", "--url", url),
            *("--header", f"Authorization: Bearer {credential}"),
            *("--checks", "all", "--exclude-checks", LEFT_OUT),
            *("--phases", "examples,coverage,fuzzing", "--max-time", str(seconds), "--workers", "1"),
            *("--continue-on-failure", "--no-color", "--warnings", "off", *options),
        ],
        capture_output=True,
        text=True,
        timeout=seconds + 300,
        check=False,
    )
    print(done.stdout[-2_000:])
    found = done.stdout.partition("FAILURES")[2] or done.stdout[-5_000:]
    assert done.returncode == 0, found[:20_000] + done.stderr[-2_000:]


def test_as_a_program_with_every_scope(world, live_server):
    token = ApiTokenFactory(scopes=list(SCOPES))

    fuzz(live_server.url, token.plain, PROGRAM)


def test_as_a_super_admin(world, live_server):
    access = jwt.issue(UserFactory(super_admin=True), None)["access"]

    # Signing out would end this run; the rest was asked by the program already.
    fuzz(
        live_server.url,
        access,
        SUPER_ADMIN,
        "--include-tag",
        "Tokens",
        "--include-tag",
        "Evaluation",
        "--include-tag",
        "OpenFeature",
    )


def test_as_an_admin_of_a_company(world, live_server):
    globex, admin = world
    access = jwt.issue(admin, globex)["access"]

    fuzz(live_server.url, access, COMPANY_ADMIN, "--include-tag", "Own company", "--include-tag", "Evaluation")
