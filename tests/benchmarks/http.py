"""Evaluation over HTTP, with a token: 100 flags at once, on one process of each server, loaded by wrk.

Every figure is a share of the requests an empty Django view answers behind the same middleware, on the same server, in
turns with the others. Beside it stands how long the server computes for one request: other work on the machine changes
that less than it changes how many are answered. PostgreSQL's part is in the first figure only.
"""

import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import Request, urlopen

from django.db import connection

from tenants import tokens
from tenants.models import ApiToken, Company
from tenants.rls import acting_as_system
from tests.benchmarks import stage
from tests.benchmarks.measuring import Row, Run, Unavailable

APP = "tests.benchmarks.httpapp:application"
CONNECTIONS = 16
LEAST = 0.5
NAME = "benchmark"
PATIENCE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Call:
    """One call that is repeated, and the least share of the empty view's requests it may reach."""

    name: str
    path: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    least: float | None = LEAST


def servers(port: int) -> dict[str, list[str]]:
    """Return how each server that is installed serves on one process."""
    python = [sys.executable, "-m"]
    listening = ["--bind", f"127.0.0.1:{port}", "--workers", "1"]
    every = {
        "gunicorn gthread": [*python, "gunicorn", *listening, "--worker-class", "gthread", "--threads", "8", APP],
        "granian": [
            *(*python, "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)),
            *("--workers", "1", "--blocking-threads", "8", "--no-access-log", APP),
        ],
    }
    return {
        name: command
        for name, command in every.items()
        if subprocess.run([*python, command[2], "--version"], capture_output=True, check=False).returncode == 0
    }


@contextmanager
def served(command: list[str], port: int, **environment: str) -> Iterator[int]:
    """Run a server until the block ends, and yield the session that its processes belong to."""
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        for _ in range(PATIENCE_SECONDS * 10):
            try:
                urlopen(f"http://127.0.0.1:{port}/empty", timeout=1).read()
                break
            except OSError:
                time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


def processor_seconds(session: int) -> float:
    """Return how long the processes of a session have computed. Only Linux tells; elsewhere it is 0."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def rate(call: Call, port: int, seconds: int) -> float:
    """Return the requests a second that wrk got answered. Raises Unavailable where any was refused."""
    lines = [
        f'wrk.method = "{call.method}"',
        *(f'wrk.headers["{name}"] = {value!r}' for name, value in call.headers.items()),
    ]
    if call.method == "POST":
        lines += ['wrk.headers["Content-Type"] = "application/json"', 'wrk.body = "{}"']
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write("\n".join(lines))
        script.flush()
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", script.name]
        said = subprocess.run(
            [*command, f"http://127.0.0.1:{port}{call.path}"], capture_output=True, text=True, check=True
        ).stdout
    if "Non-2xx" in said and "If-None-Match" not in call.headers:
        raise Unavailable(f"{call.path} was refused: {said}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    return float(found[1]) if found else 0.0


def etag(call: Call, port: int) -> str:
    """Return the entity tag of what a call answers."""
    body = b"{}" if call.method == "POST" else None
    headers = {**call.headers, "Content-Type": "application/json"}
    with urlopen(Request(f"http://127.0.0.1:{port}{call.path}", body, headers, method=call.method)) as answer:
        return str(answer.headers["ETag"])


def calls(plain: str, port: int) -> list[Call]:
    """Return what is asked, with the tags that make it a 304."""
    known = {"Authorization": f"Bearer {plain}"}
    features = Call("/api/features", "/api/features", headers=known)
    bulk = Call("OFREP bulk", "/ofrep/v1/evaluate/flags", "POST", known)
    return [
        Call("an empty view", "/empty", least=None),
        features,
        Call(f"{features.name}, 304", features.path, headers={**known, "If-None-Match": etag(features, port)}),
        bulk,
        Call(f"{bulk.name}, 304", bulk.path, "POST", {**known, "If-None-Match": etag(bulk, port)}),
    ]


@contextmanager
def token() -> Iterator[str]:
    """A token of one company, as long as this lasts."""
    with acting_as_system("make a token to measure with"):
        company = Company.objects.filter(is_active=True).order_by("slug").first()
        made, plain = tokens.mint(name=NAME, kind="server", scopes=["evaluate"], company=company)
    try:
        yield plain
    finally:
        with acting_as_system("take it away again"):
            ApiToken.objects.filter(pk=made.pk).delete()


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def address() -> str:
    """Return DATABASE_URL of the database this process is connected to."""
    there = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{there['NAME']}"
    password = f":{there['PASSWORD']}" if there["PASSWORD"] else ""
    return f"postgres://{there['USER']}{password}@{there['HOST']}:{there['PORT'] or 5432}/{there['NAME']}"


def rows(run: Run) -> Iterator[Row]:
    """Yield, for each server and each freshness, what share of an empty view's requests each call reaches."""
    if shutil.which("wrk") is None:
        raise Unavailable("needs wrk, which most distributions have")
    stage.database()
    port = free_port()
    environment = {"DATABASE_URL": address(), "DJANGO_DEBUG": "true", "DJANGO_LOG_LEVEL": "ERROR"}
    with token() as plain:
        for server, command in servers(port).items():
            for freshness in ("exact", "streamed"):
                bare_port = free_port()
                bare = [part.replace(str(port), str(bare_port)) for part in command]
                with (
                    served(command, port, FLAGS_FRESHNESS=freshness, **environment) as session,
                    served(bare, bare_port, EMPTY_ONLY="1", **environment),
                ):
                    yield from _shares(run, f"{server}, {freshness}", calls(plain, port), (port, bare_port), session)


def _shares(run: Run, served_how: str, every: list[Call], ports: tuple[int, int], session: int) -> Iterator[Row]:
    seconds, rounds = run.about(3, 1), run.about(5, 3)
    rates: dict[str, list[float]] = {call.name: [] for call in every}
    computed: dict[str, list[float]] = {call.name: [] for call in every}
    alone: list[float] = []
    for _ in range(rounds):
        for call in every:
            before = processor_seconds(session)
            answered = rate(call, ports[0], seconds)
            rates[call.name].append(answered)
            computed[call.name].append((processor_seconds(session) - before) / (answered * seconds))
        alone.append(rate(every[0], ports[1], seconds))
    middle = {name: statistics.median(found) for name, found in rates.items()}
    # The middle, since one tick of the clock is ten milliseconds, and short rounds have few.
    each_one = {name: statistics.median(found) for name, found in computed.items()}
    yield Row(f"{served_how}: an empty view alone", statistics.median(alone), "a second", note="no middleware")
    for call in every:
        share, note = middle[call.name] / middle["an empty view"], f"{each_one[call.name] * 1e6:.0f} µs of a processor"
        if call.least is None:
            yield Row(f"{served_how}: {call.name}", middle[call.name], "a second", note=note)
        else:
            if each_one[call.name]:
                note = f"{note}, {each_one['an empty view'] / each_one[call.name]:.2f} of it by that"
            note = f"{middle[call.name]:,.0f} a second, {note}"
            yield Row(f"{served_how}: {call.name}", share, "of it", least=call.least, note=note)
