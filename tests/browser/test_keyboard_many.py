"""By keyboard alone: many flags and companies at once, filters and views of one's own, and deeds from the palette."""

import re

import pytest

from tests.browser.keyboard import Keyboard

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")
expect = sync_api.expect

pytestmark = pytest.mark.browser

FLAGS = "/super-admin/feature-flags/"
COMPANIES = "/super-admin/companies/"


def test_chosen_flags_are_overridden_for_one_company_and_it_is_undone(keyboard):
    keys = keyboard(f"{FLAGS}?q=billing")
    page = keys.page

    def overridden() -> list[str]:
        rows = page.request.get("/api/admin/tenants/alder-couriers/features").json()["results"]
        return [row["key"] for row in rows if row["override"]]

    assert overridden() == []
    keys.press("j", "x", "j", "x")
    chosen = page.get_by_role("checkbox", checked=True).evaluate_all("all => all.map((one) => one.value)")
    assert len(chosen) == 2
    keys.go("Change those chosen…")
    keys.is_on("Change many flags")
    expect(page.get_by_role("main")).to_contain_text("2 flags chosen")
    keys.fill("Company", "nobody-at-all")
    keys.go("Show what it would do")
    keys.is_at(page.get_by_label("Company", exact=True))
    expect(page.get_by_label("Company", exact=True)).to_have_accessible_description(re.compile("no such company"))
    keys.press("ControlOrMeta+a")
    keys.type("alder-couriers")
    keys.go("Show what it would do")
    keys.is_at(page.get_by_role("heading", name="What it would do"))
    keys.fill("Reason", "By hand")
    keys.go("Turn 2 flags on for Alder Couriers")
    expect(page.get_by_text("Done: 2 flags")).to_be_visible()
    expect(page.locator("#announcer")).to_contain_text("Done")
    assert sorted(overridden()) == sorted(chosen)
    keys.go("Undo all of it…")
    keys.is_asked("Take this back?")
    keys.go("Take it back")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert overridden() == []


def test_all_companies_that_match_are_moved_and_moved_back(keyboard):
    keys = keyboard(COMPANIES)
    page = keys.page

    def pilots() -> int:
        return len(page.request.get("/api/admin/tenants?channel=pilot").json()["results"])

    before = pilots()
    keys.press("/")
    keys.type("channel:general plan:pro ")
    link = page.get_by_role("link", name=re.compile(r"^Change all \d+ that match"))
    expect(page).to_have_url(re.compile("plan(:|%3A)pro"))
    number = int(re.search(r"\d+", link.inner_text())[0])
    keys.go("Change all .* that match…")
    keys.is_on("Change many companies")
    keys.go("Move to a channel")
    expect(page.get_by_label("Move to", exact=True)).to_be_visible()
    keys.tab_to("Move to$")
    keys.type("Pilot")
    keys.go("Show what it would do")
    keys.is_at(page.get_by_role("heading", name="What it would do"))
    keys.go(f"Move {number} companies to Pilot")
    expect(page.get_by_text(f"Done: {number} companies")).to_be_visible()
    expect(page.get_by_role("progressbar", name="Done so far")).to_have_attribute("value", str(number))
    assert pilots() == before + number
    keys.go("Undo all of it…")
    keys.is_on("Take this back?")
    keys.go(f"Take {number} back")
    expect(page.get_by_text(f"Done: {number} changes")).to_be_visible()
    assert pilots() == before


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_people_of_many_companies_are_granted_a_feature_and_it_is_undone(visit, demo_server, scripts):
    address = "/super-admin/bulk/companies/?what=grant&q=plan:enterprise"
    keys = Keyboard(visit(demo_server.account("super_admin"), address, java_script_enabled=scripts))
    page = keys.page

    def granted() -> int:
        return page.request.get(f"{FLAGS}route_optimizer/?show=all").text().count("Revoke…")

    before = granted()
    keys.tab_to("Flag$")
    keys.type("route_optimizer")
    keys.tab_to("Whom")
    keys.type("Admins")
    keys.go("Show what it would do")
    keys.is_at(page.get_by_role("heading", name="What it would do"))
    keys.go("Grant Route Optimizer")
    keys.is_on("Route Optimizer: grant")
    if not scripts:
        keys.go("Go on")
    expect(page.get_by_text(re.compile("^Done: "))).to_be_visible()
    assert granted() > before
    keys.go("Undo all of it…")
    keys.is_on("Take this back?")
    keys.go("Take .* back")
    keys.is_on("Take back: Route Optimizer")
    if not scripts:
        keys.go("Go on")
    expect(page.get_by_text(re.compile("^Done: "))).to_be_visible()
    assert granted() == before


def test_a_search_is_filtered_by_the_menu_and_kept_as_a_view(keyboard):
    keys = keyboard(FLAGS)
    page = keys.page
    field = page.get_by_role("combobox", name="Search flags")
    keys.go("Filter")
    keys.go("is:killed")
    expect(field).to_have_value("is:killed")
    expect(page.get_by_role("heading", level=3)).to_contain_text(["Legacy Export"])
    keys.is_at(field)
    keys.go("Save view")
    keys.tab_to("Name of this view")
    keys.type("Out of order")
    keys.press("Enter")
    view = page.get_by_role("navigation", name="Your views").get_by_role("link", name="Out of order")
    expect(view).to_have_attribute("aria-current", "page")
    page.goto(FLAGS)
    keys.go("Out of order")
    expect(page).to_have_url(re.compile(r"\?q=is(:|%3A)killed"))
    keys.go("Edit view")
    keys.fill("Name of this view", "Killed")
    keys.press("Enter")
    expect(page.get_by_role("link", name="Killed", exact=True)).to_have_attribute("aria-current", "page")
    keys.go("Edit view")
    keys.go("Delete the view “Killed”")
    expect(page.get_by_role("navigation", name="Your views")).to_have_count(0)
    expect(field).to_have_value("is:killed")


def test_an_override_begins_in_the_palette(keyboard):
    keys = keyboard()
    page = keys.page
    keys.press("Control+k")
    keys.is_at(page.get_by_role("combobox", name="Find anything"))
    keys.type("override white label for kestrel")
    expect(page.get_by_role("option", selected=True)).to_have_text(re.compile("White Label.*Kestrel Express"))
    keys.press("Enter")
    keys.is_on("White Label")
    keys.is_asked("White Label for Kestrel Express")
    keys.fill("Reason", "From the palette")
    keys.go("Save for Kestrel Express")
    expect(page.locator(".drawer")).to_have_count(0)  # It is saved.
    rows = page.request.get("/api/admin/feature-flags/white_label/overrides").json()["results"]
    assert "From the palette" in [row["reason"] for row in rows]
