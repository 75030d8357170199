"""A company's people, in their rows: adding, granting, revoking, inviting again, removing."""

import re

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")
expect = sync_api.expect

pytestmark = pytest.mark.browser

PEOPLE = "/super-admin/companies/kestrel-express/members/"


def test_the_whole_life_of_a_member_in_their_row(visit, demo_server):
    ana = visit(demo_server.account("super_admin"), PEOPLE)
    ana.get_by_label("Email").fill("nils@kestrel-express.example")
    ana.get_by_role("button", name="Add and send an email").click()
    row = ana.locator("tbody", has_text="nils@kestrel-express.example")
    expect(row).to_contain_text("Invited")
    row.get_by_role("button", name="Send again").click()
    expect(ana.locator("#toasts")).to_contain_text("Sent another link")

    needs_grant = ana.locator("tbody", has=ana.get_by_role("link", name="Route Optimizer", exact=True))
    expect(needs_grant).to_contain_text("Nobody Nobody")
    row.get_by_role("link", name="Grants").click()
    row.get_by_label("Feature").fill("Route Optimizer")
    row.get_by_role("button", name="Save for").click()
    expect(row.get_by_text("Route Optimizer", exact=True)).to_be_visible()
    expect(row.get_by_role("link", name="Grants")).to_be_focused()
    expect(needs_grant).to_contain_text("1 person")

    row.get_by_role("link", name="Grants").click()
    row.get_by_role("link", name="Revoke… Route Optimizer").click()
    row.get_by_label("Reason").fill("Left the planners")
    row.get_by_role("button", name="Revoke", exact=True).click()
    expect(row.get_by_role("link", name="Grants")).to_be_focused()
    expect(row).to_contain_text("None")
    expect(needs_grant).not_to_contain_text("1 person")

    row.get_by_role("link", name="Role").click()
    row.get_by_role("radio", name=re.compile("Coordinator")).check()
    row.get_by_role("button", name="Save the role").click()
    expect(row.get_by_role("cell", name="Coordinator")).to_be_visible()

    needs_grant.get_by_role("link", name="Grant to somebody").click()
    ana.get_by_label("Person").fill("nils@kestrel-express.example")
    ana.get_by_role("button", name="Save", exact=True).click()
    expect(needs_grant).to_contain_text("1 person")

    row.get_by_role("link", name="Remove").click()
    row.get_by_label("Type nils@kestrel-express.example to confirm").fill("nils@kestrel-express.example")
    row.get_by_role("button", name="Remove nils").click()
    expect(ana.get_by_text("does not belong to Kestrel Express any more")).to_be_focused()
    expect(needs_grant).not_to_contain_text("1 person")


def test_what_was_asked_for_and_left_the_page_leaves_nothing_waiting(visit, demo_server):
    ana = visit(demo_server.account("super_admin"), "/super-admin/companies/talbi-logistics-llc/members/")
    row = ana.locator("tbody", has_text="samir.haddad")
    row.get_by_role("link", name="Grants").click()
    held = []
    ana.route("**/suggestions/**", lambda route: held.append(route))
    row.get_by_label("Feature").fill("trip_management")
    expect(ana.locator("html.is-loading")).to_have_count(1)
    row.get_by_role("button", name="Save for").click()
    expect(row.get_by_label("Feature")).to_have_count(0)
    for late in held:
        late.continue_()
    expect(ana.locator("html.is-loading")).to_have_count(0)


def test_a_second_request_from_a_row_waits_for_the_first_and_is_let_go_with_it(visit, demo_server):
    ana = visit(demo_server.account("super_admin"), "/super-admin/companies/talbi-logistics-llc/members/")
    row = ana.locator("tbody", has_text="kofi.mensah")
    row.get_by_role("link", name="Grants").click()
    row.get_by_label("Feature").fill("api_access")
    row.get_by_role("button", name="Save for").click()
    expect(row.get_by_text("API Access", exact=True)).to_be_visible()
    row.get_by_role("link", name="Grants").click()
    expect(row.get_by_role("link", name="Revoke")).to_have_count(2)
    row.get_by_role("link", name="Revoke… API Access").click()
    expect(row.get_by_role("heading", name="Revoke API Access from")).to_be_visible()
    row.evaluate("row => [1, 2].forEach(() => row.querySelector('.drawer form').requestSubmit())")
    expect(ana.locator("#toasts")).to_contain_text("Revoked the grant of API Access")
    expect(ana.locator("html.is-loading")).to_have_count(0)
    expect(row.locator(".badge")).to_have_count(1)
