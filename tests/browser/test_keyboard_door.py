"""By keyboard alone, with scripts and without: signing in and out, an invitation, and going to another workspace."""

import pytest

from tests.browser.arriving import arrived, sync_api
from tests.browser.keyboard import Keyboard

expect = sync_api.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"]),
]


def test_sign_in_after_a_slip_and_sign_out(visit, demo_server, scripts):
    account = demo_server.account("coordinator", "ironbridge-logistics")
    keys = Keyboard(visit(None, "/features/", java_script_enabled=scripts))
    page = keys.page
    keys.is_at(page.get_by_label("Email"))
    keys.type(account["email"])
    keys.fill("Password", "a slip of the hand")
    keys.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    keys.is_at(page.get_by_label("Password"))
    keys.type(account["password"])
    keys.press("Enter")
    arrived(page, "Your features")
    keys.go("Your account")
    keys.go("Sign out")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    assert page.request.get("/api/features").status == 401


def test_go_to_another_workspace_and_back(visit, demo_server, scripts):
    demo_server.call(
        "PUT", "/api/admin/tenants/talbi-logistics-llc/overrides/multi_workspace_enabled", enabled=True, reason=""
    )
    samir = demo_server.person("samir.haddad@talbi-logistics-llc.example")
    keys = Keyboard(visit(samir, "/integrations/", anew=True, java_script_enabled=scripts))
    page = keys.page
    keys.go("Workspace: Talbi Logistics LLC")
    keys.go("Bluewater Freight")
    expect(page.get_by_text("What Bluewater Freight can connect")).to_be_visible()
    arrived(page, "Integrations")
    keys.go("Workspace: Bluewater Freight")
    keys.go("Talbi Logistics LLC")
    arrived(page, "Your features")
    expect(page.get_by_text("What Talbi Logistics LLC has")).to_be_visible()
