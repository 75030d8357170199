"""What writers, readers and faults leave behind: nothing stale, nothing torn, nothing lost, and no deadlock."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.conftest import FLAG, Stage
from tests.faults.history import Recording, nemesis, record
from tests.faults.servers import Application

pytestmark = pytest.mark.faults

WRITERS = 8
EACH = 12


def test_a_recorded_history_with_faults_in_between_keeps_every_promise(stage: Stage, neighbour: Application):
    """The short one; `python -m tests.faults.history --minutes 10` is the long one."""
    recording = Recording([stage.app, neighbour], stage.cast["reader"], stage.cast["writer"])
    recording.prepare()
    happenings = nemesis(stage.postgres, stage.redis, stage.to_postgres, stage.app)

    def is_telling() -> bool:
        saved = sum(write.saved is True for write in recording.writes)
        return saved > 5 and len(recording.reads) > 200 and any(read.stale for read in recording.reads)

    record(recording, happenings, seconds=15, seed=20_261_128, enough=is_telling)
    assert recording.faults(stage.postgres) == []
    assert is_telling(), "Too little was recorded, or no fault was felt."


def test_of_those_who_change_what_they_saw_one_wins_each_time_and_all_others_are_told(stage: Stage):
    """Compare and set: each round all start from the same version, by `version` or by `If-Match`."""
    path = f"/api/admin/tenants/acme/overrides/{FLAG}"
    asked = {"Authorization": f"Bearer {stage.cast['writer']}"}
    rounds, writers = 6, 6
    seen = stage.app.call("PUT", path, {"enabled": True, "reason": "the first"}, **asked)
    first = seen.json["version"]

    def change(name: str, writer: int):
        body, headers = {"enabled": bool(writer % 2), "reason": name}, {**asked, "X-Request-ID": name}
        if writer % 3:
            return stage.app.call("PUT", path, {**body, "version": seen.json["version"]}, **headers)
        return stage.app.call("PUT", path, body, **headers, If_Match=seen.headers["ETag"])

    with ThreadPoolExecutor(writers) as pool:
        for turn in range(rounds):
            names = [f"compared-{turn}-{writer}" for writer in range(writers)]
            answers = list(pool.map(change, names, range(writers)))
            winners = [answer for answer in answers if answer.status == 200]
            assert len(winners) == 1, answers
            for writer, answer in enumerate(answers):
                if answer.status != 200:
                    assert (answer.status, "current" in answer.json) == (409 if writer % 3 else 412, True), answer
            seen = winners[0]
            assert len(stage.history(names[answers.index(seen)])) == 1
    assert seen.json["version"] == first + rounds
    lines = "select count(*) from flags_change where request_id like 'compared-%'"
    assert stage.postgres.admin(lines, database="headgate") == [(rounds,)]


def test_eight_writers_meet_no_deadlock_and_lose_nothing(stage: Stage):
    """Flags in opposite orders, two companies, single changes and whole lists: all wait their turn."""
    before = stage.postgres.admin("select deadlocks from pg_stat_database where datname = 'headgate'")
    keys = [f"contended_{number}" for number in range(4)]
    asked = {"Authorization": f"Bearer {stage.cast['writer']}"}
    for key in keys:
        stage.app.call("POST", "/api/admin/feature-flags", {"key": key, "enabled": False}, **asked)

    def write(writer: int) -> list:
        answers = []
        for turn in range(EACH):
            company = ("acme", "globex")[(writer + turn) % 2]
            order = keys if writer % 2 else keys[::-1]
            enabled = bool((writer + turn) % 3)
            if turn % 3 == 0:
                rows = [{"key": key, "enabled": enabled, "reason": f"{writer}.{turn}"} for key in order]
                path, body = f"/api/admin/tenants/{company}/overrides", {"overrides": rows}
                method = "PUT"
            elif turn % 3 == 1:
                path = f"/api/admin/tenants/{company}/overrides/{order[0]}"
                method, body = "PUT", {"enabled": enabled, "reason": f"{writer}.{turn}"}
            else:
                path = f"/api/admin/feature-flags/{order[turn % 4]}"
                method, body = "PATCH", {"description": f"{writer}.{turn}"}
            headers = {**asked, "X-Request-ID": f"contended-{writer}-{turn}"}
            answers.append(stage.app.call(method, path, body, **headers))
        return answers

    with ThreadPoolExecutor(WRITERS) as pool:
        answers = [answer for done in pool.map(write, range(WRITERS)) for answer in done]
    assert [answer for answer in answers if answer.status not in (200, 201)] == []
    after = stage.postgres.admin("select deadlocks from pg_stat_database where datname = 'headgate'")
    assert after == before
    lines = "select count(distinct request_id) from flags_change where request_id like 'contended-%'"
    # Each of them changed something: no two wrote the same reason or description.
    assert stage.postgres.admin(lines, database="headgate") == [(WRITERS * EACH,)]
