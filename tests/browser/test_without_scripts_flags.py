"""Flags, gates, history, many at once and companies, by forms and links alone."""

import re

import pytest

from tests.browser.arriving import arrived

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")
expect = sync_api.expect

pytestmark = pytest.mark.browser

FLAGS = "/super-admin/feature-flags/"


def test_the_whole_life_of_a_flag(plain):
    ana = plain(FLAGS)
    ana.get_by_role("link", name="New flag").click()
    arrived(ana, "New flag")
    ana.get_by_label("Key", exact=True).fill("Crane Plans")
    ana.get_by_role("button", name="Create flag").click()
    arrived(ana, "New flag")
    expect(ana.get_by_label("Key", exact=True)).to_have_value("Crane Plans")
    expect(ana.get_by_label("Key", exact=True)).to_have_attribute("aria-invalid", "true")
    ana.get_by_label("Key", exact=True).fill("crane_plans")
    ana.get_by_label("On by default").check()
    ana.get_by_role("button", name="Create flag").click()
    arrived(ana, "Crane plans")

    ana.get_by_role("link", name="Edit", exact=True).click()
    ana.get_by_label("Owner").fill("Yard team")
    ana.get_by_label("Minimum plan").select_option("enterprise")
    ana.get_by_role("button", name="Save flag").click()
    arrived(ana, "Edit Crane plans")
    expect(ana.get_by_role("heading", name="Saving this changes who has it")).to_be_visible()
    ana.get_by_role("button", name=re.compile(r"Save and turn off for \d+ companies")).click()
    arrived(ana, "Crane plans")
    expect(ana.get_by_text("Enterprise and above")).to_be_visible()

    ana.get_by_role("link", name="Archive…").click()
    arrived(ana, "Crane plans")
    ana.get_by_role("button", name="Archive").click()
    arrived(ana, "Crane plans")
    ana.get_by_role("link", name="Restore…").click()
    arrived(ana, "Crane plans")
    ana.get_by_role("button", name="Restore").click()
    expect(ana.get_by_role("link", name="Archive…")).to_be_visible()

    ana.get_by_role("link", name="Delete…").click()
    ana.get_by_label("Type crane_plans to confirm").fill("crane plans")
    ana.get_by_role("button", name="Delete").click()
    arrived(ana, "Crane plans")
    expect(ana.get_by_role("alert")).to_contain_text("The key was not typed as it is")
    ana.get_by_label("Type crane_plans to confirm").fill("crane_plans")
    ana.get_by_role("button", name="Delete").click()
    arrived(ana, "Flags")
    expect(ana.get_by_role("region", name="Messages")).to_contain_text("Deleted Crane plans")
    assert ana.request.get("/api/admin/feature-flags/crane_plans").status == 404


def test_a_share_of_a_channel_and_its_end(plain):
    ana = plain(f"{FLAGS}advanced_reporting/")
    ana.get_by_label("Answer for Pilot").select_option("on")
    ana.get_by_role("button", name="Change… Pilot").click()
    arrived(ana, "Advanced Reporting")
    ana.get_by_role("button", name=re.compile("Turn on")).click()
    arrived(ana, "Advanced Reporting")
    channels = ana.request.get("/api/admin/feature-flags/advanced_reporting").json()["channels"]
    assert channels["pilot"] == {"enabled": True, "percentage": 100}
    ana.get_by_role("region", name="Messages").get_by_role("button", name="Undo").click()
    arrived(ana, "Advanced Reporting")
    assert "pilot" not in ana.request.get("/api/admin/feature-flags/advanced_reporting").json()["channels"]


