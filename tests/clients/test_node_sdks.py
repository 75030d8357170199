"""The published clients for Node and for browsers, unchanged, against a running server."""

import http.server
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from flags import overrides
from flags.models import Flag, Override
from tests.clients.conftest import EXAMPLES, HERE
from tests.factories import ApiTokenFactory

pytestmark = [pytest.mark.clients, pytest.mark.django_db(transaction=True)]
ON = ("advanced_reporting", True, "on", "TARGETING_MATCH")
POLL = 400  # Milliseconds.


def said(found: dict) -> tuple:
    return found["flagKey"], found["value"], found.get("variant"), found["reason"]


class TestServer:
    def test_every_answer_and_every_error_is_understood(self, node, live_server, acme, server_key):
        def ask(kind, key, default, company="acme"):
            return [kind, key, default, {"targetingKey": "user-1", "companyId": company}]

        questions = [
            ask("Boolean", "advanced_reporting", False),
            ask("Boolean", "is_killed", True),
            ask("Boolean", "nothing_here", True),
            ask("Boolean", "advanced_reporting", False, "nowhere"),
            ask("String", "advanced_reporting", "none"),
            ["Boolean", "advanced_reporting", True, {}],
        ]
        on, killed, unknown, nowhere, text, nobody = node(
            "server.mjs", url=live_server.url, key=server_key, questions=questions
        )

        assert said(on) == ON
        assert on["flagMetadata"] == {"reason": "override", "flagSetId": "headgate", "category": "analytics"}
        assert said(killed) == ("is_killed", False, "off", "DISABLED")
        assert (unknown["value"], unknown["errorCode"]) == (True, "FLAG_NOT_FOUND")
        assert (nowhere["value"], nowhere["errorCode"]) == (False, "INVALID_CONTEXT")
        assert (text["value"], text["errorCode"]) == ("none", "TYPE_MISMATCH")
        assert (nobody["value"], nobody["flagMetadata"]["reason"]) == (False, "no_company")


class TestWeb:
    def start(self, node, server, key, *contexts, **more):
        keys = ["advanced_reporting", "is_killed", "nothing_here"]
        return node("web.mjs", url=server.url, key=key, keys=keys, contexts=list(contexts) or [{}], **more)

    def test_it_starts_with_every_flag(self, node, live_server, acme, client_key):
        *_, ready = self.start(node, live_server, client_key)

        assert (ready["event"], ready["status"]) == ("ready", "READY")
        flags = ready["flags"]
        assert said(flags["advanced_reporting"]) == ON
        assert said(flags["is_killed"]) == ("is_killed", False, "off", "DISABLED")
        assert flags["nothing_here"]["errorCode"] == "FLAG_NOT_FOUND"

    def test_a_poll_is_304_until_something_changes_and_then_shows_it(self, node, live_server, acme, client_key):
        web = self.start(node, live_server, client_key, pollInterval=POLL, changes=1)
        first = web.until(event="ready")[0]
        for _ in range(2):
            idle = web.until(event="call")[-1]
            assert (idle["status"], idle["held"], idle["bytes"]) == (304, first["tag"], 0)

        overrides.set_override(acme, "advanced_reporting", False, actor=None)
        acknowledged = time.time() * 1000
        *calls, changed = web.until(event="changed")

        # What was asked after the change was acknowledged is answered with it: the very next poll.
        after = [call["status"] for call in calls if call["at"] > acknowledged]
        assert after in ([200], [])
        assert [call["status"] for call in calls][-1] == 200
        assert changed["flagsChanged"] == ["advanced_reporting"]
        assert changed["flags"]["advanced_reporting"]["value"] is False

    def test_a_kill_reaches_a_running_client(self, node, live_server, acme, client_key):
        web = self.start(node, live_server, client_key, pollInterval=POLL, changes=1)
        web.until(event="ready")
        Flag.objects.filter(key="advanced_reporting").update(killed_at="2026-01-01T00:00:00Z")

        changed = web.until(event="changed")[-1]
        assert said(changed["flags"]["advanced_reporting"]) == ("advanced_reporting", False, "off", "DISABLED")

    def test_one_company_never_keeps_anothers_flags(self, node, live_server, acme, globex, server_key):
        # The same person, so that the client sends the tag it holds from Acme along with the question for Globex.
        contexts = [{"targetingKey": "user-1", "companyId": slug} for slug in ("acme", "globex", "acme")]
        first, ready, second, there, third, back = (
            one for one in self.start(node, live_server, server_key, *contexts) if one["event"] != "changed"
        )

        assert (first["status"], first["held"]) == (200, None)
        assert (second["status"], second["held"]) == (200, first["tag"])
        assert (third["status"], third["held"]) == (200, second["tag"])
        values = [state["flags"]["advanced_reporting"]["value"] for state in (ready, there, back)]
        assert values == [True, False, True]

    def test_companies_that_are_answered_alike_share_no_answer(self, node, live_server, acme, globex, server_key):
        Override.objects.all().delete()
        contexts = [{"targetingKey": "user-1", "companyId": slug} for slug in ("acme", "globex")]
        first, ready, second, there = self.start(node, live_server, server_key, *contexts)

        assert (second["status"], second["held"]) == (200, first["tag"])
        assert second["tag"] != first["tag"]
        assert there["flags"] == ready["flags"]
        assert there["flags"]["advanced_reporting"]["value"] is False

    @pytest.mark.parametrize("key", ["hg_nonsense", ""])
    def test_a_key_that_is_none_is_fatal(self, key, node, live_server, acme):
        call, failed, ready = self.start(node, live_server, key)

        assert call["status"] == 401
        assert failed["event"] == "failed"
        assert ready["status"] == "FATAL"
        assert ready["flags"]["advanced_reporting"]["value"] is True  # The caller's default.

    def test_a_key_of_another_company_learns_nothing(self, node, live_server, acme, globex):
        key = ApiTokenFactory(kind="client", scopes=["evaluate"], company=globex).plain
        call, _failed, ready = self.start(node, live_server, key, {"companyId": "acme"})

        assert (call["status"], ready["status"]) == (403, "FATAL")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def page_of_another_origin(settings) -> Iterator[str]:
    """The address at which the example page is served, an origin that Headgate lists."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(EXAMPLES)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    origin = f"http://localhost:{server.server_address[1]}"
    settings.CORS_ALLOWED_ORIGINS = [origin]
    yield f"{origin}/browser.html"
    server.shutdown()
    server.server_close()
    thread.join()


def test_in_a_browser_of_another_origin(started, chromium, page_of_another_origin, live_server, acme, client_key):
    """Cross-origin calls are allowed, the tag can be read, polls are 304, and the page follows a change."""
    overrides.set_override(acme, "advanced_reporting", False, actor=None)
    address = f"{page_of_another_origin}?url={live_server.url}&key={client_key}&poll={POLL}"
    browser = started(sys.executable, str(HERE / "chromium.py"), chromium, address)
    calls = browser.until(shown="off")
    while not (calls and calls[-1].get("status") == 304):
        calls += browser.until(method="POST")

    overrides.set_override(acme, "advanced_reporting", True, actor=None)
    calls += list(browser)

    posts = [(call["status"], bool(call["held"])) for call in calls if call.get("method") == "POST"]
    assert posts[0] == (200, False)
    assert set(posts[1:]) <= {(304, True), (200, True)}
    assert (200, True) in posts
    assert [call for call in calls if call.get("kind") == "error"] == []
    assert calls[-1] == {"shown": "on"}
