"""By keyboard alone: every step of the everyday work with Tab, Enter, Space, arrows and letters. The focus can be seen
at every stop, and where something opened it comes back to what opened it.
"""

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")
expect = sync_api.expect

pytestmark = pytest.mark.browser


def test_find_a_flag_and_switch_it(keyboard):
    keys = keyboard()
    page = keys.page
    keys.press("g", "f")
    expect(page.get_by_role("heading", level=1)).to_have_text("Flags")
    keys.press("/")
    keys.type("driver chat")
    expect(page.get_by_role("heading", level=3)).to_have_text(["Driver Chat"])
    switch = page.get_by_role("switch", name="Driver Chat by default")
    for verb in ("on", "off"):
        keys.tab_to("Driver Chat by default") if verb == "on" else keys.is_at(switch)
        keys.press("Space")
        keys.is_at(page.get_by_role("heading", name=f"Turn Driver Chat {verb} by default?"))
        keys.press("Escape")
        keys.is_at(switch)
        keys.press("Space")
        keys.is_at(page.get_by_role("heading", name=f"Turn Driver Chat {verb} by default?"))
        keys.tab_to("Reason")
        keys.type("By hand")
        keys.tab_to(f"Turn {verb} for 14 companies")
        keys.press("Enter")
        expect(switch).to_be_checked(checked=verb == "on")
        keys.is_at(switch)


def test_override_and_reset(keyboard):
    keys = keyboard("/super-admin/feature-flags/white_label/")
    page = keys.page
    field = page.get_by_label("Give a company its own answer")
    keys.tab_to("Give a company its own answer")
    keys.type("kestrel-express")
    keys.press("Enter")
    keys.is_at(page.get_by_role("heading", name="White Label for Kestrel Express"))
    keys.tab_to("On")
    keys.press("ArrowDown", "ArrowUp")
    keys.tab_to("Reason")
    keys.type("By hand")
    keys.press("Enter")
    overrides = page.get_by_role("region", name="Overrides of White Label")
    expect(overrides).to_contain_text("By hand")
    keys.is_at(field)
    keys.tab_to("Reset the override for Kestrel Express")
    keys.press("Enter")
    expect(page.locator(".drawer h3")).to_be_focused()
    keys.tab_to("Reset and turn off for Kestrel Express")
    keys.press("Enter")
    expect(overrides).not_to_contain_text("By hand")
    keys.is_at(field)


def test_kill_and_revive(keyboard):
    keys = keyboard("/super-admin/feature-flags/api_access/")
    page = keys.page
    keys.tab_to("Kill…")
    keys.press("Enter")
    expect(page.locator(".drawer h3")).to_be_focused()
    keys.tab_to("Cancel")
    keys.press("Enter")
    keys.is_at(page.get_by_role("link", name="Kill…"))
    for deed in ("Kill", "Revive"):
        if deed == "Revive" or keys.focused != "Kill…":
            keys.tab_to(f"{deed}…")
        keys.press("Enter")
        expect(page.locator(".drawer h3")).to_be_focused()
        keys.tab_to("Reason")
        keys.type("By hand")
        keys.press("Enter")
        expect(page.get_by_role("link", name="Revive…" if deed == "Kill" else "Kill…")).to_be_visible()
        expect(page.locator(".drawer")).to_have_count(0)
        expect(page.locator(":focus")).to_have_count(1)  # It is not lost.


