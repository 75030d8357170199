"""By keyboard alone: a company's life, its people, what they are granted, and looking through its eyes."""

import re

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")
expect = sync_api.expect

pytestmark = pytest.mark.browser

COMPANIES = "/super-admin/companies/"
ROUTE_OPTIMIZER = "/super-admin/feature-flags/route_optimizer/"


def test_the_whole_life_of_a_company(keyboard):
    keys = keyboard(COMPANIES)
    page = keys.page

    # Made.
    keys.press("n")
    keys.is_on("New company")
    keys.fill("Name", "Harbour Freight Lines")
    keys.fill("Slug", "harbour-freight")
    keys.go("Create company")
    keys.is_on("Harbour Freight Lines General Starter")

    # Moved: what it gets by that is shown first.
    keys.go("Edit$")
    keys.is_on("Edit Harbour Freight Lines")
    keys.tab_to("Channel")
    keys.type("Pilot")
    keys.go("Save company")
    keys.is_at(page.get_by_role("heading", name="Moving Harbour Freight Lines changes what it has"))
    keys.go("Save, turn .* on")
    keys.is_on("Harbour Freight Lines Pilot Starter")

    # Deactivated, once its slug is typed as it is.
    keys.go("Edit$")
    keys.is_on("Edit Harbour Freight Lines")
    keys.go("Deactivate…")
    keys.is_on("Deactivate Harbour Freight Lines?")
    keys.fill("Type harbour-freight to go on", "harbour")
    keys.press("Enter")
    keys.is_at(page.get_by_role("alert"))
    expect(page.get_by_role("alert")).to_contain_text("Harbour Freight Lines was not deactivated")
    keys.fill("Type harbour-freight to go on", "harbour-freight")
    keys.press("Enter")
    keys.is_on("Inactive")

    # And activated again.
    keys.go("Activate…")
    keys.is_on("Activate Harbour Freight Lines?")
    keys.go("Activate Harbour Freight Lines")
    keys.is_on("Harbour Freight Lines Pilot Starter")
    expect(page.get_by_role("heading", level=1)).not_to_contain_text("Inactive")
    expect(page.locator("#announcer")).to_contain_text("Harbour Freight Lines")


def test_look_through_the_eyes_of_a_company_and_stop(keyboard):
    keys = keyboard(f"{COMPANIES}kestrel-express/")
    page = keys.page
    keys.go("View as… Kestrel Express")
    keys.is_on("Your features")
    expect(page.get_by_text("You see what Kestrel Express sees.")).to_be_visible()
    assert page.request.get("/super-admin/").status == 403
    keys.go("Stop viewing")
    keys.is_on("Kestrel Express")
    assert page.request.get("/super-admin/").status == 200


def test_an_override_of_a_company_is_set_paused_and_reset(keyboard):
    keys = keyboard(f"{COMPANIES}kestrel-express/features/")
    page = keys.page
    row = page.locator("#feature-white_label")
    keys.go("Override.* White Label")
    keys.is_asked("White Label for Kestrel Express")
    keys.fill("Reason", "By hand")
    keys.go("Save for Kestrel Express")
    expect(row).to_contain_text("By hand")
    keys.is_at(row.get_by_role("link", name="Edit"))
    keys.go("Pause the override of White Label")
    keys.is_asked("Pause the override of White Label for Kestrel Express?")
    keys.go("Pause and turn off for Kestrel Express")
    expect(row).to_contain_text("Paused")
    keys.is_at(row.get_by_role("button", name="Resume"))
    keys.go("Reset the override of White Label")
    expect(row).not_to_contain_text("By hand")
    keys.is_at(row.get_by_role("link", name="Override"))


def test_a_person_gets_another_role_and_is_removed(keyboard, demo_server):
    members = "/api/admin/tenants/kestrel-express/members"
    demo_server.call("POST", members, email="rita@kestrel-express.example", role="member")
    keys = keyboard(f"{COMPANIES}kestrel-express/members/?q=rita")
    page = keys.page
    row = page.locator("tbody", has_text="rita@kestrel-express.example")
    keys.go("Role of rita")
    keys.is_asked("Role of rita@kestrel-express.example at Kestrel Express")
    keys.tab_to("Member")
    keys.press("ArrowUp")
    keys.go("Save the role")
    expect(row.get_by_role("cell", name="Coordinator")).to_be_visible()
    keys.is_at(row.get_by_role("link", name="Role"))
    keys.go("Remove rita")
    keys.is_asked("Remove rita@kestrel-express.example from Kestrel Express?")
    keys.fill("Type rita@kestrel-express.example to confirm", "rita")
    keys.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    keys.is_at(page.locator(".drawer h3"))
    keys.fill("Type rita@kestrel-express.example to confirm", "rita@kestrel-express.example")
    keys.press("Enter")
    keys.is_at(page.get_by_text("does not belong to Kestrel Express any more"))
    assert page.request.get(f"{members}?q=rita").json()["results"] == []


def test_a_grant_is_given_from_a_flags_page_and_ended_there(keyboard, demo_server):
    person = demo_server.account("admin", "kestrel-express")["email"]
    keys = keyboard(ROUTE_OPTIMIZER)
    page = keys.page
    expect(page.locator("body:not(:has(.later))")).to_be_visible()
    field = page.get_by_label("Grant it to somebody of a company")
    row = page.get_by_role("region", name="Grants of Route Optimizer").get_by_role("row").filter(has_text=person)
    keys.tab_to("Grant it to somebody of a company")
    keys.type("kestrel-express")
    keys.press("Enter")
    keys.is_asked(re.compile("Route Optimizer"))
    keys.fill("Person", person)
    keys.fill("Reason", "Plans the routes")
    keys.press("Enter")
    expect(row).to_contain_text("Plans the routes")
    keys.is_at(field)
    keys.go(f"Revoke… the grant of {row.get_by_role('rowheader').inner_text().splitlines()[0]}")
    keys.is_asked(re.compile("Revoke Route Optimizer from"))
    keys.go("Revoke$")
    expect(row).to_have_count(0)
    keys.is_at(field)


def test_a_grant_is_ended_in_a_persons_row(keyboard, demo_server):
    account = demo_server.account("admin", "kestrel-express")
    member = next(
        one["user"]
        for one in demo_server.call("GET", "/api/admin/tenants/kestrel-express/members")["results"]
        if one["user"]["email"] == account["email"]
    )
    demo_server.call("PUT", f"/api/admin/tenants/kestrel-express/grants/api_access/{member['id']}", enabled=False)
    keys = keyboard(f"{COMPANIES}kestrel-express/members/?q={account['email']}")
    page = keys.page
    row = page.locator(f"#member-{member['id']}")
    expect(row).to_contain_text("API Access: denied")
    keys.go(f"Grants of {member['name']}")
    keys.is_asked(f"Grants of {member['name']} at Kestrel Express")
    keys.go("Revoke… API Access")
    keys.is_asked(re.compile("Revoke API Access from"))
    keys.go("Revoke$")
    expect(row).not_to_contain_text("API Access")
    keys.is_at(row.get_by_role("link", name="Grants"))
