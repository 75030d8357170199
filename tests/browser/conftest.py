"""A real browser, and a real server with the demonstration in front of it.

`demo_server` serves a database of its own; `visit` gives a page in which somebody of the demonstration is signed in.
Whatever a page complains about in its console fails the test.
"""

import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.browser import serving
from tests.browser.serving import DemoServer
from tests.conftest import lacking

# What a browser says of every refusal, wanted or not, and htmx of a search that a newer one has overtaken.
EXPECTED = re.compile(
    r"Failed to load resource: .* status of (400|401|403|404|405|409|422|410|500|503)|htmx:(afterRequest|sendAbort)\b"
    r"|Response Status Error Code 401 from"
)


HERE = Path(__file__).parent
TIMEOUT = 30_000  # Milliseconds. A machine that runs all tests at once is slow.


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let several browsers share the work: page by page where each test opens its own, otherwise module by module."""
    for item in items:
        if item.path.parent == HERE and item.path.name != "test_every_page.py":
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator:
    """Chromium, driven by Playwright."""
    try:
        sync_api = importlib.import_module("playwright.sync_api")
    except ImportError:
        lacking("Playwright (the extra e2e)")
    sync_api.expect.set_options(timeout=TIMEOUT)
    with serving.chromium() as running:
        yield running


@pytest.fixture(scope="session")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict]]:
    """The demonstration's database, which nobody touches, and what its command printed."""
    with serving.demonstration(tmp_path_factory.mktemp("demo")) as made:
        yield made


@pytest.fixture(scope="module")
def demo_server(demonstration: tuple[str, dict], tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    """The demonstration, in a copy for each module."""
    database, printed = demonstration
    with (
        serving.database_of_its_own(tmp_path_factory.mktemp("copy"), like=database) as copy,
        serving.serving(copy, printed) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def sessions() -> dict[str, dict]:
    """The cookies of everybody who has signed in, by email address: signing in is slow on purpose."""
    return {}


@pytest.fixture
def complaints() -> list[str]:
    """What the pages of a test complained about. Not to be complained about by a test that expects it: clear it."""
    return []


@pytest.fixture
def visit(browser, demo_server: DemoServer, sessions: dict[str, dict], complaints: list[str]) -> Iterator[Callable]:
    """Return a function that returns a page of somebody who is signed in, at this address.

    Options are those of a browser context; with `anew` somebody signs in once more, for a session of this test alone.
    Without an account it is a stranger's.
    """
    contexts = []

    def answered(dialog) -> None:
        """Let a page be left with something typed; no page of ours opens any other dialog of the browser."""
        if dialog.type == "beforeunload":
            dialog.accept()
        else:
            complaints.append(f"dialog: {dialog.message}")
            dialog.dismiss()

    def visited(account: dict[str, str] | None, at: str = "/", anew: bool = False, **options):
        known = None if anew or account is None else sessions.get(account["email"])
        context = browser.new_context(base_url=demo_server.url, storage_state=known, **options)
        context.set_default_timeout(TIMEOUT)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("dialog", answered)
        if account is not None and not known:
            page.goto(f"/login/?{urlencode({'next': at})}")
            serving.sign_in(page, account)
            if not anew:
                sessions[account["email"]] = context.storage_state()
        elif at:
            page.goto(at)
        return page

    yield visited
    for context in contexts:
        context.close()
    assert [complaint for complaint in complaints if not EXPECTED.match(complaint)] == []


@pytest.fixture
def keyboard(visit, demo_server: DemoServer) -> Callable:
    """Return a function that opens an address, for a super admin or somebody else, who uses no mouse."""
    keyboards = importlib.import_module("tests.browser.keyboard")
    return lambda at="/super-admin/", who=None: keyboards.Keyboard(visit(who or demo_server.account("super_admin"), at))


@pytest.fixture
def plain(visit, demo_server: DemoServer) -> Callable:
    """Return a function that opens an address, for a super admin or somebody else, in a browser without scripts."""
    return lambda at, who=None: visit(who or demo_server.account("super_admin"), at, java_script_enabled=False)
