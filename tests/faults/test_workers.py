"""Workers that are killed, frozen and replaced: both or neither is written, nothing old is told, no request is lost."""

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.faults.conftest import FLAG, FROZEN_SECONDS, Stage, assert_all_answered
from tests.faults.servers import Application, eventually

pytestmark = pytest.mark.faults

WRITERS_LOCK = 4_728_119
STATE = f"""select o.enabled from flags_override o join tenants_company c on c.id = o.company_id
    where c.slug = 'acme' and o.flag_id = '{FLAG}'"""


def holding_writers_up(stage: Stage) -> psycopg.Connection:
    """Take the lock that every writer waits for. A context manager."""
    holder = psycopg.connect(host="127.0.0.1", port=stage.postgres.port, user="postgres", dbname="headgate")
    holder.execute("select pg_advisory_lock(%s)", [WRITERS_LOCK])
    return holder


def someone_waits(stage: Stage) -> bool:
    waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    return stage.postgres.admin(waiting, database="headgate") != [(0,)]


def test_a_worker_killed_in_a_write_leaves_both_or_neither(stage: Stage):
    with holding_writers_up(stage), ThreadPoolExecutor(1) as pool:
        write = pool.submit(stage.write, False, X_Request_ID="killed-in-a-write")
        eventually(lambda: someone_waits(stage))
        for pid in stage.app.pids():
            os.kill(pid, signal.SIGKILL)
        assert write.result().status == 0
    eventually(lambda: len(stage.app.pids()) == 2, 10)
    eventually(stage.is_whole, 10)
    assert stage.history("killed-in-a-write") == []
    assert stage.check().json[FLAG] is True
    eventually(lambda: stage.write(False).status == 200)  # Nothing it held is held for ever.


def test_a_worker_killed_while_it_holds_the_writers_lock_keeps_nobody_waiting(stage: Stage):
    """It waits for a row that somebody else has, and everybody else waits for it; then it is gone."""
    held = "select count(*) from pg_locks where locktype = 'advisory' and granted"
    address = {"host": "127.0.0.1", "port": stage.postgres.port, "user": "postgres", "dbname": "headgate"}
    with psycopg.connect(**address) as other, ThreadPoolExecutor(2) as pool:
        other.execute("select 1 from flags_override for update")
        write = pool.submit(stage.write, False, X_Request_ID="killed-with-the-lock")
        eventually(lambda: stage.postgres.admin(held, database="headgate") == [(1,)])
        waiting = pool.submit(stage.write, False, flag="api_access", X_Request_ID="killed-behind-the-lock")
        eventually(lambda: someone_waits(stage))
        for pid in stage.app.pids():
            os.kill(pid, signal.SIGKILL)
        assert (write.result().status, waiting.result().status) == (0, 0)
        other.rollback()
    eventually(lambda: stage.postgres.admin(held, database="headgate") == [(0,)])
    eventually(stage.is_whole, 20)
    assert stage.history("killed-with-the-lock") + stage.history("killed-behind-the-lock") == []
    assert stage.check().json[FLAG] is True
    assert stage.write(False).status == 200


def test_a_worker_killed_at_any_moment_of_a_write_leaves_both_or_neither(stage: Stage):
    """The worker has written before, so that what it is killed in is a write, and not its own beginning."""
    dice = random.Random(20_261_128)
    asked = {"Authorization": f"Bearer {stage.cast['writer']}"}
    written = None
    with Application(workers=1, preload=True, **_like(stage)) as app:

        def write(flag: str, enabled: bool, name: str):
            path = f"/api/admin/tenants/acme/overrides/{flag}"
            return app.call("PUT", path, {"enabled": enabled, "reason": name}, X_Request_ID=name, **asked)

        for number in range(8):
            request_id, enabled = f"killed-at-any-moment-{number}", number % 2 == 0
            eventually(lambda name=request_id: write("api_access", True, f"warm-{name}").status in (200, 201), 20)
            with ThreadPoolExecutor(1) as pool:
                writing = pool.submit(write, FLAG, enabled, request_id)
                time.sleep(dice.uniform(0, 0.03))
                for pid in app.pids():
                    os.kill(pid, signal.SIGKILL)
                answer = writing.result()
            eventually(lambda: app.get("/healthz").status == 200, 20)
            lines = stage.history(request_id)
            state = stage.postgres.admin(STATE, database="headgate")[0][0]
            assert answer.status in (0, 200, 201), answer
            assert lines or answer.status == 0, "It was acknowledged, and is lost."
            if lines:
                ((verb, after),) = lines
                assert (verb, after["enabled"]) == ("set_override", enabled)
                written = enabled
            assert written is None or state is written


