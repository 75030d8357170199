"""Where somebody has come to, with scripts or without. Skips whoever imports it while there is no Playwright."""

import re

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")


def arrived(page, title: str | re.Pattern[str]) -> None:
    """A whole page has been loaded, no bare piece of one, and it is this."""
    sync_api.expect(page.get_by_role("heading", level=1)).to_contain_text(title)
    sync_api.expect(page.get_by_role("navigation", name=re.compile("^(Console|Company)$"))).to_be_visible()
    page.wait_for_load_state()
