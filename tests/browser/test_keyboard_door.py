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


@pytest.fixture(scope="module")
def invitations(demo_server, tmp_path_factory) -> list[str]:
    """Return the paths that two letters to people who are new tell."""
    emails = [f"{name}@kestrel-express.example" for name in ("nora", "nico")]
    for email in emails:
        demo_server.call("POST", "/api/admin/tenants/kestrel-express/members", email=email, role="coordinator")
    letters = tmp_path_factory.mktemp("letters") / "paths"
    demo_server.run(
        "from pathlib import Path; from tenants.invitations import path_for; from tenants.models import User; "
        f"paths = [path_for(user) for user in User.objects.filter(email__in={emails!r})]; "
        f"Path({str(letters)!r}).write_text(' '.join(paths))"
    )
    return letters.read_text().split()


def test_who_is_invited_chooses_a_password_and_is_in(visit, invitations, scripts):
    path = invitations[scripts]
    keys = Keyboard(visit(None, path, java_script_enabled=scripts))
    page = keys.page
    expect(page.get_by_role("heading", level=1)).to_have_text("Welcome")
    keys.fill("Your name", "Nora Lind")
    keys.fill("Password", "correct horse battery")
    keys.fill("The password once more", "correct horse battering")
    keys.press("Enter")
    keys.is_at(page.get_by_role("alert"))
    keys.fill("Password", "correct horse battery")
    keys.fill("The password once more", "correct horse battery")
    keys.press("Enter")
    arrived(page, "Your features")
    assert page.goto(path).status == 410
    expect(page.get_by_role("heading", level=1)).to_have_text("This invitation is no longer good")
