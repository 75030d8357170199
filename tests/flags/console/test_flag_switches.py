"""Inherit, channels, kill, revive, archive, restore and delete: each asks first, acts once, says why not."""

import re

import pytest

from flags import changes
from flags.features import features_for
from flags.models import Change, ChannelDefault, Flag
from tests.flags.console.browsing import HTMX, text_of

pytestmark = pytest.mark.django_db
FLAG = "/super-admin/feature-flags/api_access/"


def flag() -> Flag:
    return Flag.objects.get(key="api_access")


SWITCHES = {
    "default/": ({"enabled": "true"}, "Turn on"),
    "inherit/": ({}, "Go back to off"),
    "channels/general/": ({"answer": "on"}, "Turn on for 1 company"),
    "kill/": ({"reason": "leak"}, "Kill"),
    "revive/": ({"reason": "mended"}, "Revive"),
    "archive/": ({}, "Archive"),
    "restore/": ({}, "Restore"),
    "delete/": ({"key": "api_access"}, "Delete"),
}


@pytest.mark.parametrize("path", SWITCHES)
def test_looking_changes_nothing(alices, acme, path):
    said, button = SWITCHES[path]
    before = flag().version
    page = alices.get(FLAG + path, said)
    assert page.status_code == 200
    assert f"{button}" in text_of(page)
    drawer = alices.get(FLAG + path, said, headers=HTMX).content.decode()
    assert drawer.strip().startswith('<section class="drawer')
    assert flag().version == before
    assert not Change.objects.exists()


@pytest.mark.parametrize("path", ["kill/", "revive/", "archive/", "restore/", "delete/"])
def test_what_ends_or_begins_a_life_is_always_asked_about(alices, path):
    before = flag().version
    alices.post(FLAG + path, SWITCHES[path][0] | {"ask": "on"})
    assert flag().version == before


@pytest.mark.parametrize("path", SWITCHES)
def test_others_may_not(sign_in, bob, client, path):
    before = flag().version
    assert sign_in(bob).post(FLAG + path, SWITCHES[path][0]).status_code == 403
    assert client.post(FLAG + path, SWITCHES[path][0]).status_code == 302
    assert flag().version == before


@pytest.mark.parametrize("path", SWITCHES)
def test_no_other_method_acts(alices, path):
    assert alices.put(FLAG + path, SWITCHES[path][0]).status_code == 405
    assert alices.delete(FLAG + path).status_code == 405


@pytest.mark.parametrize("path", SWITCHES)
def test_an_unknown_flag_is_not_found(alices, path):
    assert alices.post("/super-admin/feature-flags/parrot/" + path, SWITCHES[path][0]).status_code == 404


def test_on_its_page_a_switch_returns_the_page(alices, acme):
    response = alices.post(FLAG + "default/", {"enabled": "true", "place": "page"}, headers=HTMX)
    assert response["HX-Retarget"] == "#flag-page"
    assert '<div id="flag-page"' in response.content.decode()
    assert "Alice turned API Access on by default" in text_of(response)


def test_inheriting_goes_back_to_the_catalogue(alices, alice):
    changes.set_default("api_access", True, actor=alice)
    response = alices.post(FLAG + "inherit/", {"version": flag().version})
    assert response.status_code == 302
    assert (flag().default_enabled, flag().default_source) == (False, "catalogue")


def test_what_has_nothing_to_inherit_says_so_where_it_was_asked(alices, alice):
    changes.create_flag("homemade", actor=alice)
    response = alices.post("/super-admin/feature-flags/homemade/inherit/", headers=HTMX)
    assert response.status_code == 409
    assert "there is nothing to inherit" in text_of(response)


def test_a_channel_shows_whom_it_would_reach_and_then_reaches_them(alices, acme, globex):
    asked = alices.post(FLAG + "channels/pilot/", {"answer": "on", "ask": "on"}, headers=HTMX)
    assert "Turns API Access on for 1 of 2 companies" in text_of(asked)
    assert "Globex" in text_of(asked)
    assert not ChannelDefault.objects.filter(flag="api_access").exists()
    alices.post(FLAG + "channels/pilot/", {"answer": "on"}, headers=HTMX)
    assert features_for(None, globex)["api_access"]
    assert not features_for(None, acme)["api_access"]


def test_a_share_of_a_channel_is_kept_as_it_was_said(alices):
    alices.post(FLAG + "channels/general/", {"answer": "on", "percentage": "25"})
    row = ChannelDefault.objects.get(flag="api_access", channel="general")
    assert (row.enabled, row.percentage) == (True, 25)


def test_a_channel_goes_back_to_the_default(alices, alice):
    changes.set_channel("api_access", "pilot", True, actor=alice)
    alices.post(FLAG + "channels/pilot/", {"answer": "default", "version": flag().version})
    assert not ChannelDefault.objects.filter(flag="api_access").exists()


@pytest.mark.parametrize("said", [{"answer": "perhaps"}, {}])
def test_a_channels_nonsense_is_refused(alices, said):
    assert alices.post(FLAG + "channels/pilot/", said).status_code == 400
    assert alices.post(FLAG + "channels/beta/", {"answer": "on"}).status_code == 404
    assert not ChannelDefault.objects.filter(flag="api_access").exists()


@pytest.mark.parametrize("share", ["150", "-1", "half"])
def test_a_share_that_is_none_is_asked_for_again_at_its_field(alices, acme, share):
    said = {"answer": "on", "percentage": share, "reason": "a few first", "ask": "on", "place": "page"}
    refused = alices.post(FLAG + "channels/general/", said, headers=HTMX)
    assert refused.status_code == 422
    assert "A whole number from 0 to 100, please." in text_of(refused)
    markup = refused.content.decode()
    for kept in (f'value="{share}"', 'value="a few first"', 'name="ask" value="on"', "percentage-error"):
        assert kept in markup
    assert not ChannelDefault.objects.filter(flag="api_access", channel="general").exists()
    assert "<html" in alices.post(FLAG + "channels/general/", said).content.decode()


