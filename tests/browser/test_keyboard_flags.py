"""By keyboard alone: the whole life of a flag, the gates that releases begin with, and the way back from a change."""

import re

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (the extra e2e)")
expect = sync_api.expect

pytestmark = pytest.mark.browser

FLAGS = "/super-admin/feature-flags/"
API = "/api/admin/feature-flags/"


def test_the_whole_life_of_a_flag(keyboard):
    keys = keyboard(FLAGS)
    page = keys.page

    def stored() -> dict:
        return page.request.get(f"{API}pallet_labels").json()

    # Made: what is wrong is told first, and leads to its field.
    keys.press("n")
    keys.is_on("New flag")
    keys.fill("Key", "Pallet Labels")
    keys.press("Enter")
    keys.is_at(page.get_by_role("alert"))
    keys.go("Key")
    keys.is_at(page.get_by_role("textbox", name="Key"))
    keys.press("ControlOrMeta+a")
    keys.type("pallet_labels")
    keys.fill("Description", "Prints them.")
    keys.tab_to("On by default")
    keys.press("Space")
    keys.go("Create flag")
    keys.is_on("Pallet labels")
    assert (stored()["description"], stored()["default_enabled"]) == ("Prints them.", True)

    # Edited: what moves answers is shown before it is saved.
    keys.go("Edit$")
    keys.is_on("Edit Pallet labels")
    keys.fill("Owner", "Yard team")
    keys.tab_to("Minimum plan")
    keys.type("Enterprise")
    keys.tab_to("Requires")
    keys.type("api_access driver_ch")
    expect(page.locator("#requires-list").get_by_role("option", name="driver_chat")).to_be_visible()
    keys.press("ArrowDown", "Enter")
    expect(page.get_by_role("combobox", name="Requires")).to_have_value("api_access driver_chat ")
    expect(page.locator("#requires-list")).to_be_hidden()
    keys.go("Save flag")
    keys.is_at(page.get_by_role("heading", name="Saving this changes who has it"))
    assert stored()["owner"] == ""
    keys.go(r"Save and turn off for \d+ companies")
    expect(page.get_by_text("Yard team")).to_be_visible()
    assert (stored()["owner"], stored()["minimum_plan"]) == ("Yard team", "enterprise")
    assert sorted(stored()["requires"]) == ["api_access", "driver_chat"]

    # Put away, and brought back: what undoes it has the focus.
    keys.go("Archive…")
    keys.is_asked("Archive Pallet labels?")
    keys.go("Archive")
    keys.is_at(page.get_by_role("link", name="Restore…"))
    assert page.request.get("/api/features/pallet_labels").json()["enabled"]
    expect(page.get_by_text("Archived").first).to_be_visible()
    keys.press("Enter")
    keys.is_asked("Restore Pallet labels?")
    keys.go("Restore")
    keys.is_at(page.get_by_role("link", name="Archive…"))

    # Deleted, once its key is typed as it is.
    keys.go("Delete…")
    keys.is_asked("Delete Pallet labels for good?")
    keys.fill("Type pallet_labels to confirm", "pallet labels")
    keys.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The key was not typed as it is")
    keys.is_at(page.locator(".drawer h3"))
    keys.fill("Type pallet_labels to confirm", "pallet_labels")
    keys.press("Enter")
    keys.is_on("Flags")
    expect(page.locator("#announcer")).to_contain_text("Deleted Pallet labels")
    assert page.request.get(f"{API}pallet_labels").status == 404


def test_a_share_of_a_channel(keyboard):
    keys = keyboard(f"{FLAGS}advanced_reporting/")
    page = keys.page
    button = page.get_by_role("button", name="Change… General")
    keys.tab_to("Answer for General")
    keys.type("On")
    keys.fill("Percentage of General", "50")
    keys.press("Enter")
    keys.is_asked(re.compile("Advanced Reporting.*General"))
    keys.press("Escape")
    keys.is_at(button)
    keys.press("Enter")
    keys.is_asked(re.compile("Advanced Reporting.*General"))
    keys.go("Turn on for")
    expect(page.locator(".drawer")).to_have_count(0)
    keys.is_at(button)
    stored = page.request.get(f"{API}advanced_reporting").json()
    assert stored["channels"]["general"] == {"enabled": True, "percentage": 50}


def test_gates_are_added_moved_renamed_and_removed(keyboard):
    keys = keyboard("/super-admin/releases/gates/")
    page = keys.page
    before = page.get_by_role("region", name="Before Pilot").locator("li strong")
    first, *others = before.all_inner_texts()
    keys.fill("Title", "Drivers were told")
    keys.tab_to("Before")
    keys.type("Pilot")
    keys.go("Add gate")
    expect(before).to_have_text([first, *others, "Drivers were told"])
    keys.is_at(page.get_by_role("textbox", name="Title"))
    keys.go("Move Drivers were told up")
    expect(before).to_have_text([first, *others[:-1], "Drivers were told", *others[-1:]])
    keys.is_at(page.get_by_role("button", name="Move Drivers were told up"))
    keys.go("Rename… Drivers were told")
    keys.is_asked("Rename “Drivers were told”")
    keys.fill("Title", "Drivers know")
    keys.press("Enter")
    expect(before.filter(has_text="Drivers know")).to_be_visible()
    keys.is_at(page.get_by_role("link", name="Rename… Drivers know"))
    keys.go("Remove… Drivers know")
    keys.is_asked("Remove “Drivers know”?")
    keys.go("Remove gate")
    expect(before).to_have_text([first, *others])
    keys.is_at(page.get_by_role("heading", level=1, name="Gates"))


def test_a_change_is_taken_back_from_history(keyboard, demo_server):
    override = "/api/admin/tenants/kestrel-express/overrides/white_label"
    demo_server.call("PUT", override, enabled=True, reason="By a program")
    keys = keyboard("/super-admin/changes/?flag=white_label")
    page = keys.page
    keys.press("j")
    keys.tab_to("Revert… ")
    keys.press("Enter")
    keys.is_asked("Take this back?")
    drawer = page.get_by_role("region", name="Take this back?")
    expect(drawer).to_contain_text("By a program")
    keys.press("Escape")
    expect(drawer).to_have_count(0)
    assert keys.focused.startswith("Revert…")
    keys.press("Enter")
    keys.is_asked("Take this back?")
    keys.fill("Reason", "Not for them")
    keys.tab_to("Take it back for 1 company")
    keys.press("Enter")
    expect(page.locator(".history-text").first).to_contain_text("Not for them")
    rows = page.request.get(f"{API}white_label/overrides").json()["results"]
    assert "kestrel-express" not in [row["company"] for row in rows]


def test_what_was_just_done_is_undone_from_its_message(keyboard):
    keys = keyboard(f"{FLAGS}?q=white_label")
    page = keys.page
    switch, was = keys.turn_default("White Label")
    keys.go("Undo")
    expect(switch).to_be_checked(checked=was)
    expect(page.locator("#announcer")).to_contain_text("White Label")
    keys.is_at(page.get_by_role("main"))
