"""Whoever is refused is written down: with who, from where and under which request, and without secrets."""

import json

import pytest
from django.test import Client

from config.logs import JsonFormatter
from flags import changes
from tenants import refusals
from tests.factories import ApiTokenFactory, CompanyFactory

pytestmark = pytest.mark.django_db

ADDRESS = "203.0.113.9"
FLAGS = "/api/admin/feature-flags"


def told(caplog) -> list[str]:
    """Return what the security log says, as production writes it."""
    records = [record for record in caplog.records if record.name == "headgate.security"]
    return [json.loads(JsonFormatter().format(record))["message"] for record in records]


def asking(token, **headers: str) -> Client:
    return Client(REMOTE_ADDR=ADDRESS, headers={"authorization": f"Bearer {token.plain}", **headers})


@pytest.fixture
def bobs(sign_in, bob) -> Client:
    return sign_in(bob, REMOTE_ADDR=ADDRESS)


def test_a_person_who_may_not(bobs, bob, caplog):
    assert (
        bobs.get("/super-admin/feature-flags/?q=private", headers={"x-request-id": "edge-12345678"}).status_code == 403
    )
    (said,) = told(caplog)
    assert said == (
        f"refused: not allowed status=403 code=- who=user id={bob.pk} company={bob.memberships.get().company_id} "
        f"method=GET path=/super-admin/feature-flags/ address={ADDRESS}"
    )


def test_a_program_beyond_its_scope(caplog):
    token = ApiTokenFactory(scopes=["evaluate"])
    answer = asking(token).post(FLAGS, {"key": "new_flag", "enabled": True}, content_type="application/json")
    assert answer.status_code == 403
    (said,) = told(caplog)
    assert f"status=403 code={answer.json()['code']} who=server id={token.public_id} company=- method=POST" in said
    assert token.plain.rpartition("_")[2] not in caplog.text


def test_a_workspace_one_does_not_belong_to(bobs, caplog):
    changes.set_default("multi_workspace_enabled", True, actor=None)
    foreign = CompanyFactory(name="Initech")
    assert bobs.get("/api/features", headers={"x-workspace-id": str(foreign.pk)}).status_code == 403
    (said,) = told(caplog)
    assert "code=NOT_A_MEMBER" in said
    assert "Initech" not in said


def test_somebody_nobody_knows(caplog):
    made_up = f"hg_s_{'a' * 12}_{'b' * 43}"
    answer = Client(REMOTE_ADDR=ADDRESS).get("/api/features", headers={"authorization": f"Bearer {made_up}"})
    assert answer.status_code == 401
    (said,) = told(caplog)
    assert "refused: not known status=401" in said
    assert f"who=anonymous id=- company=- method=GET path=/api/features address={ADDRESS}" in said
    assert made_up not in caplog.text


def test_a_forged_form(sign_in, alice, caplog):
    browser = sign_in(alice, enforce_csrf_checks=True)
    assert browser.post("/super-admin/feature-flags/api_access/kill/", {"reason": "x"}).status_code == 403
    (said,) = told(caplog)
    assert f"status=403 code=- who=user id={alice.pk}" in said


def test_whoever_asks_too_often(caplog, settings, clock):
    settings.API_RATE_LIMIT = "1/min"
    key = asking(ApiTokenFactory(scopes=["evaluate"]))
    assert [key.get("/api/features").status_code for _ in range(2)] == [200, 429]
    (said,) = told(caplog)
    assert "refused: too often status=429 code=RATE_LIMITED who=server" in said


def test_no_path_forges_a_line(bobs, caplog):
    assert bobs.get("/api/admin/feature-flags/%0aforged%1b[2J" + "x" * 500).status_code == 403
    (said,) = told(caplog)
    assert "\n" not in said
    assert "path=/api/admin/feature-flags/%0Aforged%1B" in said
    assert len(said) < 500


def test_neither_a_feature_that_is_off_nor_what_is_not_there(bobs, caplog):
    changes.set_default("multi_workspace_enabled", False, actor=None)
    assert bobs.get("/api/workspaces").json()["code"] == "MULTI_WORKSPACE_DISABLED"
    assert bobs.get("/api/features/no_such_flag").status_code == 404
    assert told(caplog) == []


def test_it_is_counted(bobs):
    before = refusals.counted[403]
    bobs.get("/super-admin/feature-flags/")
    bobs.get("/api/features")
    assert refusals.counted[403] == before + 1
    assert f'headgate_refusals_total{{status="403"}} {before + 1}.0' in Client().get("/metrics").content.decode()