def test_a_worker_that_was_frozen_tells_nothing_old(stage: Stage):
    first, second = stage.app.pids()
    for frozen in (first, second):
        os.kill(frozen, signal.SIGSTOP)
        try:
            assert stage.write(False).status == 200
            time.sleep(FROZEN_SECONDS)
            assert stage.write(False, flag="api_access").status in (200, 201)
        finally:
            os.kill(frozen, signal.SIGCONT)
        other = second if frozen == first else first
        os.kill(other, signal.SIGSTOP)
        try:
            answer = stage.check()
            assert (answer.status, answer.json[FLAG]) == (200, False)
        finally:
            os.kill(other, signal.SIGCONT)
        assert stage.write(True).status == 200


def test_a_worker_frozen_for_longer_than_the_server_allows_is_replaced(stage: Stage):
    """Meanwhile the other answers everybody. The time-out is a tenth of the usual one, and not otherwise special."""
    asked = {"Authorization": f"Bearer {stage.cast['reader']}"}
    with Application(timeout=3, **_like(stage)) as app:
        frozen, other = app.pids()
        os.kill(frozen, signal.SIGSTOP)
        assert stage.write(False).status == 200
        answers = []
        deadline = time.monotonic() + 20
        while frozen in app.pids() and time.monotonic() < deadline:
            answers.append(app.get("/api/features", **asked))
            time.sleep(0.05)
        eventually(lambda: len(app.pids()) == 2 and other in app.pids(), 20)
        answers += [app.get("/api/features", **asked) for _ in range(8)]
        assert frozen not in app.pids()
    assert [
        answer for answer in answers if (answer.status, answer.json[FLAG], answer.stale) != (200, False, False)
    ] == []


def test_a_reload_under_load_loses_no_request(stage: Stage, traffic):
    """Until the new workers have started, which may take a while on a busy machine, everybody waits in line."""
    before = stage.app.pids()
    with traffic(threads=4, timeout=60) as during:
        time.sleep(0.5)
        os.kill(stage.app.process.pid, signal.SIGHUP)
        eventually(lambda: len(stage.app.pids()) == 2 and not set(before) & set(stage.app.pids()), 60)
        time.sleep(0.5)
    assert_all_answered(during.answers, within=60)
    assert [answer for answer in during.answers if answer.stale] == []


def test_what_is_under_way_at_sigterm_is_finished(stage: Stage):
    """New connections are refused, at once and cleanly, so that whoever balances load goes elsewhere."""
    refused = []
    with ThreadPoolExecutor(4) as pool:
        with holding_writers_up(stage):
            writes = [pool.submit(stage.write, False, X_Request_ID=f"at-sigterm-{number}") for number in range(3)]
            eventually(lambda: someone_waits(stage))
            time.sleep(0.3)
            stage.app.process.terminate()
            time.sleep(0.5)
            refused.append(stage.check())
        answers = [write.result() for write in writes]
    assert [answer.status for answer in answers] == [200] * 3, answers
    assert sum(len(stage.history(f"at-sigterm-{number}")) for number in range(3)) == 1
    assert (refused[0].status, "refused" in refused[0].text) == (0, True)
    stage.app.process.wait(10)
    stage.heal()
    eventually(lambda: stage.check().status == 200)
    assert stage.check().json[FLAG] is False


