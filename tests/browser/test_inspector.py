"""The Inspector in a browser: ask by typing, open an answer in place, suppose something, and go back."""

import re

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")
expect = sync_api.expect

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_an_answer_is_explained_in_place_and_the_address_is_the_question(visit, demo_server, scripts):
    ana = visit(demo_server.account("super_admin"), java_script_enabled=scripts)
    ana.goto("/super-admin/inspector/")
    for slug in ("talbi-logistics-llc", "kestrel-express"):
        ana.get_by_role("combobox", name="Companies").or_(ana.get_by_label("Companies")).first.fill(slug)
        ana.get_by_role("button", name="Explain", exact=True).click()
        expect(ana).to_have_url(re.compile(f"company={slug}"))
    ana.get_by_role("link", name="Only what differs").click()
    expect(ana).to_have_url(re.compile("compare=1"))
    answers = ana.get_by_role("region", name="Grid of answers")
    expect(answers).to_contain_text("Trip Management")
    expect(answers).not_to_contain_text("Billing System")

    answers.get_by_role("link", name=re.compile("explain Trip Management for Talbi Logistics LLC")).click()
    ladder = ana.get_by_role("region", name="Trip Management for Talbi Logistics LLC: on")
    expect(ladder).to_contain_text("To tell the customer:")
    expect(ladder.get_by_role("listitem")).to_have_count(12)
    expect(ana).to_have_url(re.compile("open=0%3Atrip_management"))
    if scripts:
        expect(ladder.get_by_role("heading")).to_be_focused()
    ladder.get_by_role("link", name="Close").click()
    expect(ladder).to_have_count(0)
    if scripts:
        expect(answers.get_by_role("link", name=re.compile("explain Trip Management for Talbi"))).to_be_focused()

    # The same question, opened by its address, gives the same answers; what is supposed stands beside what is.
    ana.goto(ana.url + "&killed=on")
    expect(answers).to_have_count(0)
    expect(ana.get_by_role("heading", name="Nothing differs")).to_be_visible()
    ana.get_by_role("link", name="Show all answers").click()
    expect(ana.get_by_role("region", name="Grid of answers")).to_contain_text("now On (channel)")
    ana.get_by_role("link", name=re.compile(r"Kestrel Express\s*: leave out")).click()
    expect(ana).not_to_have_url(re.compile("kestrel"))
