"""The main job, in a browser: find a flag, see what it would do, switch it, watch a gate open elsewhere, make an
exception for one company, take it back, and read what happened. With scripts, and without.
"""

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")
expect = sync_api.expect

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_super_admin_opens_a_gate_and_makes_an_exception(visit, demo_server, scripts):
    ana = visit(demo_server.account("super_admin"), java_script_enabled=scripts)
    mira = visit(demo_server.account("admin", "talbi-logistics-llc"), java_script_enabled=scripts)
    other = visit(demo_server.account("admin", "kestrel-express"), java_script_enabled=scripts)
    reason = f"Invoices are disputed, {'with' if scripts else 'without'} scripts"

    # Closed, for everybody.
    for page in (mira, other):
        assert page.goto("/billing/").status == 403
        expect(page.get_by_role("heading", level=1)).to_have_text("Billing System is not available to you")

    # Find it.
    ana.goto("/")
    expect(ana.get_by_role("heading", level=1)).to_have_text("Overview")
    ana.get_by_role("link", name="Flags", exact=True).click()
    ana.get_by_role("combobox", name="Search flags").fill("billing sys")
    if not scripts:
        ana.get_by_role("button", name="Search").click()
    expect(ana.get_by_role("heading", level=3)).to_have_text(["Billing System"])

    # See what it would do, then do it.
    ana.get_by_role("switch", name="Billing System by default").click()
    drawer = ana.get_by_role("region", name="Turn Billing System on by default?")
    expect(drawer).to_contain_text("14")
    drawer.get_by_label("Reason").fill("Billing is ready")
    drawer.get_by_role("button", name="Turn on for 14 companies").click()
    expect(ana.get_by_role("switch", name="Billing System by default")).to_be_checked()
    if scripts:  # Only the row was swapped, and the focus is back where it was.
        expect(ana.get_by_role("switch", name="Billing System by default")).to_be_focused()

    # The gate is open in the other browsers.
    for page in (mira, other):
        assert page.goto("/billing/").status == 200
        expect(page.get_by_text("The gate is open")).to_be_visible()

    # One company gets its own answer; the drawer offers the opposite of what it has.
    ana.get_by_role("link", name="Billing System").click()
    ana.get_by_label("Give a company its own answer").fill("talbi-logistics-llc")
    ana.get_by_role("button", name="Override…").click()
    drawer = ana.get_by_role("region", name="Billing System for Talbi Logistics LLC")
    expect(drawer.get_by_role("radio", name="Off")).to_be_checked()
    drawer.get_by_label("Reason").fill(reason)
    drawer.get_by_role("button", name="Save for Talbi Logistics LLC").click()
    overrides = ana.get_by_role("region", name="Overrides of Billing System")
    expect(overrides).to_contain_text(reason)
    if scripts:  # The page was not loaded anew, and the focus is back where it was.
        expect(ana.get_by_label("Give a company its own answer")).to_be_focused()
    assert mira.goto("/billing/").status == 403
    assert other.goto("/billing/").status == 200

    # And loses it again.
    overrides.get_by_role("button", name="Reset the override for Talbi Logistics LLC").click()
    ana.get_by_role("button", name="Reset and turn on for Talbi Logistics LLC").click()
    expect(ana.get_by_text("No company differs")).to_be_visible()
    assert mira.goto("/billing/").status == 200

    # History tells it in three sentences, the newest first.
    ana.goto("/super-admin/changes/?flag=billing_enabled")
    sentences = ana.locator("main .history-text")
    expect(sentences.nth(0)).to_contain_text("Ana Ruiz removed the override of Billing System for Talbi Logistics LLC")
    expect(sentences.nth(1)).to_contain_text(f"Ana Ruiz turned Billing System off for Talbi Logistics LLC — {reason}")
    expect(sentences.nth(2)).to_contain_text("Ana Ruiz turned Billing System on by default — Billing is ready")

    # Closed again, so that the story can be told once more.
    ana.goto("/super-admin/feature-flags/billing_enabled/")
    ana.get_by_role("switch", name="Billing System by default").click()
    ana.get_by_role("button", name="Turn off for 14 companies").click()
    expect(ana.get_by_role("switch", name="Billing System by default")).not_to_be_checked()
    assert mira.goto("/billing/").status == 403


def test_filters_work_as_they_are_chosen_and_leaving_the_search_disturbs_nothing(visit, demo_server):
    ana = visit(demo_server.account("super_admin"))
    headings = ana.get_by_role("main").get_by_role("heading", level=2)
    ana.goto("/super-admin/feature-flags/")
    search = ana.get_by_role("combobox", name="Search flags")
    search.fill("category:finance")
    expect(headings).to_have_text(["Finance"])
    search.fill("is:killed")
    expect(headings).to_have_text(["Analytics"])
    search.fill("driver payments")
    expect(headings).to_have_text(["Finance"])
    asked = []
    ana.on("request", lambda request: asked.append(request.url))
    ana.get_by_role("switch", name="Driver Payments by default").click()
    expect(ana.get_by_role("region", name="Turn Driver Payments on by default?")).to_be_visible()
    assert [url for url in asked if "?q=" in url] == []
