"""`FLAGS_FRESHNESS=streamed` without its stream: what is told late or never is found out by asking."""

import os
import signal
import time

import pytest

from tests.faults.conftest import FLAG, FROZEN_SECONDS, PATIENT, Stage
from tests.faults.servers import Application, eventually

pytestmark = pytest.mark.faults

BOUND = 1.0
# The connection that listens is the one that asks what has changed.
LISTENERS = """select pid from pg_stat_activity
    where datname = 'headgate' and query like '%unnest(%uuid[]%' and pid <> pg_backend_pid()"""


@pytest.fixture(scope="module")
def streaming(whole_stage: Stage):
    """One more instance, which is told of changes."""
    environment = {
        "FLAGS_FRESHNESS": "streamed",
        "DATABASE_URL": whole_stage.postgres.url(whole_stage.to_postgres.port),
    }
    with Application(workers=1, timeout=PATIENT, CACHE_URL=whole_stage.redis.url, **environment) as app:
        yield app


def asked(stage: Stage, app: Application):
    return app.get("/api/features", Authorization=f"Bearer {stage.cast['reader']}")


def test_listening_ended_again_and_again_is_carried_by_asking(stage: Stage, streaming: Application):
    assert eventually(lambda: asked(stage, streaming).json[FLAG]) is True
    ended = 0
    for turn in range(8):
        for (pid,) in stage.postgres.admin(LISTENERS):
            ended += stage.postgres.admin(f"select pg_terminate_backend({pid})::int")[0][0]
        wanted = bool(turn % 2)
        assert stage.write(wanted).status == 200
        acknowledged = time.monotonic()
        while True:
            began = time.monotonic()
            answer = asked(stage, streaming)
            assert answer.status == 200, answer
            if answer.json[FLAG] is wanted:
                break
            assert began - acknowledged < BOUND, answer
    assert ended > 0, "Nobody listened."


def test_after_being_frozen_the_first_answer_is_not_from_before(stage: Stage, streaming: Application):
    assert eventually(lambda: asked(stage, streaming).json[FLAG]) is True
    (pid,) = streaming.pids()
    os.kill(pid, signal.SIGSTOP)
    try:
        assert stage.write(False).status == 200
        time.sleep(FROZEN_SECONDS)
    finally:
        os.kill(pid, signal.SIGCONT)
    answer = asked(stage, streaming)
    assert (answer.status, answer.json[FLAG], answer.stale) == (200, False, False)


@pytest.mark.parametrize("fault", ["cut", "freeze"])
def test_without_a_database_answers_go_on_and_say_that_they_are_stale(stage: Stage, streaming: Application, fault):
    assert eventually(lambda: asked(stage, streaming).json[FLAG]) is True
    getattr(stage.to_postgres, fault)()
    answers = []
    deadline = time.monotonic() + 6
    while time.monotonic() < deadline and not (answers and answers[-1].stale):
        answers.append(asked(stage, streaming))
        time.sleep(0.05)
    assert [answer for answer in answers if (answer.status, answer.json.get(FLAG)) != (200, True)] == []
    assert answers[-1].stale
    answers += [asked(stage, streaming) for _ in range(5)]
    assert [answer.stale for answer in answers[-5:]] == [True] * 5
    assert max(answer.seconds for answer in answers) < 5
    stage.to_postgres.heal()
    eventually(lambda: not asked(stage, streaming).stale)
