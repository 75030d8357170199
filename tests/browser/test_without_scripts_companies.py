"""Companies, their people and grants, looking through their eyes, and what they see: by forms and links alone."""

import re

import pytest

from tests.browser.arriving import arrived

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")
expect = sync_api.expect

pytestmark = pytest.mark.browser

COMPANIES = "/super-admin/companies/"


def test_the_whole_life_of_a_company(plain):
    ana = plain(COMPANIES)
    ana.get_by_role("link", name="New company").click()
    arrived(ana, "New company")
    ana.get_by_label("Name").fill("Dockside Haulage")
    ana.get_by_label("Slug").fill("Dockside Haulage")
    ana.get_by_role("button", name="Create company").click()
    expect(ana.get_by_role("alert")).to_be_visible()
    ana.get_by_label("Slug").fill("dockside")
    ana.get_by_role("button", name="Create company").click()
    arrived(ana, "Dockside Haulage General Starter")

    ana.get_by_role("link", name="Edit", exact=True).click()
    ana.get_by_label("Channel").select_option("pilot")
    ana.get_by_role("button", name="Save company").click()
    expect(ana.get_by_role("heading", name="Moving Dockside Haulage changes what it has")).to_be_visible()
    ana.get_by_role("button", name=re.compile("Save, turn .* on")).click()
    arrived(ana, "Dockside Haulage Pilot Starter")

    ana.get_by_role("link", name="Edit", exact=True).click()
    ana.get_by_role("link", name="Deactivate…").click()
    arrived(ana, "Deactivate Dockside Haulage?")
    ana.get_by_label("Type dockside to go on").fill("dock")
    ana.get_by_role("button", name="Deactivate Dockside Haulage").click()
    expect(ana.get_by_role("alert")).to_contain_text("Dockside Haulage was not deactivated")
    ana.get_by_label("Type dockside to go on").fill("dockside")
    ana.get_by_role("button", name="Deactivate Dockside Haulage").click()
    arrived(ana, "Inactive")
    ana.get_by_role("link", name="Activate…").click()
    ana.get_by_role("button", name="Activate Dockside Haulage").click()
    arrived(ana, "Dockside Haulage")
    expect(ana.get_by_role("heading", level=1)).not_to_contain_text("Inactive")


def test_look_through_the_eyes_of_a_company_and_stop(plain):
    ana = plain(f"{COMPANIES}kestrel-express/")
    ana.get_by_role("button", name="View as… Kestrel Express").click()
    arrived(ana, "Your features")
    expect(ana.get_by_text("You see what Kestrel Express sees.")).to_be_visible()
    assert ana.request.get("/super-admin/").status == 403
    ana.get_by_role("button", name="Stop viewing").click()
    arrived(ana, "Kestrel Express")
    assert ana.request.get("/super-admin/").status == 200


def test_a_companys_override_is_set_paused_and_reset(plain):
    ana = plain(f"{COMPANIES}kestrel-express/features/")
    row = ana.locator("#feature-white_label")
    row.get_by_role("link", name="Override").click()
    arrived(ana, "White Label")
    ana.get_by_label("Reason").fill("By forms")
    ana.get_by_role("button", name="Save for Kestrel Express").click()
    arrived(ana, "Kestrel Express")
    expect(row).to_contain_text("By forms")
    row.get_by_role("button", name="Pause").click()
    arrived(ana, "White Label")
    ana.get_by_role("button", name="Pause and turn off for Kestrel Express").click()
    arrived(ana, "Kestrel Express")
    expect(row).to_contain_text("Paused")
    row.get_by_role("button", name="Reset").click()
    arrived(ana, "Kestrel Express")
    expect(row).not_to_contain_text("By forms")


def test_a_person_gets_another_role_and_is_removed(plain, demo_server):
    members = "/api/admin/tenants/kestrel-express/members"
    demo_server.call("POST", members, email="rita@kestrel-express.example", role="member")
    ana = plain(f"{COMPANIES}kestrel-express/members/?q=rita")
    ana.get_by_role("link", name="Role of rita").click()
    arrived(ana, "rita@kestrel-express.example")
    ana.get_by_role("radio", name=re.compile("Coordinator")).check()
    ana.get_by_role("button", name="Save the role").click()
    arrived(ana, "Kestrel Express")
    expect(ana.get_by_role("cell", name="Coordinator")).to_be_visible()
    ana.get_by_role("link", name="Remove rita").click()
    ana.get_by_label("Type rita@kestrel-express.example to confirm").fill("rita@kestrel-express.example")
    ana.get_by_role("button", name="Remove rita").click()
    arrived(ana, "Kestrel Express")
    assert ana.request.get(f"{members}?q=rita").json()["results"] == []


def test_a_grant_is_given_from_a_flags_page_and_ended_there(plain, demo_server):
    person = demo_server.account("admin", "kestrel-express")["email"]
    ana = plain("/super-admin/feature-flags/route_optimizer/?show=all")
    row = ana.get_by_role("region", name="Grants of Route Optimizer").get_by_role("row").filter(has_text=person)
    ana.get_by_label("Grant it to somebody of a company").fill("nobody at all")
    ana.get_by_role("button", name="Grant…").click()
    arrived(ana, "Route Optimizer")
    ana.get_by_label("Grant it to somebody of a company").fill("kestrel-express")
    ana.get_by_role("button", name="Grant…").click()
    arrived(ana, "Route Optimizer")
    ana.get_by_label("Person").fill(person)
    ana.get_by_label("Reason").fill("Plans the routes")
    ana.get_by_role("button", name="Save", exact=True).click()
    arrived(ana, "Route Optimizer")
    expect(row).to_contain_text("Plans the routes")
    row.get_by_role("link", name="Revoke…").click()
    expect(ana.get_by_role("heading", level=3)).to_contain_text("Revoke Route Optimizer from")
    ana.get_by_role("button", name="Revoke", exact=True).click()
    arrived(ana, "Route Optimizer")
    expect(row).to_have_count(0)


def test_a_company_reads_what_it_has_and_what_changed(plain, demo_server):
    demo_server.call(
        "PUT", "/api/admin/tenants/talbi-logistics-llc/overrides/white_label", enabled=True, reason="Secret"
    )
    mira = plain("/", demo_server.account("admin", "talbi-logistics-llc"))
    arrived(mira, "Your features")
    card = mira.get_by_role("article").filter(has=mira.get_by_role("heading", name="White Label"))
    expect(card).to_contain_text("On")
    mira.get_by_role("link", name="All of it").click()
    arrived(mira, "What changed")
    news = mira.get_by_role("article").first
    expect(news).to_contain_text("White Label")
    expect(mira.get_by_role("main")).not_to_contain_text("Secret")
    mira.get_by_role("link", name="Integrations").click()
    arrived(mira, "Integrations")