def test_gates_are_added_moved_renamed_and_removed(plain):
    ana = plain("/super-admin/releases/gates/")
    before = ana.get_by_role("region", name="Before Pilot").locator("li strong")
    first, *others = before.all_inner_texts()
    ana.get_by_role("button", name="Add gate").click()
    arrived(ana, "Gates")
    ana.get_by_label("Title").fill("Drivers were told")
    ana.get_by_label("Before", exact=True).select_option(label="Pilot")
    ana.get_by_role("button", name="Add gate").click()
    expect(before).to_have_text([first, *others, "Drivers were told"])
    ana.get_by_role("button", name="Move Drivers were told up").click()
    expect(before).to_have_text([first, *others[:-1], "Drivers were told", *others[-1:]])
    arrived(ana, "Gates")
    ana.get_by_role("link", name="Rename… Drivers were told").click()
    arrived(ana, "Drivers were told")
    ana.get_by_label("Title").fill("Drivers know")
    ana.get_by_role("button", name="Rename gate").click()
    arrived(ana, "Gates")
    ana.get_by_role("link", name="Remove… Drivers know").click()
    arrived(ana, "Drivers know")
    ana.get_by_role("button", name="Remove gate").click()
    arrived(ana, "Gates")
    expect(before).to_have_text([first, *others])


def test_a_change_is_taken_back_from_history(plain, demo_server):
    override = "/api/admin/tenants/kestrel-express/overrides/white_label"
    demo_server.call("PUT", override, enabled=True, reason="By a program")
    ana = plain("/super-admin/changes/?flag=white_label")
    ana.get_by_role("link", name="Revert…").first.click()
    arrived(ana, "White Label")
    drawer = ana.get_by_role("region", name="Take this back?")
    expect(drawer).to_contain_text("By a program")
    drawer.get_by_label("Reason").fill("Not for them")
    drawer.get_by_role("button", name="Take it back for 1 company").click()
    arrived(ana, "History")
    expect(ana).to_have_url(re.compile(r"/changes/\?flag=white_label$"))
    expect(ana.locator(".history-text").first).to_contain_text("Not for them")
    rows = ana.request.get("/api/admin/feature-flags/white_label/overrides").json()["results"]
    assert "kestrel-express" not in [row["company"] for row in rows]


def test_a_change_that_somebody_else_has_changed_since_is_not_taken_back(plain, demo_server):
    override = "/api/admin/tenants/alder-couriers/overrides/white_label"
    demo_server.call("PUT", override, enabled=True, reason="First")
    ana = plain("/super-admin/changes/?flag=white_label")
    ana.get_by_role("link", name="Revert…").first.click()
    demo_server.call("PUT", override, enabled=False, reason="Second")
    ana.get_by_role("button", name=re.compile("^Take it back")).click()
    expect(ana.get_by_role("alert")).to_be_visible()
    arrived(ana, "White Label")
    rows = ana.request.get("/api/admin/feature-flags/white_label/overrides").json()["results"]
    assert ("alder-couriers", "Second") in [(row["company"], row["reason"]) for row in rows]


def test_all_flags_that_match_get_another_answer_in_a_channel_and_it_is_undone(plain):
    ana = plain(f"{FLAGS}?q=billing")

    def on_in_pilot() -> list[str]:
        rows = ana.request.get("/api/admin/feature-flags?q=billing").json()["results"]
        return [row["key"] for row in rows if row["channels"].get("pilot", {}).get("enabled")]

    before = on_in_pilot()
    ana.get_by_role("link", name=re.compile(r"^Change all \d+ that match")).click()
    arrived(ana, "Change many flags")
    ana.get_by_role("link", name="Answer of a channel").click()
    ana.get_by_label("Channel", exact=True).select_option("pilot")
    ana.get_by_label("What to do").select_option("channel_on")
    ana.get_by_role("button", name="Show what it would do").click()
    arrived(ana, "Change many flags")
    ana.get_by_label("Reason").fill("By forms")
    ana.locator("#bulk-confirm").get_by_role("button").click()
    ana.get_by_role("button", name="Go on").click()
    expect(ana.get_by_text(re.compile(r"Done: \d+ flags"))).to_be_visible()
    assert len(on_in_pilot()) > len(before)
    ana.get_by_role("link", name="Undo all of it…").click()
    arrived(ana, "Take this back?")
    ana.get_by_role("button", name=re.compile(r"Take \d+ back")).click()
    ana.get_by_role("button", name="Go on").click()
    expect(ana.get_by_text(re.compile(r"Done: \d+ changes?"))).to_be_visible()
    assert on_in_pilot() == before
