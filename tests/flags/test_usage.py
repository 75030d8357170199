"""Who asked for what: counted on nobody's way, written in batches, lost by nobody who stops in an orderly way."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.db import OperationalError, connection
from django.test import Client

from flags import snapshots, usage
from flags.features import Features, asker_for, evaluation_scope, features_for, is_enabled
from flags.models import Flag
from flags.releasemodels import DailyUsage, Usage
from tests.conftest import Queries
from tests.factories import OverrideFactory

pytestmark = pytest.mark.django_db

KEY, OTHER = "trip_management", "api_access"


@pytest.fixture
def counting(settings, monkeypatch):
    """Usage is counted, and written down when the test says so."""
    settings.FLAGS_USAGE_SECONDS = 3600
    monkeypatch.setattr(usage, "_start", lambda: None)
    usage.forget()
    yield
    usage.forget()


def rows() -> list[tuple]:
    return list(Usage.objects.order_by("company__slug", "flag_id").values_list("company__slug", "flag_id", "on", "off"))


def test_each_answer_of_a_scope_counts_once_per_company_and_day(counting, acme, globex):
    for _ in range(3):
        with evaluation_scope(None, acme):
            is_enabled(KEY)
            is_enabled(KEY)
            is_enabled("driver_management")
    is_enabled(KEY, company=globex)
    assert usage.flush() == 3
    assert rows() == [
        ("acme", "driver_management", 3, 0),
        ("acme", KEY, 0, 3),
        ("globex", KEY, 0, 1),
    ]
    totals = DailyUsage.objects.order_by("flag_id").values_list("flag_id", "on", "off")
    assert list(totals) == [("driver_management", 3, 0), (KEY, 0, 4)]


def test_batches_add_up(counting, acme):
    first, second = datetime(2026, 3, 2, 9, 0, tzinfo=UTC), datetime(2026, 3, 2, 9, 5, tzinfo=UTC)
    for moment in (second, first):  # Another process may be late with what it has seen earlier.
        tally = usage.Tally()
        tally.on, tally.errors, tally.last_at, tally.last_error_at = 2, 1, moment, moment
        usage._gathered[(str(acme.pk), KEY, moment.date())] = tally
        usage.flush()
    for row in (Usage.objects.get(), DailyUsage.objects.get()):
        assert (row.on, row.off, row.errors, row.last_at, row.last_error_at) == (4, 0, 2, second, second)


def test_when_it_was_last_on_is_kept_whatever_came_after(counting, acme, globex):
    OverrideFactory(company=acme, flag_id=KEY, flag=Flag.objects.get(key=KEY))
    moments = [datetime(2026, 3, 2, 9, minute, tzinfo=UTC) for minute in range(3)]
    for company, moment in ((acme, moments[1]), (acme, moments[0]), (globex, moments[2])):
        with time_machine.travel(moment, tick=False):
            is_enabled(KEY, company=company)
            usage.flush()
    row = DailyUsage.objects.get(flag=KEY)
    assert (row.on, row.off, row.last_at, row.last_on_at, row.last_error_at) == (2, 1, moments[2], moments[1], None)
    with time_machine.travel(moments[2], tick=False):
        is_enabled("api_access", company=globex)
        usage.flush()
    assert DailyUsage.objects.get(flag="api_access").last_on_at is None


def test_a_server_error_is_held_against_what_was_on_and_nothing_else(counting, acme):
    def job():
        with evaluation_scope(None, acme):
            is_enabled("driver_management")
            is_enabled(KEY)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        job()
    usage.flush()
    errors = dict(DailyUsage.objects.values_list("flag_id", "errors"))
    assert errors == {"driver_management": 1, KEY: 0}
    assert Usage.objects.get(flag="driver_management").last_error_at is not None
    assert Usage.objects.get(flag=KEY).last_error_at is None


def test_what_cannot_be_written_is_kept_for_the_next_time(counting, acme, monkeypatch):
    with evaluation_scope(None, acme):
        is_enabled(KEY)
    with monkeypatch.context() as broken:
        broken.setattr(usage, "_write", lambda taken: (_ for _ in ()).throw(OperationalError("away")))
        assert usage.flush() == 0
    with evaluation_scope(None, acme):
        is_enabled(KEY)
    assert usage.flush() == 1
    assert rows() == [("acme", KEY, 0, 2)]


def test_what_gathers_is_bounded(counting, monkeypatch, acme):
    monkeypatch.setattr(usage, "GATHERED_AT_MOST", 3)
    usage.count(str(acme.pk), {f"flag_{n}": True for n in range(10)}.items())
    usage.count(str(acme.pk), {"flag_0": True}.items())
    usage._gather()
    assert usage.waiting() == 3
    assert usage._gathered[(str(acme.pk), "flag_0", datetime.now(UTC).date())].on == 2


def test_what_is_handed_over_is_counted_before_it_is_much(counting, monkeypatch, acme):
    monkeypatch.setattr(usage, "HANDED_BEFORE_COUNTING", 2)
    usage._enough.clear()
    usage.count(str(acme.pk), {KEY: True}.items())
    assert not usage._enough.is_set()
    usage.count(str(acme.pk), {OTHER: True}.items())
    assert usage._enough.is_set()


def test_who_hands_over_more_than_the_thread_can_count_counts_himself(counting, monkeypatch, acme):
    monkeypatch.setattr(usage, "HANDED_BEFORE_COUNTING", 2)
    monkeypatch.setattr(usage, "HANDED_AT_MOST", 4)
    for _ in range(100):
        usage.count(str(acme.pk), {KEY: True}.items())
        assert len(usage._handed) < 4
    usage.flush()
    assert rows() == [("acme", KEY, 100, 0)]


@pytest.mark.django_db(transaction=True)
def test_what_was_not_asked_for_does_not_count(counting, acme):
    """Outside a transaction, where answers are settled and kept."""
    with evaluation_scope(None, acme):
        is_enabled(KEY)
        is_enabled("driver_management")
    assert usage.flush() == 2
    assert rows() == [("acme", "driver_management", 1, 0), ("acme", KEY, 0, 1)]


@pytest.mark.parametrize(("due", "much", "written"), [(60, 100, 0), (60, 1, 1), (-1, 100, 1)])
def test_counts_are_written_when_they_are_due_or_many(counting, monkeypatch, acme, due, much, written):
    monkeypatch.setattr(usage, "GATHERED_BEFORE_FLUSH", much)
    monkeypatch.setattr(usage.connections, "close_all", lambda: None)
    usage.count(str(acme.pk), {KEY: True}.items())
    usage._turn(time.monotonic() + due)
    assert len(rows()) == written
    assert usage.waiting() == 1 - written


def test_counting_asks_the_database_nothing_and_writes_nothing(counting, acme, bob, sign_in):
    browser = sign_in(bob)
    browser.get("/integrations/")
    before = usage.waiting()
    with Queries(connection) as queries:
        browser.get("/integrations/")
    assert usage.waiting() == before + 1
    assert not [query["sql"] for query in queries if not query["sql"].lower().startswith("select")]
    assert not [query["sql"] for query in queries if "usage" in query["sql"].lower()]
    assert not Usage.objects.exists()


def test_who_only_looks_counts_as_nobody(counting, alice, acme, sign_in):
    admin = sign_in(alice)
    Client().get("/healthz")
    Client().get("/readyz")
    snapshots.resolve(acme.pk, datetime.now(UTC))  # What warming does.
    features_for(None, acme).explain(KEY)
    admin.get("/super-admin/inspector/", {"company": "acme", "flag": KEY})
    admin.get("/super-admin/feature-flags/")
    assert not usage.waiting()


def test_somebody_without_a_company_is_nobodys_usage(counting, alice):
    features = Features(lambda: asker_for(alice, None))
    assert features[KEY]
    features.count_usage()
    assert not usage.waiting()


def test_a_super_admin_who_views_as_a_company_is_not_the_company(counting, alice, bob, acme, sign_in):
    browser = sign_in(bob)
    browser.get("/features/")
    browser.get("/integrations/")
    asked = usage.waiting()
    assert asked
    usage.forget()
    eyes = sign_in(alice)
    session = eyes.session
    session["viewing_as"] = str(acme.pk)
    session.save()
    assert eyes.get("/integrations/").status_code == 200
    assert not usage.waiting()


def test_leaving_waits_for_a_batch_that_is_being_written(counting, acme, monkeypatch):
    """At exit a daemon thread may be in the middle of writing; to leave then would lose what it holds."""
    began, may_end, written = threading.Event(), threading.Event(), []

    def slowly(taken):
        began.set()
        may_end.wait(5)
        written.append(len(taken))

    monkeypatch.setattr(usage, "_write", slowly)
    usage.count(str(acme.pk), {KEY: True}.items())
    writer = threading.Thread(target=usage.flush)
    writer.start()
    began.wait(5)
    leaving = threading.Thread(target=usage.flush)
    leaving.start()
    leaving.join(0.1)
    assert leaving.is_alive()
    may_end.set()
    leaving.join(5)
    writer.join(5)
    assert written == [1]


# Real processes


@pytest.fixture(scope="module")
def installation(tmp_path_factory) -> dict[str, str]:
    """A database in a file, with a company Acme and a token bound to it; returns the environment to reach it by."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "PYTEST_VERSION")}
    environment |= {
        "DJANGO_DEBUG": "true",
        "DATABASE_URL": f"sqlite:///{tmp_path_factory.mktemp('usage') / 'db.sqlite3'}",
        "CACHE_URL": "locmemcache://",
        "FLAGS_USAGE_SECONDS": "3600",
    }
    run(environment, "manage.py", "migrate", "--verbosity", "0")
    made = (
        "from flags import apitokens, companies; c = companies.create_company('acme', 'Acme', actor=None); "
        "print(apitokens.create_token('t', actor=None, company=c)[1])"
    )
    environment["TOKEN"] = run(environment, "manage.py", "shell", "--no-imports", "-c", made).strip().splitlines()[-1]
    return environment


