"""Somebody in another time zone reads and types their own times, exact ones if they like."""

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")
expect = sync_api.expect

pytestmark = pytest.mark.browser

NEW_YORK = "America/New_York"
OVERRIDE = "/super-admin/feature-flags/document_signing_enabled/overrides/{}/"


def test_what_is_typed_and_read_is_in_the_readers_zone(visit, demo_server):
    company = next(one["company"] for one in demo_server.accounts if one["company"])
    page = visit(demo_server.account("super_admin"), OVERRIDE.format(company), anew=True, timezone_id=NEW_YORK)
    until = page.get_by_label(f"Until (optional, {NEW_YORK})")
    page.get_by_role("radio").first.check()
    page.get_by_label("Reason").fill("until the third")
    until.fill("2990-03-03T14:00")
    page.get_by_role("button", name="Save for").click()
    page.wait_for_url(lambda url: "/overrides/" not in url)
    page.goto(OVERRIDE.format(company))
    expect(until).to_have_value("2990-03-03T14:00")


def test_exact_times_are_one_choice_away_and_stay(visit, demo_server):
    page = visit(demo_server.account("super_admin"), "/super-admin/changes/", timezone_id=NEW_YORK)
    time = page.locator(".history-meta time").first
    relative = time.inner_text()
    page.get_by_label("Your account").click()
    page.get_by_role("button", name="Exact times").click()
    expect(time).not_to_have_text(relative)
    page.reload()
    expect(page.locator(".history-meta time").first).to_have_text(time.inner_text())
    page.get_by_label("Your account").click()
    expect(page.get_by_role("button", name="Exact times")).to_have_attribute("aria-pressed", "true")
