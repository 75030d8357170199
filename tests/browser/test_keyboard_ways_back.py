"""By keyboard alone: defaults inherited again, choices taken back, a release finished, what if, the small sidebar."""

import re

import pytest

from tests.browser.keyboard import Keyboard

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")
expect = sync_api.expect

pytestmark = pytest.mark.browser

FLAGS = "/super-admin/feature-flags/"


def test_a_default_is_inherited_again(keyboard):
    keys = keyboard(f"{FLAGS}white_label/")
    page = keys.page
    back = page.get_by_role("button", name="Go back to inherited")
    switch, was = keys.turn_default("White Label")
    keys.tab_to("Go back to inherited", "Shift+Tab")
    keys.press("Enter")
    keys.is_asked(re.compile("White Label"))
    keys.is_asked_again(re.compile("White Label"), back)
    keys.fill("Reason", "By hand")
    keys.press("Enter")
    expect(back).to_have_count(0)
    expect(switch).to_be_checked(checked=was)
    keys.is_at(switch)


def test_what_a_company_chose_is_taken_back(keyboard):
    keys = keyboard("/super-admin/companies/talbi-logistics-llc/features/?q=accounting_enabled")
    row = keys.page.locator("#feature-accounting_enabled")
    button = row.get_by_role("button", name="Take back")
    keys.go("Take back what Talbi Logistics LLC chose")
    keys.is_asked(re.compile("^Take back what Talbi Logistics LLC chose for"))
    keys.is_asked_again(re.compile("^Take back what Talbi Logistics LLC chose for"), button)
    keys.fill("Reason", "By hand")
    keys.press("Enter")
    expect(button).to_have_count(0)
    keys.is_at(row.get_by_role("link", name="Override"))


def test_a_release_is_finished(keyboard, demo_server):
    demo_server.run(
        "from flags import changes, releases; from tenants.models import User; "
        "ana = User.objects.filter(is_superuser=True).order_by('email').first(); "
        "changes.create_flag('dock_doors', name='Dock Doors', actor=ana); releases.start('dock_doors', actor=ana); "
        "[releases.promote('dock_doors', actor=ana, force=True, reason='To its end') for _ in range(2)]"
    )
    keys = keyboard(f"{FLAGS}dock_doors/")
    page = keys.page
    finish = page.get_by_role("link", name=re.compile("^Finish…"))
    keys.go("Finish…")
    keys.is_asked("Finish the release of Dock Doors?")
    keys.is_asked_again("Finish the release of Dock Doors?", finish)
    keys.go("Finish the release")
    expect(page.get_by_text("No release is under way, so")).to_be_visible()
    keys.is_at(page.locator("#release-dock_doors"))
    expect(page.locator("#announcer")).to_contain_text("Finished the release of Dock Doors")


def test_the_inspector_is_asked_what_if(keyboard):
    keys = keyboard("/super-admin/inspector/?company=talbi-logistics-llc&flag=trip_management")
    page = keys.page
    keys.go("What if…")
    keys.tab_to("it is killed")
    keys.type("yes")
    keys.press("Tab")
    keys.go("Explain$")
    expect(page).to_have_url(re.compile("killed=on"))
    expect(page.get_by_role("region", name="Grid of answers")).to_contain_text("now On")
    keys.is_at(page.get_by_role("button", name="Explain", exact=True))
    expect(page.locator("#announcer")).to_have_text("1 flag explained")


def test_the_sidebar_of_a_small_screen_is_opened_walked_and_closed(visit, demo_server):
    page = visit(demo_server.account("super_admin"), "/super-admin/", viewport={"width": 320, "height": 640})
    keys = Keyboard(page)
    sidebar = page.locator("#sidebar")
    expect(sidebar).to_be_hidden()
    keys.go("Menu")
    expect(sidebar).to_be_visible()
    keys.tab_to("Flags")
    keys.press("Escape")
    expect(sidebar).to_be_hidden()
    keys.is_at(page.get_by_role("button", name="Menu"))
    keys.press("Enter")
    keys.go("Flags")
    expect(page.get_by_role("heading", level=1)).to_have_text("Flags")
    expect(sidebar).to_be_hidden()