def test_at_sigterm_whoever_asks_is_answered_or_refused_and_nobody_is_cut_off(stage: Stage, traffic):
    with traffic(threads=4) as during:
        eventually(lambda: len(during.answers) > 20)
        stage.app.process.terminate()
        stage.app.process.wait(20)
        eventually(lambda: during.answers[-1].status == 0)
    answered = [answer for answer in during.answers if answer.status == 200]
    others = [answer for answer in during.answers if answer.status != 200]
    assert_all_answered(answered, within=5)
    assert [answer for answer in others if answer.status != 0 or "refused" not in answer.text] == []
    stage.heal()


def test_nothing_starts_twice_and_nothing_waits_for_a_database_that_is_not_there_yet(stage: Stage):
    """PostgreSQL absent at the start: alive, not ready, cold answers refused with words; then it comes."""
    stage.to_postgres.cut()
    begun = time.monotonic()
    with Application(**_like(stage)) as late:
        assert time.monotonic() - begun < 20
        assert late.get("/healthz").status == 200
        assert late.get("/readyz").status == 503
        asked = {"Authorization": f"Bearer {stage.cast['reader']}"}
        cold = late.get("/api/features", **asked)
        assert (cold.status, cold.json["code"]) == (503, "UNAVAILABLE")
        assert cold.headers["Retry-After"]
        page = late.get("/super-admin/feature-flags/", Cookie=f"headgate_session={stage.cast['alice']}")
        assert page.status == 503
        stage.to_postgres.heal()
        eventually(lambda: late.get("/readyz").status == 200)

        def is_healed() -> bool:
            answer = late.get("/api/features", **asked)
            return (answer.status, answer.json.get(FLAG), answer.stale) == (200, True, False)

        eventually(lambda: all(is_healed() for _ in range(6)))  # Each of the workers finds out for itself.


def test_of_two_instances_the_one_that_is_cut_off_says_stale_and_the_other_is_unhurt(
    stage: Stage, neighbour: Application
):
    asked = {"Authorization": f"Bearer {stage.cast['reader']}"}
    stage.to_postgres.cut()
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        unhurt = pool.submit(_ask_until, over, lambda: neighbour.get("/api/features", **asked))
        try:
            assert stage.check().stale
            write = {"enabled": False, "reason": "only one is cut off"}
            path = f"/api/admin/tenants/acme/overrides/{FLAG}"
            changed = neighbour.call("PUT", path, write, Authorization=f"Bearer {stage.cast['writer']}")
            assert changed.status == 200
            assert neighbour.get("/api/features", **asked).json[FLAG] is False
            behind = [stage.check() for _ in range(6)]
            assert [(one.status, one.json[FLAG], one.stale) for one in behind] == [(200, True, True)] * 6
            assert stage.app.get("/readyz").status == 503
            assert neighbour.get("/readyz").status == 200
            stage.to_postgres.heal()
            eventually(stage.is_whole)
        finally:
            over.set()
        answers = unhurt.result()
    eventually(lambda: stage.check().json[FLAG] is False)
    assert [answer for answer in answers if answer.status != 200 or answer.stale] == []
    assert max(answer.seconds for answer in answers) < 2


def test_two_instances_give_the_same_bytes_and_the_same_tag(stage: Stage, neighbour: Application):
    asked = {"Authorization": f"Bearer {stage.cast['reader']}"}
    for enabled in (False, True):
        assert stage.write(enabled).status == 200
        answers = [app.get("/api/features", **asked) for app in (stage.app, neighbour, stage.app)]
        assert len({(answer.text, answer.headers["ETag"]) for answer in answers}) == 1
        tag = answers[0].headers["ETag"]
        assert neighbour.get("/api/features", **asked, **{"If-None-Match": tag}).status == 304


def _like(stage: Stage) -> dict[str, str]:
    return {name: stage.app.environment[name] for name in ("DATABASE_URL", "CACHE_URL")}


def _ask_until(over: threading.Event, ask) -> list:
    answers = []
    while not over.is_set():
        answers.append(ask())
        over.wait(0.03)
    return answers
