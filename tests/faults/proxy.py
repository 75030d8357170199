"""A TCP proxy that stands between a program and its server, and does to the bytes what a bad network would."""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable

CHUNK = 65536


class Proxy:
    """Forwards to a port of this machine. A context manager; `port` is where it listens.

    `cut()` ends every connection and refuses new ones, `freeze()` goes on accepting and forwards nothing, `delay`
    seconds are added to each piece of an answer, `garble` replaces answers by noise, and `mute` passes on what is asked
    and no answer. `lose` names two messages:
    once a connection has carried the first, it is ended at the second, which is still passed on unless `swallow` says
    so; and `lose_all` then refuses new ones. `heal()` ends all that.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.delay = 0.0
        self.garble = self.mute = False
        self.accepted = 0
        self.lose: tuple[bytes, bytes] | None = None
        self.swallow = self.lose_all = False
        self._primed: set[tuple] = set()
        self._is_cut = False
        self._flowing = threading.Event()
        self._flowing.set()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self.port = 0

    def __enter__(self) -> "Proxy":
        self._listen()
        return self

    def __exit__(self, *exception: object) -> None:
        self._flowing.set()
        self.cut()

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), reuse_port=True, backlog=200)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Refuse, and end all connections."""
        self._stop_listening()
        self.end_connections()

    def _stop_listening(self) -> None:
        self._is_cut = True
        listener, self._listener = self._listener, None
        if listener is not None:
            _end(listener)

    def end_connections(self) -> None:
        """End all connections there are; new ones are welcome."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for end in pair:
                _end(end)

    def freeze(self) -> None:
        """Accept whatever comes and forward nothing."""
        self._flowing.clear()

    def heal(self) -> None:
        """Be a good network again."""
        self.delay, self.garble, self.mute = 0.0, False, False
        self.lose, self.swallow, self.lose_all = None, False, False
        self._flowing.set()
        if self._is_cut:
            self._is_cut = False
            self._listen()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._flowing.wait()
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
        except OSError:
            _end(client)
            return
        server.settimeout(None)
        pair = (client, server)
        with self._lock:
            self._pairs.add(pair)
        threading.Thread(target=self._pump, args=(client, server, pair, self._ask), daemon=True).start()
        self._pump(server, client, pair, self._answer)

    def _pump(self, source: socket.socket, sink: socket.socket, pair: tuple, pass_on: Callable) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                self._flowing.wait()
                pass_on(data, sink, pair)
        with self._lock:
            self._pairs.discard(pair)
        for end in pair:
            _end(end)

    def _ask(self, data: bytes, sink: socket.socket, pair: tuple) -> None:
        if self.lose is not None:
            first, second = self.lose
            if first in data:
                self._primed.add(pair)
            if pair in self._primed and second in data:
                self.lose = None
                if self.lose_all:
                    self._stop_listening()
                _end(pair[0])  # Nobody will hear the answer.
                if not self.swallow:
                    sink.sendall(data)
                    time.sleep(0.3)
                return
        sink.sendall(data)

    def _answer(self, data: bytes, sink: socket.socket, pair: tuple) -> None:
        if self.mute:
            return
        if self.delay:
            time.sleep(self.delay)
        sink.sendall(random.randbytes(len(data)) if self.garble else data)


def _end(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
