"""Two people on the same page: each sees what the other did after the next action, and who comes second is told, with
how it is now and what they wanted, and keeps what they typed. And what is swapped moves nothing that it need not.
"""

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")
expect = sync_api.expect

pytestmark = pytest.mark.browser

FLAG = "/super-admin/feature-flags/document_signing_enabled/"
SHIFTS = """() => new Promise((then) => {
  new PerformanceObserver((list) => then(list.getEntries())).observe({ type: "layout-shift", buffered: true });
  setTimeout(() => then([]), 300);
}).then((entries) => entries.filter((one) => !one.hadRecentInput).reduce((sum, one) => sum + one.value, 0))"""


@pytest.fixture
def two(visit, demo_server):
    """Return a function that opens an address in the browsers of both super admins."""
    accounts = [one for one in demo_server.accounts if one["role"] == "super_admin"]
    return lambda at: [visit(account, at) for account in accounts]


def override(page, company: str, reason: str):
    """Fill in the drawer that gives a company its own answer, and return it."""
    page.get_by_label("Give a company its own answer").fill(company)
    page.get_by_role("button", name="Override…").click()
    drawer = page.locator(".drawer")
    drawer.get_by_label("Reason").fill(reason)
    return drawer


def test_each_sees_what_the_other_did_after_the_next_action(two):
    ana, tom = two(FLAG)
    override(ana, "drumlin-haulage", "Ana was here").get_by_role("button", name="Save for").click()
    expect(ana.locator("#overrides")).to_contain_text("Ana was here")
    expect(tom.locator("#overrides")).not_to_contain_text("Ana was here")
    override(tom, "kestrel-express", "Tom was here").get_by_role("button", name="Save for").click()
    for words in ("Ana was here", "Tom was here"):
        expect(tom.locator("#overrides")).to_contain_text(words)
    override(ana, "juniper-school-transport", "Ana again").get_by_role("button", name="Save for").click()
    expect(ana.locator("#overrides")).to_contain_text("Tom was here")


def test_who_comes_second_is_told_and_keeps_what_they_typed(two):
    ana, tom = two(FLAG)
    first, second = (
        override(page, "larkspur-paratransit", f"{name}'s reason") for page, name in ((ana, "Ana"), (tom, "Tom"))
    )
    first.get_by_role("radio", name="On").check()
    second.get_by_role("radio", name="Off").check()
    first.get_by_role("button", name="Save for").click()
    expect(ana.locator("#overrides")).to_contain_text("Ana's reason")
    second.get_by_role("button", name="Save for").click()

    told = tom.locator(".drawer")
    expect(told.get_by_role("alert")).to_be_visible()
    expect(told).to_contain_text("Ana's reason")  # How it is now
    expect(told.get_by_label("Reason")).to_have_value("Tom's reason")
    expect(told.get_by_role("radio", name="Off")).to_be_checked()
    told.get_by_role("button", name="Save for").click()
    expect(tom.locator("#overrides")).to_contain_text("Tom's reason")
    expect(tom.locator("#overrides")).not_to_contain_text("Ana's reason")


def test_of_two_who_edit_a_flag_the_second_is_told(two):
    ana, tom = two(f"{FLAG}edit/")
    for page, owner in ((ana, "Ana's team"), (tom, "Tom's team")):
        page.get_by_label("Owner").fill(owner)
    ana.get_by_role("button", name="Save").first.click()
    ana.wait_for_url(lambda url: not url.endswith("/edit/"))
    tom.get_by_role("button", name="Save").first.click()
    expect(tom.get_by_role("alert").first).to_be_visible()
    expect(tom.get_by_text("Ana's team").first).to_be_visible()
    expect(tom.get_by_label("Owner")).to_have_value("Tom's team")


def test_what_is_swapped_moves_nothing_by_itself(visit, demo_server):
    ana = visit(demo_server.account("super_admin"), "/super-admin/feature-flags/", reduced_motion="reduce")
    ana.get_by_role("switch", name="Driver Payments by default").click()
    expect(ana.locator(".drawer")).to_be_visible()
    ana.keyboard.press("Escape")
    ana.goto(FLAG)
    ana.get_by_role("link", name="Kill…").click()
    expect(ana.locator(".drawer")).to_be_visible()
    assert ana.evaluate(SHIFTS) < 0.1  # What the Core Web Vitals call good


def test_reduced_motion_is_respected(visit, demo_server):
    ana = visit(demo_server.account("super_admin"), "/super-admin/feature-flags/", reduced_motion="reduce")
    moving = ana.evaluate(
        """() => [...document.querySelectorAll("*")].filter((one) => {
          const { transitionDuration, animationDuration } = getComputedStyle(one);
          return `${transitionDuration},${animationDuration}`.split(",").some((one) => parseFloat(one) > 0.01);
        }).map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert moving == []


def test_of_two_quick_clicks_the_last_is_answered(visit, demo_server):
    page = visit(demo_server.account("super_admin"), "/super-admin/feature-flags/api_access/")
    page.route("**/kill/**", lambda route: (page.wait_for_timeout(500), route.continue_()))
    page.get_by_role("link", name="Kill…").click()
    page.get_by_role("link", name="Archive…").click()
    expect(page.get_by_role("heading", name="Archive API Access?")).to_be_visible()
    page.wait_for_timeout(1000)
    expect(page.get_by_role("heading", name="Archive API Access?")).to_be_visible()
