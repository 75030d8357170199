"""A session that ends while somebody types: they sign in, are back where they were, and what they typed is there."""

import re

import pytest

from tests.browser.serving import sign_in

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")
expect = sync_api.expect

pytestmark = pytest.mark.browser

FLAG = "/super-admin/feature-flags/api_access/"
BACK = "what you had typed is back"


def end_session(page) -> None:
    page.context.clear_cookies(name="headgate_session")


def kept(page) -> str | None:
    return page.evaluate("sessionStorage.getItem('kept')")


def test_in_the_middle_of_an_htmx_action_the_drawer_comes_back_with_its_input(visit, demo_server):
    account = demo_server.account("super_admin")
    ana = visit(account, FLAG, anew=True)
    ana.get_by_label("Give a company its own answer").fill("kestrel-express")
    ana.get_by_role("button", name="Override…").click()
    drawer = ana.get_by_role("region", name="API Access for Kestrel Express")
    drawer.get_by_label("Reason").fill("Contract 902, signed <today>")
    drawer.get_by_label("Until").fill("2031-03-03T12:00")
    drawer.get_by_role("radio", name="Off").check()
    end_session(ana)
    drawer.get_by_role("button", name="Save for Kestrel Express").click()
    expect(ana.get_by_text("Sign in to go on to the page you asked for.")).to_be_visible()
    assert "csrf" not in kept(ana)
    sign_in(ana, account)

    expect(ana.get_by_text(BACK).first).to_be_visible()
    assert kept(ana) is None
    drawer = ana.get_by_role("region", name="API Access for Kestrel Express")
    expect(drawer.get_by_label("Reason")).to_have_value("Contract 902, signed <today>")
    expect(drawer.get_by_label("Until")).to_have_value("2031-03-03T12:00")
    expect(drawer.get_by_role("radio", name="Off")).to_be_checked()
    drawer.get_by_role("button", name="Save for Kestrel Express").click()
    ana.wait_for_url(re.compile(FLAG))
    overrides = ana.get_by_role("region", name="Overrides of API Access")
    expect(overrides).to_contain_text("Contract 902, signed <today>")
    assert kept(ana) is None


def test_a_form_of_a_whole_page_comes_back_with_its_input(visit, demo_server):
    account = demo_server.account("super_admin")
    ana = visit(account, f"{FLAG}edit/", anew=True)
    ana.get_by_label("Description").fill("Half a page of thoughts")
    end_session(ana)
    ana.get_by_role("button", name="Save").first.click()
    sign_in(ana, account)
    expect(ana).to_have_url(re.compile(f"{FLAG}edit/"))
    expect(ana.get_by_label("Description")).to_have_value("Half a page of thoughts")
    expect(ana.get_by_text(BACK).first).to_be_visible()
    ana.get_by_role("button", name="Save").first.click()
    expect(ana.get_by_text("Half a page of thoughts").first).to_be_visible()
    ana.goto(f"{FLAG}edit/")
    assert ana.get_by_text(BACK).count() == 0


def test_a_suggestion_leads_nobody_away_while_they_type(visit, demo_server):
    account = demo_server.account("super_admin")
    ana = visit(account, f"{FLAG}edit/", anew=True)
    several = "billing_enabled driver_chat"
    end_session(ana)
    with ana.expect_response("**/suggestions/requirements/**") as suggested:
        ana.get_by_label("Requires").fill(several)
    assert suggested.value.status == 401
    ana.get_by_label("Description").fill("Typed on, since only saving asks to sign in")
    ana.get_by_role("button", name="Save").first.click()
    sign_in(ana, account)
    expect(ana.get_by_label("Requires")).to_have_value(several)
    expect(ana.get_by_label("Description")).to_have_value("Typed on, since only saving asks to sign in")


def test_what_a_colleague_changed_meanwhile_is_told_and_not_written_over(visit, demo_server):
    account, other = [one for one in demo_server.accounts if one["role"] == "super_admin"][:2]
    ana = visit(account, f"{FLAG}edit/", anew=True)
    ana.get_by_label("Description").fill("What Ana thinks")
    end_session(ana)
    tom = visit(other, f"{FLAG}edit/")
    tom.get_by_label("Description").fill("What Tom thinks")
    tom.get_by_role("button", name="Save").first.click()
    expect(tom.get_by_text("What Tom thinks").first).to_be_visible()
    ana.get_by_role("button", name="Save").first.click()
    sign_in(ana, account)
    expect(ana.get_by_label("Description")).to_have_value("What Ana thinks")
    ana.get_by_role("button", name="Save").first.click()
    expect(ana.get_by_role("alert").first).to_be_visible()
    expect(ana.get_by_text("What Tom thinks").first).to_be_visible()
    expect(ana.get_by_label("Description")).to_have_value("What Ana thinks")


def test_nobody_else_gets_what_was_typed(visit, demo_server):
    ana = visit(demo_server.account("super_admin"), f"{FLAG}edit/", anew=True)
    ana.get_by_label("Description").fill("Only for Ana's eyes")
    end_session(ana)
    ana.get_by_role("button", name="Save").first.click()
    sign_in(ana, [one for one in demo_server.accounts if one["role"] == "super_admin"][1])
    expect(ana).to_have_url(re.compile(f"{FLAG}edit/"))
    expect(ana.get_by_label("Description")).not_to_have_value("Only for Ana's eyes")
    assert kept(ana) is None


def test_a_form_that_arrived_leaves_nothing_behind(visit, demo_server):
    ana = visit(demo_server.account("super_admin"), f"{FLAG}edit/")
    ana.get_by_label("Owner").fill("Partners")
    ana.get_by_role("button", name="Save").first.click()
    expect(ana.get_by_text("Partners").first).to_be_visible()
    assert kept(ana) is None
    assert ana.get_by_text(BACK).count() == 0


def test_no_page_is_kept_in_the_browser(visit, demo_server):
    ana = visit(demo_server.account("super_admin"), "/super-admin/feature-flags/")
    ana.get_by_role("combobox", name="Search flags").fill("billing")
    expect(ana).to_have_url(re.compile("q=billing"))
    with ana.expect_navigation():  # What stood there is asked for anew.
        ana.go_back()
    expect(ana.get_by_role("combobox", name="Search flags")).to_have_value("")
    assert ana.evaluate("htmx.config.historyCacheSize") == 0
    assert ana.evaluate("Object.keys(localStorage)") == []
    # htmx notes where it is, and nothing of what is there.
    assert set(ana.evaluate("Object.keys(sessionStorage)")) <= {"htmx-current-path-for-history"}
