"""What somebody typed is not dropped without asking: by a key, by another action in its place, or by leaving."""

import re

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")
expect = sync_api.expect

pytestmark = pytest.mark.browser

FLAG = "/super-admin/feature-flags/api_access/"
ASKED = "Drop what you typed?"


@pytest.fixture
def half_typed(visit, demo_server):
    """Return the page of a flag, with the drawer that kills it, and its reason half typed."""
    page = visit(demo_server.account("super_admin"), FLAG)
    page.wait_for_load_state("networkidle")  # The parts that follow the page are there.
    page.get_by_role("link", name="Kill…").click()
    reason = page.locator(".drawer").get_by_label("Reason")
    reason.press_sequentially("Because of")
    expect(reason).to_have_value("Because of")
    return page


def dialog(page):
    return page.get_by_role("dialog", name=ASKED)


def test_escape_asks_and_keeps_or_drops(half_typed):
    reason = half_typed.locator(".drawer").get_by_label("Reason")
    half_typed.keyboard.press("Escape")
    expect(dialog(half_typed)).to_be_visible()
    expect(half_typed.get_by_role("button", name="Keep editing")).to_be_focused()
    half_typed.keyboard.press("Escape")
    expect(dialog(half_typed)).to_be_hidden()
    expect(reason).to_have_value("Because of")
    expect(reason).to_be_focused()
    half_typed.keyboard.press("Escape")
    half_typed.get_by_role("button", name="Drop it").click()
    expect(half_typed.locator(".drawer")).to_have_count(0)
    expect(half_typed.get_by_role("link", name="Kill…")).to_be_focused()


def test_nothing_typed_is_closed_at_once(visit, demo_server):
    page = visit(demo_server.account("super_admin"), FLAG)
    page.get_by_role("link", name="Kill…").click()
    reason = page.locator(".drawer").get_by_label("Reason")
    reason.press_sequentially("x")
    reason.press("Backspace")
    page.keyboard.press("Escape")
    expect(page.locator(".drawer")).to_have_count(0)
    expect(dialog(page)).to_be_hidden()


def test_another_action_in_its_place_asks_first(half_typed):
    half_typed.get_by_role("link", name="Archive…").click()
    half_typed.get_by_role("button", name="Keep editing").click()
    expect(half_typed.locator(".drawer").get_by_label("Reason")).to_have_value("Because of")
    half_typed.get_by_role("link", name="Archive…").click()
    half_typed.get_by_role("button", name="Drop it").click()
    expect(half_typed.get_by_role("heading", name="Archive API Access?")).to_be_visible()


def test_a_change_that_redraws_the_whole_page_asks_first(half_typed):
    half_typed.get_by_role("switch", name="API Access by default").click()
    expect(dialog(half_typed)).to_be_visible()


def test_redrawing_a_companys_people_asks_for_what_is_typed_elsewhere_among_them(visit, demo_server):
    page = visit(demo_server.account("super_admin"), "/super-admin/companies/talbi-logistics-llc/members/")
    page.locator("[id^=remove-]").first.click()
    drawer = page.locator(".drawer")
    drawer.get_by_label("Reason").press_sequentially("Left")
    page.get_by_label("Email").fill("rosa@talbi-logistics-llc.example")
    page.get_by_role("button", name="Add and send an email").click()
    page.get_by_role("button", name="Keep editing").click()
    expect(drawer.get_by_label("Reason")).to_have_value("Left")
    page.locator("[id^=role-]").nth(1).click()
    page.get_by_role("button", name="Save the role").click()  # Redraws a row, and not the one with the drawer.
    expect(page.locator("#toasts")).to_contain_text("Nothing to change")
    expect(dialog(page)).to_be_hidden()
    expect(drawer.get_by_label("Reason")).to_have_value("Left")


def test_a_switch_that_opened_its_drawer_is_nothing_typed(visit, demo_server):
    page = visit(demo_server.account("super_admin"), "/super-admin/feature-flags/driver_chat/")
    page.get_by_label("Answer for General").select_option("on")
    page.get_by_role("button", name="Change… General").click()
    page.locator(".drawer").get_by_role("button", name=re.compile("Turn on for")).click()
    expect(page.locator(".drawer")).to_have_count(0)
    expect(dialog(page)).to_be_hidden()


def test_what_was_refused_still_counts_as_typed(visit, demo_server):
    page = visit(demo_server.account("super_admin"), FLAG)
    page.get_by_role("link", name="Delete…").click()
    page.get_by_label("Type api_access to confirm").fill("something else")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator(".drawer").get_by_role("alert")).to_be_visible()
    page.locator(".drawer").get_by_label("Reason").press("Escape")
    expect(dialog(page)).to_be_visible()


@pytest.mark.parametrize("saves", [False, True])
def test_leaving_a_half_typed_page_asks_and_saving_does_not(visit, demo_server, saves):
    page = visit(demo_server.account("super_admin"), f"{FLAG}edit/")
    asked = []
    page.on("dialog", lambda dialog: asked.append(dialog.type))
    page.get_by_label("Owner").press_sequentially("!")
    if saves:
        page.get_by_role("button", name="Save").first.click()
        page.wait_for_url(lambda url: not url.endswith("/edit/"))
    else:
        page.goto("/super-admin/")
    assert asked == ([] if saves else ["beforeunload"])