def test_a_lost_race_over_a_channel_is_told(alices, alice):
    seen = flag().version
    changes.set_channel("api_access", "pilot", True, actor=alice)
    response = alices.post(FLAG + "channels/pilot/", {"answer": "off", "version": seen}, headers=HTMX)
    assert response.status_code == 409
    assert "Somebody changed the flag" in text_of(response)
    assert ChannelDefault.objects.get(flag="api_access").enabled


def test_killing_needs_a_reason_and_shows_whom_it_hits(alices, alice, acme, globex):
    changes.set_default("api_access", True, actor=alice)
    asked = text_of(alices.get(FLAG + "kill/"))
    assert "Turns API Access off for 2 of 2 companies" in asked
    assert "Kill for 2 companies" in asked
    refused = alices.post(FLAG + "kill/", {"reason": " "}, headers=HTMX)
    assert refused.status_code == 422
    assert "A reason is required" in text_of(refused)
    assert not flag().is_killed


def test_a_killed_flag_says_who_and_why_until_it_is_revived(alices, alice, acme):
    changes.set_default("api_access", True, actor=alice)
    alices.post(FLAG + "kill/", {"reason": "double charges", "place": "page"})
    assert not features_for(alice)["api_access"]
    page = text_of(alices.get(FLAG))
    assert "Killed by Alice" in page
    assert "double charges" in page
    alices.post(FLAG + "revive/", {"reason": "mended"})
    assert features_for(None, acme)["api_access"]
    assert "Killed by" not in text_of(alices.get(FLAG))


def test_a_killed_flag_keeps_its_place_in_the_list_with_its_switch_locked(alices, alice):
    changes.kill("api_access", actor=alice, reason="leak")
    row = alices.get("/super-admin/feature-flags/?q=api_access").content.decode()
    assert '<li class="flag-row is-killed" id="flag-api_access"' in row
    assert re.search(r'<button [^>]*role="switch"[^>]* disabled>', row)


def test_deleting_takes_the_key_typed(alices):
    for typed in ("", "api_acces", "API_ACCESS"):
        refused = alices.post(FLAG + "delete/", {"key": typed}, headers=HTMX)
        assert refused.status_code == 422
        assert "Type api_access to delete it." in text_of(refused)
    assert Flag.objects.filter(key="api_access").exists()
    done = alices.post(FLAG + "delete/", {"key": "api_access"})
    assert (done.status_code, done["Location"]) == (302, "/super-admin/feature-flags/")
    assert not Flag.objects.filter(key="api_access").exists()
    assert "Deleted API Access." in text_of(alices.get(done["Location"]))


@pytest.mark.parametrize("path", ["delete/", "archive/"])
def test_what_somebody_changed_meanwhile_is_neither_deleted_nor_archived_unseen(alices, alice, path):
    seen = re.search(r'name="version" value="(\d+)"', alices.get(FLAG + path, headers=HTMX).content.decode())[1]
    changes.edit_flag("api_access", owner="Tom's team", actor=alice)
    typed = {"key": "api_access", "reason": "by me", "version": seen}
    told = alices.post(FLAG + path, typed, headers=HTMX)
    assert told.status_code == 409
    assert "Somebody changed the flag" in text_of(told)
    assert 'value="by me"' in told.content.decode()
    assert flag().archived_at is None
    now = re.search(r'name="version" value="(\d+)"', told.content.decode())[1]
    assert alices.post(FLAG + path, typed | {"version": now}, headers=HTMX).status_code == 200
    assert not Flag.objects.live().filter(key="api_access").exists()


def test_after_deleting_scripts_go_to_the_list_too(alices):
    done = alices.post(FLAG + "delete/", {"key": "api_access"}, headers=HTMX)
    assert done["HX-Redirect"] == "/super-admin/feature-flags/"


def test_what_others_require_is_not_deleted_and_says_who(alices, alice):
    changes.edit_flag("white_label", actor=alice, requires=["api_access"])
    assert "White Label requires it. Change that first." in text_of(alices.get(FLAG + "delete/"))
    refused = alices.post(FLAG + "delete/", {"key": "api_access"}, headers=HTMX)
    assert refused.status_code == 409
    assert "white_label requires 'api_access'" in text_of(refused)


def test_the_impact_names_the_flags_that_fall_with_it(alices, alice, acme):
    changes.edit_flag("white_label", actor=alice, requires=["driver_management"])
    changes.set_default("white_label", True, actor=alice)
    drawer = text_of(alices.get("/super-admin/feature-flags/driver_management/kill/"))
    assert "White Label turns off for 1 company" in drawer


def test_archiving_says_who_is_in_the_way(alices, alice):
    changes.edit_flag("white_label", actor=alice, requires=["api_access"])
    assert "White Label requires it. Change that first." in text_of(alices.get(FLAG + "archive/"))
    refused = alices.post(FLAG + "archive/", headers=HTMX)
    assert refused.status_code == 409
    assert flag().archived_at is None


def test_an_archived_flag_leaves_the_list_and_comes_back(alices):
    alices.post(FLAG + "archive/", {"reason": "unused"})
    listed = "/super-admin/feature-flags/?q=api_access"
    assert "No flag matches" in text_of(alices.get(listed))
    assert "api_access" in text_of(alices.get(listed + "&state=archived"))
    assert "Archived" in text_of(alices.get(FLAG))
    alices.post(FLAG + "restore/")
    assert "No flag matches" not in text_of(alices.get(listed))
