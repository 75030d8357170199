"""By keyboard alone: holding a release, taking a feature from chosen companies, overrides in a list, and messages."""

import re

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")
expect = sync_api.expect

pytestmark = pytest.mark.browser

FLAGS = "/super-admin/feature-flags/"


def test_a_release_is_paused_and_resumed_on_the_board(keyboard):
    keys = keyboard("/super-admin/releases/")
    page = keys.page
    card = page.get_by_role("article", name="Trip Management")
    for verb, other in (("Pause", "Resume"), ("Resume", "Pause")):
        keys.go(f"{verb}… the release of Trip Management")
        keys.is_asked(re.compile(f"{verb} the release of Trip Management"))
        keys.fill("Reason", "By hand")
        keys.press("Enter")
        expect(page.locator(".drawer")).to_have_count(0)
        keys.is_at(card.get_by_role("link", name=f"{other}…"))


def test_a_feature_is_taken_from_chosen_companies_and_given_back(keyboard):
    keys = keyboard(f"{FLAGS}trip_management/")
    page = keys.page
    expect(page.locator("body:not(:has(.later))")).to_be_visible()
    keys.tab_to("Choose Talbi Logistics LLC")
    keys.press("Space")
    keys.go("Take from chosen companies…")
    keys.is_asked("Take Trip Management from Talbi Logistics LLC?")
    keys.press("Escape")
    keys.is_at(page.get_by_role("button", name="Take from chosen companies…"))
    keys.press("Enter")
    keys.is_asked("Take Trip Management from Talbi Logistics LLC?")
    keys.fill("Reason", "By hand")
    keys.go("Turn off for 1 company by override")
    overrides = page.get_by_role("region", name="Overrides of Trip Management")
    expect(overrides).to_contain_text("By hand")
    keys.is_at(page.get_by_role("button", name="Take from chosen companies…"))
    keys.press("m")
    keys.is_at(page.get_by_role("button", name="Undo"))
    keys.press("Enter")
    expect(overrides.filter(has_text="By hand")).to_have_count(0)
    keys.is_at(page.get_by_role("main"))


def test_overrides_are_opened_edited_and_reset_in_the_list_of_flags(keyboard):
    keys = keyboard(f"{FLAGS}?q=api_access")
    page = keys.page
    row = page.locator("#flag-api_access")
    keys.go(r"\d+ on · \d+ off by override for API Access")
    keys.is_asked(re.compile("Companies that differ"))
    keys.go("Edit the override for Cobalt Transit")
    keys.is_asked("API Access for Cobalt Transit")
    keys.fill("Reason", "By hand")
    keys.go("Save for Cobalt Transit")
    expect(row).to_contain_text("By hand")
    keys.is_asked(re.compile("Companies that differ"))
    keys.go("Reset the override for Cobalt Transit")
    keys.is_asked(re.compile("API Access"))
    keys.go("Reset")
    expect(row).not_to_contain_text("By hand")
    keys.is_asked(re.compile("Companies that differ"))


def test_an_audit_is_run_and_history_is_searched(keyboard):
    keys = keyboard("/super-admin/inspector/")
    page = keys.page
    keys.go("Tenant isolation")
    expect(page).to_have_url(re.compile("/isolation/$"))
    keys.go("Run the audit")
    expect(page.get_by_role("heading", name="Last runs")).to_be_visible()
    keys.press("g", "h")
    keys.is_on("History")
    keys.press("/")
    keys.type("nightly CSV")
    keys.press("Enter")
    expect(page).to_have_url(re.compile("q=nightly"))
    keys.go("Text nightly CSV")
    expect(page).not_to_have_url(re.compile("q=nightly"))
    expect(page.locator(".history-text").first).to_be_visible()


def test_a_message_is_reached_by_a_key_and_gives_the_focus_back(keyboard):
    keys = keyboard(f"{FLAGS}?q=white_label")
    page = keys.page
    switch = page.get_by_role("switch", name="White Label by default")
    keys.tab_to("White Label by default")
    keys.press("Space")
    keys.is_asked("Turn White Label on by default?")
    keys.go("Turn on for")
    expect(switch).to_be_checked()
    keys.is_at(switch)
    keys.press("m")
    keys.is_at(page.get_by_role("button", name="Undo"))
    keys.tab_to("Dismiss")
    keys.press("Enter")
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    keys.is_at(switch)