def run(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def counted(environment: dict[str, str]) -> dict[str, int]:
    asked = (
        "from flags.releasemodels import DailyUsage\n"
        "from tenants.rls import acting_as_system\n"
        "with acting_as_system('a test'):\n"
        "    print({row.flag_id: row.on + row.off for row in DailyUsage.objects.all()})"
    )
    lines = run(environment, "manage.py", "shell", "--no-imports", "-c", asked).strip().splitlines()
    return eval(lines[-1])


def test_a_process_that_ends_loses_nothing(installation):
    before = counted(installation)
    job = (
        "from flags.features import is_enabled\n"
        "from tenants.models import Company\n"
        "acme = Company.objects.get()\n"
        "for _ in range(250):\n"
        "    is_enabled('driver_chat', company=acme)\n"
        "raise SystemExit(0)"
    )
    run(installation, "manage.py", "shell", "--no-imports", "-c", job)
    assert counted(installation).get("driver_chat", 0) - before.get("driver_chat", 0) == 250


@contextmanager
def serving(installation: dict[str, str], tmp_path: Path, **environment: str):
    """Serve on a free port, and yield the process and its address. The process is gone afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = f"gunicorn --config config/gunicorn.py --bind 127.0.0.1:{port} --workers 2 config.wsgi"
    with Path(tmp_path, "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *command.split()],
            cwd=settings.BASE_DIR,
            env=installation | environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield server, f"http://127.0.0.1:{port}/api/features"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def test_a_server_that_is_told_to_stop_loses_nothing(installation, tmp_path):
    before = counted(installation).get("billing_enabled", 0)
    with serving(installation, tmp_path) as (server, address):
        for _ in range(30):
            ask(f"{address}/billing_enabled", installation["TOKEN"])
        server.send_signal(signal.SIGTERM)
        assert server.wait(40) == 0
    assert counted(installation)["billing_enabled"] - before == 30


def test_a_server_that_is_told_to_stop_amid_requests_loses_none_it_answered(installation, tmp_path):
    before = counted(installation).get("ai_enabled", 0)
    answered: list[int] = []
    people = 4
    with serving(installation, tmp_path) as (server, address):
        ask(f"{address}/ai_enabled", installation["TOKEN"])

        def go_on() -> None:
            request = urllib.request.Request(
                f"{address}/ai_enabled", headers={"Authorization": f"Bearer {installation['TOKEN']}"}
            )
            with suppress(OSError, http.client.HTTPException):
                while True:
                    with urllib.request.urlopen(request, timeout=30) as response:
                        response.read()
                        answered.append(response.status)

        threads = [threading.Thread(target=go_on) for _ in range(people)]
        for thread in threads:
            thread.start()
        while len(answered) < 50:
            time.sleep(0.02)
        server.send_signal(signal.SIGTERM)
        assert server.wait(40) == 0
        for thread in threads:
            thread.join(40)
    got = counted(installation)["ai_enabled"] - before - 1
    # Whoever was being answered when the server closed may not have heard.
    assert len(answered) <= got <= len(answered) + people


def test_a_server_that_is_killed_loses_the_last_seconds_at_most(installation, tmp_path):
    before = counted(installation).get("accounting_enabled", 0)
    with serving(installation, tmp_path, FLAGS_USAGE_SECONDS="1") as (server, address):
        for _ in range(20):
            ask(f"{address}/accounting_enabled", installation["TOKEN"])
        written, waited = 0, 0.0
        while written < 20 and waited < 30:  # On a busy machine a second may take long.
            time.sleep(0.5)
            waited += 0.5
            written = counted(installation).get("accounting_enabled", 0) - before
        assert written == 20
        for _ in range(5):
            ask(f"{address}/accounting_enabled", installation["TOKEN"])
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    assert 20 <= counted(installation)["accounting_enabled"] - before <= 25


def ask(address: str, token: str) -> None:
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    for _ in range(150):
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                assert response.status == 200
                return
        except ConnectionError:
            time.sleep(0.1)
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionError):
                raise
            time.sleep(0.1)
    raise AssertionError("The server did not come up.")


def test_days_are_those_of_the_world_not_of_the_server(counting, acme, time_machine_at):
    late = datetime(2026, 3, 2, 23, 59, 59, tzinfo=UTC)
    for moment in (late, late + timedelta(seconds=2)):
        with time_machine_at(moment):
            usage.count(str(acme.pk), {KEY: True}.items())
    usage.flush()
    assert [row.day.isoformat() for row in DailyUsage.objects.order_by("day")] == ["2026-03-02", "2026-03-03"]
