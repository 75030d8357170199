"""What no framework sees: requests that are too big, too slow or no requests, at the real server."""

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from tests.faults.conftest import Stage, assert_all_answered

pytestmark = pytest.mark.faults


@contextlib.contextmanager
def connected(stage: Stage, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(("127.0.0.1", stage.app.port), 5)) for _ in range(count)]


def sent(stage: Stage, *pieces: bytes) -> tuple[bytes, float]:
    """Send bytes, and return the first line of the answer and the seconds until it came."""
    begun = time.monotonic()
    with connected(stage, 1) as (connection,):
        connection.settimeout(5)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                connection.sendall(piece)
        with contextlib.suppress(ConnectionResetError):
            return connection.recv(200).partition(b"\r\n")[0], time.monotonic() - begun
    return b"", time.monotonic() - begun


HOSTILE = {
    "5,000 headers": b"GET /api/features HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(5000)) + b"\r\n",
    "a header of a megabyte": b"GET /api/features HTTP/1.1\r\nX-Long: " + b"x" * 1_000_000 + b"\r\n\r\n",
    "an address of a megabyte": b"GET /api/features?" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "no request": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n",
    "two lengths": b"POST /api/features/check HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n"
    b"Content-Length: 30\r\n\r\n{}",
    "a length and chunks": b"POST /api/features/check HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a negative length": b"POST /api/features/check HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
    "a host of another's": b"GET /api/features HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "no host": b"GET /api/features HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_it_is_refused_at_once(unbroken: Stage, what):
    line, seconds = sent(unbroken, HOSTILE[what])
    assert seconds < 2
    assert line == b"" or line.split()[1] in (b"400", b"401", b"411", b"413", b"414", b"431"), line
    assert unbroken.check().status == 200


def test_a_hundred_megabytes_are_refused_before_they_are_read(stage: Stage):
    head = b"POST /api/features/check HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {stage.cast['reader']}\r\nContent-Length: 104857600\r\n\r\n".encode()
    line, seconds = sent(stage, head, b"[" * 100_000)
    assert seconds < 2
    assert line.split()[1] in (b"400", b"413"), line


def test_connections_that_say_nothing_hold_nobody_up(stage: Stage, traffic):
    with connected(stage, 100), traffic() as during:
        time.sleep(2)
    assert_all_answered(during.answers, within=2)
