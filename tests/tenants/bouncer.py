"""A PgBouncer of our own, on a free port, for the length of a test."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CONFIGURATION = """
[databases]
bounced = host={HOST} port={PORT} dbname={NAME} user={USER}{password}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
max_client_conn = 20
ignore_startup_parameters = extra_float_digits, options
"""


def installed() -> bool:
    """Whether there is a PgBouncer to start."""
    return _program() is not None


def _program() -> str | None:
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(database: dict[str, Any]) -> Iterator[int]:
    """Serve a database in transaction mode, through two connections of its own. Yields the port."""
    port = free_port()
    known = {name: database.get(name) or default for name, default in (("HOST", "127.0.0.1"), ("PORT", 5432))}
    known |= {name: database[name] for name in ("NAME", "USER")}
    known["password"] = f" password={database['PASSWORD']}" if database.get("PASSWORD") else ""
    folder = Path(tempfile.mkdtemp(prefix="headgate-bouncer-"))
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(CONFIGURATION.format(port=port, **known))
    user = None
    if os.geteuid() == 0:  # It refuses to run as root.
        user = "postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody"
        for path in (folder, configuration):
            shutil.chown(path, user)
    process = subprocess.Popen(
        [_program(), str(configuration)], user=user, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        _wait(port, process)
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=10)
        shutil.rmtree(folder)


def _wait(port: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    process.terminate()
    raise RuntimeError(f"PgBouncer did not start: {process.communicate(timeout=10)[0].decode()}")