def test_a_release_from_its_start_to_its_end(keyboard):
    keys = keyboard()
    page = keys.page
    keys.press("g", "r")
    expect(page.get_by_role("heading", level=1)).to_have_text("Releases")
    keys.tab_to("Flag to start a release of")
    keys.type("driver_payments")
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Start the release of Driver Payments?")).to_be_visible()
    keys.tab_to("Start in Internal")
    keys.press("Enter")
    expect(page.locator(".drawer")).to_have_count(0)
    page.goto("/super-admin/feature-flags/driver_payments/")
    expect(page.get_by_text("In Internal since")).to_be_visible()
    keys.tab_to("Sign off…")
    keys.press("Enter")
    expect(page.locator(".drawer h3")).to_be_focused()
    keys.tab_to("Note")
    keys.type("Looked at it")
    keys.press("Enter")
    expect(page.get_by_text("Looked at it").first).to_be_visible()
    keys.tab_to("Promote to Pilot…")
    keys.press("Enter")
    expect(page.locator(".drawer h3")).to_be_focused()
    keys.tab_to("Force")
    keys.press("Space")
    keys.tab_to("Reason")
    keys.type("By hand")
    keys.tab_to("Force to Pilot")
    keys.press("Enter")
    expect(page.get_by_text("In Pilot since")).to_be_visible()
    keys.tab_to("Roll back…")
    keys.press("Enter")
    expect(page.locator(".drawer h3")).to_be_focused()
    keys.tab_to("Reason")
    keys.type("By hand")
    keys.tab_to("Take out of all channels")
    keys.press("Enter")
    expect(page.get_by_text("No release is under way, so")).to_be_visible()


def test_ask_the_inspector(keyboard):
    keys = keyboard()
    page = keys.page
    keys.press("g", "i")
    expect(page.get_by_role("heading", level=1)).to_have_text("Inspector")
    keys.press("/")
    keys.is_at(page.get_by_role("combobox", name="Companies"))
    keys.type("talbi-logistics-llc")
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Answers")).to_be_visible()
    keys.tab_to(".*[Ee]xplain Trip Management for Talbi")
    keys.press("Enter")
    keys.is_at(page.get_by_role("heading", name="Trip Management for Talbi Logistics LLC: on"))


def test_make_and_revoke_a_token(keyboard):
    keys = keyboard("/super-admin/tokens/")
    page = keys.page
    keys.tab_to("New token")
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("New token")
    keys.tab_to("Name")
    keys.type("Made by hand")
    keys.tab_to("Make the token")
    keys.press("Enter")
    expect(page.locator(".secret")).to_be_visible()
    page.goto("/super-admin/tokens/")
    keys.tab_to("Revoke….*Made by hand|Revoke Made by hand")
    keys.press("Enter")
    expect(page.locator(".drawer h3")).to_be_focused()
    keys.tab_to("Type Made by hand to confirm")
    keys.type("Made by hand")
    keys.tab_to("Revoke Made by hand")
    keys.press("Enter")
    expect(page.locator(".drawer")).to_have_count(0)
    expect(page.get_by_text("Revoked").first).to_be_visible()


def test_add_somebody_and_grant_them_a_feature(keyboard):
    keys = keyboard("/super-admin/companies/kestrel-express/members/")
    page = keys.page
    keys.tab_to("Email")
    keys.type("hand@kestrel-express.example")
    keys.press("Enter")
    expect(page.get_by_text("hand@kestrel-express.example").first).to_be_visible()
    page.goto("/super-admin/companies/kestrel-express/members/?q=hand")
    keys.tab_to("Grants")
    keys.press("Enter")
    expect(page.locator(".drawer h3")).to_be_focused()
    keys.tab_to("Feature")
    keys.type("route_optimizer")
    keys.tab_to("Save for")
    keys.press("Enter")
    expect(page.get_by_role("cell", name="Route Optimizer", exact=True)).to_be_visible()
    expect(page.locator(":focus")).to_have_count(1)  # It is not lost.


def test_what_opens_by_a_key_closes_by_escape_and_gives_the_focus_back(keyboard):
    keys = keyboard("/super-admin/feature-flags/")
    page = keys.page
    keys.tab_to("Billing System by default")
    for key, name in (("?", "Keyboard shortcuts"), ("Control+k", None)):
        keys.press(key)
        dialog = page.get_by_role("dialog", name=name) if name else page.locator("dialog[open]")
        expect(dialog).to_be_visible()
        keys.press("Escape")
        expect(page.locator("dialog[open]")).to_have_count(0)
        keys.is_at(page.get_by_role("switch", name="Billing System by default"))
