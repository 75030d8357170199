"""A gunicorn worker that loses no request when it is told to stop."""

from gunicorn.workers.gthread import ThreadWorker


class DrainingWorker(ThreadWorker):
    """Takes what already stands in line, and closes the door, before it finishes its work and goes.

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

    def _take_all_from(self, listener: object) -> None:
        before = -1
        while self.nr_conns != before:
            before = self.nr_conns
            self.accept(listener)
