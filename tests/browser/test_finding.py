"""Finding and doing by keyboard alone: searches that complete words, the palette, shortcuts, many companies at once."""

import re

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")
expect = sync_api.expect

pytestmark = pytest.mark.browser


def test_a_search_completes_words_and_chips_write_the_same_text(visit, demo_server):
    page = visit(demo_server.account("super_admin"))
    page.goto("/super-admin/feature-flags/")
    page.wait_for_load_state()
    field = page.get_by_role("combobox", name="Search flags")
    page.keyboard.press("/")
    expect(field).to_be_focused()
    page.keyboard.type("is:kille")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(field).to_have_attribute("aria-activedescendant", "q-option-1")
    page.keyboard.press("Enter")
    expect(field).to_have_value("is:killed ")
    expect(page.get_by_role("heading", level=3)).to_contain_text(["Legacy Export"])
    expect(page).to_have_url(re.compile(r"\?q=is(:|%3A)killed"))
    page.locator("a.chip").press("Enter")
    expect(field).to_have_value("")
    expect(field).to_be_focused()
    page.go_back()
    expect(page.get_by_role("heading", level=3)).to_contain_text(["Legacy Export"])


def test_completions_that_come_late_neither_take_the_focus_nor_open_a_list(visit, demo_server):
    page = visit(demo_server.account("super_admin"), "/super-admin/feature-flags/?q=is:killed")
    field = page.get_by_role("combobox", name="Search flags")
    held = []
    page.route("**/completion/**", lambda route: held.append(route))
    field.press("End")
    field.press("ArrowDown")  # Asks for completions, which are held back.
    page.wait_for_function("document.documentElement.classList.contains('is-loading')")
    page.locator("a.chip").press("Enter")
    expect(field).to_have_value("")
    expect(field).to_be_focused()
    for late in held:
        late.continue_()
    expect(page.locator("html.is-loading")).to_have_count(0)
    page.wait_for_function("document.getElementById('q-list').children.length")
    expect(field).to_be_focused()
    expect(page.get_by_role("listbox", name="Words that fit")).to_be_hidden()


def test_history_follows_its_filters_where_one_stands(visit, demo_server):
    page = visit(demo_server.account("super_admin"), "/super-admin/changes/")
    field = page.get_by_role("searchbox", name="Search history")
    page.evaluate("document.documentElement.dataset.stays = ''")  # Gone with the page.
    field.press_sequentially("nothing says this")
    expect(page.get_by_text("No change matches")).to_be_visible()
    expect(field).to_be_focused()
    expect(page).to_have_url(re.compile(r"q=nothing"))
    field.fill("")
    kind = page.get_by_label("Kind of change")
    kind.focus()
    kind.select_option("kill")
    expect(page.get_by_text("killed Legacy Export").first).to_be_visible()
    expect(kind).to_be_focused()
    expect(page.get_by_role("link", name="CSV file of these changes")).to_have_attribute("href", re.compile(r"verb="))
    assert page.evaluate("'stays' in document.documentElement.dataset")
    page.go_back()
    expect(page.get_by_text("No change matches")).to_be_visible()
    expect(page.get_by_role("searchbox", name="Search history")).to_have_value("nothing says this")


def test_the_palette_leads_to_an_action(visit, demo_server):
    page = visit(demo_server.account("super_admin"))
    page.goto("/super-admin/")
    page.keyboard.press("Control+k")
    palette = page.get_by_role("combobox", name="Find anything")
    expect(palette).to_be_focused()
    page.keyboard.type("kill route")
    option = page.get_by_role("option", name="Kill Route Optimizer…")
    expect(option).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/feature-flags/route_optimizer/kill/$"))
    page.keyboard.press("g")
    page.keyboard.press("f")
    expect(page.get_by_role("heading", level=1)).to_have_text("Flags")
    page.wait_for_load_state()
    page.keyboard.press("j")
    expect(page.locator(".flag-row a").first).to_be_focused()
    page.keyboard.press("x")
    expect(page.locator(".flag-tick").first).to_be_checked()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_many_companies_are_moved_and_moved_back(visit, demo_server, scripts):
    page = visit(demo_server.account("super_admin"), java_script_enabled=scripts)
    page.goto("/super-admin/companies/?q=channel:general")
    page.get_by_role("checkbox", name="Choose Alder Couriers").check()
    page.get_by_role("button", name="Change those chosen…").click()
    page.get_by_role("link", name="Move to a channel").click()
    page.get_by_label("Move to", exact=True).select_option("pilot")
    page.get_by_role("button", name="Show what it would do").click()
    expect(page.get_by_text("Moves 1 company.")).to_be_visible()
    page.get_by_role("button", name="Move 1 company to Pilot").click()
    if not scripts:
        page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("Done: 1 company")).to_be_visible()
    page.get_by_role("link", name="Undo all of it…").click()
    page.get_by_role("button", name="Take 1 back").click()
    if not scripts:
        page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("Done: 1 change")).to_be_visible()
    expect(page.get_by_text("Alder Couriers")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_many_companies_are_changed_and_it_is_undone(visit, demo_server, scripts):
    page = visit(demo_server.account("super_admin"), java_script_enabled=scripts)
    page.goto("/super-admin/companies/?q=channel:general")
    page.get_by_role("checkbox", name="Choose Alder Couriers").check()
    page.get_by_role("checkbox", name="Choose Kestrel Express").check()
    page.get_by_role("button", name="Change those chosen…").click()
    page.get_by_label("Flag", exact=True).fill("automated_alerting")
    page.get_by_role("button", name="Show what it would do").click()
    page.get_by_label("Reason").fill("They asked")
    page.get_by_role("button", name="Turn Automated Alerting on for 2 companies").click()
    if not scripts:
        page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("Done: 2 companies")).to_be_visible()
    page.get_by_role("link", name="Undo all of it…").click()
    page.get_by_role("button", name=re.compile("Revert|Take it back|Undo")).first.click()
    page.goto("/super-admin/feature-flags/?q=automated_alerting")
    expect(page.get_by_text("No overrides")).to_be_visible()
