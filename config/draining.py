"""A gunicorn worker that loses no request when it is told to stop, and is not held up by who says nothing."""

import selectors
import time
from functools import partial
from typing import Any

from gunicorn.workers.gthread import ThreadWorker


class DrainingWorker(ThreadWorker):
    """Gives a connection to a thread when there is something to read, and not when it is opened.

    gunicorn's own worker lets a thread wait up to five seconds for the first byte: a hundred connections that say
    nothing hold up everybody else for a minute. Here they wait in the poller, as kept-alive ones do.

    Takes what already stands in line, and closes the door, before it finishes its work and goes.

    gunicorn's own worker leaves its sockets open until its last request is done: whoever connects meanwhile stands in
    a line that nobody serves any more, and is cut off at the end. Here they are served, or refused at once, so that
    whoever balances load goes elsewhere.
    """

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or end taking connections; a worker that is about to go ends it for good."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                listener.setblocking(False)
                self._take_all_from(listener)
                listener.close()

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection to a thread, or to the poller for as long as nothing has come."""
        if conn.initialized or conn.data_ready:
            super().enqueue_req(conn)
            return
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _take_all_from(self, listener: Any) -> None:
        before = -1
        while self.nr_conns != before:
            before = self.nr_conns
            self.accept(listener)
