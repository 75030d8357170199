"""Redis in every kind of trouble: nobody notices but the log. Checks are fresh, changes are seen at once."""

import pickle
import time

import pytest

from flags import guardedcache
from tests.faults.conftest import FLAG, Stage, assert_all_answered
from tests.faults.servers import eventually

pytestmark = pytest.mark.faults


class Bomb:
    """What whoever can write to a shared Redis would like to have unpickled."""

    def __reduce__(self):
        return (print, ("exploded",))


def fill(stage: Stage) -> None:
    stage.redis.client.config_set("maxmemory", "1")
    stage.redis.client.config_set("maxmemory-policy", "noeviction")


def poison(stage: Stage) -> None:
    values = [b"", b"\0\xff", b"null", b"[]", b'{"v": 1}', b"1" * 100_000, pickle.dumps(Bomb())]
    found = stage.redis.client.keys("*")
    texts = [stage.redis.client.get(name) for name in found if stage.redis.client.type(name) == b"string"]
    values += [text for text in texts if text is not None]  # Each under another's name, too.
    for number, name in enumerate(found):
        stage.redis.client.set(name, values[number % len(values)])


BREAK = {
    "killed": lambda stage: stage.redis.kill(),
    "frozen": lambda stage: stage.redis.freeze(),
    "cut": lambda stage: stage.to_redis.cut(),
    "blackholed": lambda stage: stage.to_redis.freeze(),
    "trickling": lambda stage: setattr(stage.to_redis, "delay", 0.3),
    "garbling": lambda stage: setattr(stage.to_redis, "garble", True),
    "full": fill,
    "read-only": lambda stage: stage.redis.client.replicaof("127.0.0.1", "1"),
    "flushed": lambda stage: stage.redis.client.flushall(),
    "poisoned": poison,
}


@pytest.mark.parametrize("fault", BREAK)
def test_checks_and_changes_go_on(stage: Stage, traffic, fault):
    with traffic() as during:
        time.sleep(0.2)
        BREAK[fault](stage)
        try:
            time.sleep(0.3)
            assert stage.app.get("/readyz").status == 200
            answers = list(during.answers)
            for enabled in (False, True, False, True):
                assert stage.write(enabled).status == 200
                seen = [stage.check() for _ in range(4)]
                assert [(one.status, one.json[FLAG], one.stale) for one in seen] == [(200, enabled, False)] * 4
                assert max(one.seconds for one in seen) < 2
            page = stage.browse("alice", f"/super-admin/feature-flags/{FLAG}/")
            assert page.status == 200
        finally:
            _undo(stage)
    assert_all_answered(answers, within=2)
    assert [answer for answer in during.answers if answer.status != 200 or answer.stale] == []
    assert "exploded" not in stage.app.said()
    eventually(lambda: stage.app.get("/readyz").json["status"] == "ok")


def _undo(stage: Stage) -> None:
    stage.heal()
    eventually(lambda: stage.redis.client.ping())
    stage.redis.client.replicaof("NO", "ONE")
    stage.redis.client.config_set("maxmemory", "0")


def test_what_a_company_left_in_redis_answers_for_nobody_else(stage: Stage):
    """Another program copies Acme's entry to where that of a company belongs that no worker has read yet."""
    asked = {"Authorization": f"Bearer {stage.cast['writer']}"}
    made = stage.app.call("POST", "/api/admin/tenants", {"slug": "initech", "name": "Initech"}, **asked)
    assert made.status == 201, made
    rows = dict(stage.postgres.admin("select slug, id from tenants_company", database="headgate"))
    time.sleep(guardedcache.BREAK_SECONDS)  # What an earlier test broke may still be left alone by a worker.
    assert stage.write(False).status == 200
    assert stage.check().json[FLAG] is False
    versions = dict(stage.postgres.admin("select scope, n from flags_version", database="headgate"))
    # That of its present version alone: what an earlier test has poisoned lies under older ones.
    (name,) = stage.redis.client.keys(f"*{rows['acme']}:{versions[rows['acme']]}")
    beginning = name.decode().replace(str(rows["acme"]), str(rows["initech"])).rpartition(":")[0]
    stage.redis.client.set(f"{beginning}:{versions[rows['initech']]}", stage.redis.client.get(name))
    answer = stage.app.get("/api/features?company=initech", **asked)
    assert (answer.status, answer.json[FLAG]) == (200, True)
    assert "cache entry refused" in stage.app.said()


def test_a_flag_is_killed_from_a_shell_with_console_and_redis_down(stage: Stage):
    stage.redis.kill()
    stage.app.stop()
    try:
        stage.app.manage("flag", "kill", FLAG, "--reason", "it leaks")
        verbs = stage.postgres.admin(
            "select verb, via, actor, reason from flags_change order by at desc limit 1", database="headgate"
        )
        assert verbs == [("kill", "command", "Headgate", "it leaks")]
        stage.app.start()
        assert stage.check().json[FLAG] is False
    finally:
        stage.heal()
        asked = {"Authorization": f"Bearer {stage.cast['writer']}"}
        stage.app.call("POST", f"/api/admin/feature-flags/{FLAG}/revive", {"reason": "mended"}, **asked)
    eventually(lambda: stage.check().json[FLAG])
