"""Servers of the tests' own, to be broken in every way: a PostgreSQL, and the application itself under gunicorn."""

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import psycopg

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = "only for tests: 0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFG"


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(what: Callable[[], Any], seconds: float = 5.0) -> Any:
    """Return what comes true within so many seconds; fail if nothing does."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found or time.monotonic() > deadline:
            assert found, f"not within {seconds} s"
            return found
        time.sleep(0.05)


def binary(name: str) -> str | None:
    """Return the path of a program of PostgreSQL, the newest there is."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    return str(found[-1]) if found else shutil.which(name)


class PostgresServer:
    """A cluster of its own in a folder of its own. A context manager; stopped and removed at the end."""

    LOGIN = "headgate_app"

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="headgate-postgres-"))
        self.process: subprocess.Popen | None = None
        self.as_user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name  # It refuses root.

    def __enter__(self) -> "PostgresServer":
        shutil.chown(self.folder, self.as_user)
        data = str(self.folder / "data")
        self._run([binary("initdb"), "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"])
        self.start()
        self.admin("create role headgate_tenant nologin", "create role headgate_console nologin")
        self.admin(
            f"create role {self.LOGIN} login createrole", f"grant headgate_tenant, headgate_console to {self.LOGIN}"
        )
        self.admin(f"create database headgate owner {self.LOGIN}")
        return self

    def __exit__(self, *exception: object) -> None:
        self.thaw()
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, arguments: list) -> None:
        done = subprocess.run(arguments, user=self.as_user if os.geteuid() == 0 else None, capture_output=True)
        assert done.returncode == 0, done.stderr

    def start(self, *options: str) -> None:
        """Start it, and return once it answers."""
        settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_connections=40")
        arguments = [binary("postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)]
        for setting in (*settings, *options):
            arguments += ["-c", setting]
        self.process = subprocess.Popen(
            arguments,
            user=self.as_user if os.geteuid() == 0 else None,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        eventually(self.answers, 20)

    def answers(self) -> bool:
        """Whether one can connect."""
        try:
            self.admin()
        except psycopg.OperationalError:
            return False
        return True

    def admin(self, *statements: str, database: str = "postgres") -> list:
        """Run statements as superuser; returns the rows of the last."""
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname=database, autocommit=True, connect_timeout=2
        ) as connection:
            rows = []
            for statement in statements:
                cursor = connection.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
            return rows

    def kill(self) -> None:
        """End it at once, all its processes, as a crash would."""
        if self.process is not None:
            self._signal(signal.SIGQUIT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                self.process.wait(10)
            self.process = None

    def freeze(self) -> None:
        """Stop it and every process it has: connections are accepted by the kernel, and nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self.process is not None:
            self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: int) -> None:
        for pid in self._family():
            with contextlib.suppress(ProcessLookupError):  # Connections come and go.
                os.kill(pid, number)

    def _signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def _family(self) -> list[int]:
        assert self.process is not None
        listed = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True)
        return [self.process.pid, *map(int, listed.stdout.split())]

    def url(self, port: int | None = None) -> str:
        """Return the DATABASE_URL, through another port if one is named."""
        return f"postgres://{self.LOGIN}@127.0.0.1:{port or self.port}/headgate"


class Answer:
    """What the application answered: `status`, `headers`, `text`, and `seconds` it took. Status 0: no answer at all.

    `begun` and `ended` are by time.monotonic.
    """

    def __init__(self, status: int, headers: Any, text: str, begun: float) -> None:
        self.status, self.headers, self.text = status, headers, text
        self.begun, self.ended = begun, time.monotonic()

    @property
    def seconds(self) -> float:
        return self.ended - self.begun

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def stale(self) -> bool:
        """Whether it says that its answers are from the past."""
        return self.headers.get("X-Flags-Stale") == "true"

    def __repr__(self) -> str:
        return f"<{self.status} in {self.seconds:.2f} s {self.text[:300]}>"


class NoRedirect(HTTPRedirectHandler):
    """Leaves a redirect as it is."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _has_begun(pid: int) -> bool:
    """Say whether a worker of gunicorn has had a heartbeat: its file then bears the time since the machine began."""
    for each in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):
            if "wgunicorn" in str(each.readlink()) and each.stat().st_mtime <= time.monotonic():
                return True
    return False


class Application:
    """The project under gunicorn, two workers, as in production save for HTTPS. A context manager.

    A worker that is silent for `timeout` seconds is ended. With `preload` workers are copies of one process, so that
    those that are killed are replaced at once.
    """

    def __init__(
        self, workers: int = 2, threads: int = 4, timeout: int = 30, preload: bool = False, **environment: str
    ) -> None:
        self.port, self.workers, self.threads, self.timeout = free_port(), workers, threads, timeout
        self.preload = preload
        self.folder = Path(tempfile.mkdtemp(prefix="headgate-application-"))
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            # Plain HTTP, but the error pages of production.
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "PYTEST_VERSION": "a test",
            "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
            "FLAGS_USAGE_SECONDS": "1",
            "DJANGO_SECRET_KEY": KEY,
            **environment,
        }
        self.process: subprocess.Popen | None = None

    def manage(self, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess:
        """Run a management command of this installation."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def start(self) -> None:
        """Start it, and return once all its workers are alive."""
        arguments = [sys.executable, "-m", "gunicorn", "--config", "config/gunicorn.py", "config.wsgi"]
        arguments += ["--bind", f"127.0.0.1:{self.port}", "--workers", str(self.workers)]
        arguments += ["--threads", str(self.threads), "--timeout", str(self.timeout)]
        arguments += ["--preload"] if self.preload else []
        self.log = (self.folder / "log").open("w")
        self.process = subprocess.Popen(arguments, cwd=ROOT, env=self.environment, stdout=self.log, stderr=self.log)
        eventually(lambda: self.get("/healthz").status == 200, 40)
        # Nobody watches over a worker before its first heartbeat: frozen until then, it is never replaced.
        eventually(lambda: sum(map(_has_begun, self.pids())) == self.workers, 40)

    def pids(self) -> list[int]:
        """Return the process ids of the workers."""
        assert self.process is not None
        listed = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True)
        return [int(pid) for pid in listed.stdout.split()]

    def stop(self) -> None:
        if self.process is not None:
            for pid in self.pids():
                os.kill(pid, signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
            self.process = None
            self.log.close()

    def said(self) -> str:
        """Return the log so far."""
        return (self.folder / "log").read_text()

    def __enter__(self) -> "Application":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process is not None:  # At once: nobody waits for what it would still finish.
            for pid in (self.process.pid, *self.pids()):
                os.kill(pid, signal.SIGKILL)
            self.process.wait(10)
            self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, method: str, path: str, body: Any = None, timeout: float = 20, **headers: str) -> Answer:
        """Make a request on a connection of its own, without following redirects elsewhere."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None
        if isinstance(body, bytes):
            data = body
        elif body is not None:
            data = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        opener = build_opener(NoRedirect())
        request = Request(f"http://127.0.0.1:{self.port}{path}", data=data, headers=headers, method=method)
        begun = time.monotonic()
        try:
            with opener.open(request, timeout=timeout) as response:
                return Answer(response.status, response.headers, response.read().decode(), begun)
        except HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read().decode(), begun)
        except (OSError, HTTPException) as error:
            return Answer(0, {}, repr(error), begun)

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, **headers)
