"""COMMIT was sent and nobody heard the answer: whoever asked is told whether it is in force."""

import pytest

from tests.faults.conftest import FLAG, Stage
from tests.faults.servers import eventually

pytestmark = pytest.mark.faults

DEFAULT = f"/super-admin/feature-flags/{FLAG}/default/"
AT_COMMIT = (b'INSERT INTO "flags_change"', b"COMMIT")


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """With the flag's default on."""
    stage.press(DEFAULT, enabled="true")
    return stage


@pytest.mark.parametrize("arrives", [True, False], ids=["commit arrives", "commit is lost"])
def test_a_program_is_told_whether_its_change_is_saved(stage: Stage, arrives):
    stage.to_postgres.lose, stage.to_postgres.swallow = AT_COMMIT, not arrives
    answer = stage.write(False, X_Request_ID=f"request-of-a-program-{arrives}")
    assert (answer.status, answer.json["code"], answer.json["saved"]) == (503, "UNAVAILABLE", arrives), answer
    assert ("was saved" in answer.json["detail"]) is arrives
    assert answer.seconds < 10
    assert len(stage.history(answer.json["request_id"])) == (1 if arrives else 0)
    eventually(stage.is_whole)
    eventually(lambda: stage.check().json[FLAG] is (not arrives))


@pytest.mark.parametrize("arrives", [True, False], ids=["commit arrives", "commit is lost"])
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "htmx"])
def test_the_console_says_saved_or_not_saved(stage: Stage, arrives, headers):
    stage.to_postgres.lose, stage.to_postgres.swallow = AT_COMMIT, not arrives
    page = stage.press(DEFAULT, {**headers, "Referer": f"http://127.0.0.1:{stage.app.port}{DEFAULT}"}, enabled="false")
    assert (page.status, page.headers["X-Outcome"]) == (503, "saved" if arrives else "not-saved"), page
    assert ("Your change was saved" in page.text) is arrives
    assert ("Nothing of what you wanted was saved" in page.text) is not arrives
    assert f'href="http://127.0.0.1:{stage.app.port}{DEFAULT}"' in page.text
    assert len(stage.history(page.headers["X-Request-ID"])) == (1 if arrives else 0)


def test_where_nobody_can_look_it_is_said_that_it_is_not_known(stage: Stage):
    stage.to_postgres.lose, stage.to_postgres.lose_all = AT_COMMIT, True
    page = stage.press(DEFAULT, enabled="false")
    assert (page.status, page.headers["X-Outcome"]) == (503, "unknown"), page
    assert "It is not known whether your change was saved" in page.text
    assert page.headers["X-Request-ID"] in page.text
    assert page.seconds < 10


def test_a_call_repeated_under_its_idempotency_key_is_done_once(stage: Stage):
    def create():
        headers = {"Authorization": f"Bearer {stage.cast['writer']}", "Idempotency-Key": "a-lost-answer"}
        return stage.app.call("POST", "/api/admin/feature-flags", {"key": "made_once", "enabled": False}, **headers)

    stage.to_postgres.lose = AT_COMMIT
    first = create()
    assert (first.status, first.json.get("saved")) == (503, True), first
    eventually(stage.is_whole)
    eventually(lambda: create().status == 201)
    lines = "select count(*) from flags_change where flag = 'made_once'"
    assert stage.postgres.admin(lines, database="headgate") == [(1,)]


def test_what_was_asked_under_the_same_id_before_does_not_count(stage: Stage):
    assert stage.write(False, X_Request_ID="one-id-for-all").status == 200
    stage.to_postgres.lose, stage.to_postgres.swallow = AT_COMMIT, True
    answer = stage.write(True, X_Request_ID="one-id-for-all")
    assert (answer.status, answer.json["saved"]) == (503, False)
