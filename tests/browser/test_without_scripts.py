"""Tokens, additions and what outlives a session, by forms and links alone. Flags and companies have modules of their
own; releases, the Inspector and many companies at once are walked without scripts where they are walked with them.
"""

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")
expect = sync_api.expect

pytestmark = pytest.mark.browser


def test_a_token_is_made_and_revoked(plain):
    ana = plain("/super-admin/tokens/new/")
    ana.get_by_label("Name").fill("Without scripts")
    ana.get_by_role("button", name="Make the token").click()
    expect(ana.locator(".secret")).to_be_visible()
    ana.goto("/super-admin/tokens/")
    ana.get_by_role("row", name="Without scripts").get_by_role("link", name="Revoke").click()
    ana.get_by_label("Type Without scripts to confirm").fill("Without scripts")
    ana.get_by_role("button", name="Revoke Without scripts").click()
    ana.goto("/super-admin/tokens/")
    expect(ana.get_by_role("row", name="Without scripts")).to_contain_text("Revoked")


def test_somebody_is_added_and_granted_a_feature(plain):
    ana = plain("/super-admin/companies/kestrel-express/members/")
    ana.get_by_role("region", name="Add somebody").get_by_label("Email").fill("plain@kestrel-express.example")
    ana.get_by_role("region", name="Add somebody").get_by_role("button").click()
    ana.get_by_role("link", name="Grants of plain@kestrel-express.example").click()
    ana.get_by_label("Feature").fill("Route Optimizer")
    ana.get_by_role("button", name="Save for").click()
    row = ana.get_by_role("row", name="plain@kestrel-express.example")
    expect(row).to_contain_text("Route Optimizer")


def test_what_was_typed_outlives_a_session(visit, demo_server):
    account = demo_server.account("super_admin")
    ana = visit(account, "/super-admin/feature-flags/driver_chat/edit/", anew=True, java_script_enabled=False)
    ana.get_by_label("Description").fill("Half a page of thoughts")
    ana.context.clear_cookies(name="headgate_session")
    ana.get_by_role("button", name="Save").first.click()
    ana.get_by_label("Email").fill(account["email"])
    ana.get_by_label("Password").fill(account["password"])
    ana.get_by_role("button", name="Sign in").click()
    expect(ana.get_by_role("heading", level=1)).to_have_text("You are signed in again")
    expect(ana.get_by_text("Half a page of thoughts")).to_be_visible()
    ana.get_by_role("button", name="Send it now").click()
    expect(ana.get_by_role("heading", level=1)).to_contain_text("Driver Chat")
    expect(ana.get_by_text("Half a page of thoughts").first).to_be_visible()
