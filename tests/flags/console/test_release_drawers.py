"""Steering a release in the browser: the impact first, one action, and a refusal that keeps what was typed."""

import re

import pytest

from flags import changes, releases
from flags.features import features_for
from flags.gates import states
from flags.models import Change, Flag
from flags.releasemodels import GateSignOff, Mail, Promotion, Release
from tests.flags.console.browsing import HTMX, said_by, text_of

pytestmark = pytest.mark.django_db
KEY = "trip_management"
FLAG = f"/super-admin/feature-flags/{KEY}/"
STEPS = ("start", "promote", "roll-back", "pause", "resume", "finish")


@pytest.fixture
def release(alice) -> Release:
    return releases.start(KEY, actor=alice)


def now() -> Release:
    return Release.objects.get(flag=KEY)


def opened(release: Release, alice) -> None:
    """Open every gate before the next channel."""
    for state in states(release):
        if state.is_by_hand:
            releases.sign_off(KEY, state.gate.pk, actor=alice)
    release.gates.exclude(check_kind="sign_off").delete()


@pytest.mark.parametrize("step", STEPS)
def test_looking_changes_nothing(alices, release, step):
    lines = Change.objects.count()
    page = alices.get(f"{FLAG}release/{step}/")
    assert page.status_code == 200
    drawer = alices.get(f"{FLAG}release/{step}/", headers=HTMX).content.decode()
    assert drawer.strip().startswith('<section class="drawer')
    alices.post(f"{FLAG}release/{step}/", {"ask": "on", "reason": "why"})
    assert Change.objects.count() == lines


@pytest.mark.parametrize("step", STEPS)
def test_others_may_not(sign_in, bob, client, release, step):
    assert sign_in(bob).post(f"{FLAG}release/{step}/", {"reason": "mine"}).status_code == 403
    assert client.post(f"{FLAG}release/{step}/").status_code == 302
    assert alices_404(sign_in, step) == 404


def alices_404(sign_in, step: str) -> int:
    alice = Release.objects.get(flag=KEY).started_by
    return sign_in(alice).post(f"/super-admin/feature-flags/parrot/release/{step}/", {"reason": "x"}).status_code


def test_starting_says_for_whom_and_does_it(alices, alice, default_tenant, globex):
    drawer = said_by(alices.get(FLAG + "release/start/", headers=HTMX))
    assert "Turns Trip Management on for 1 of 2 companies" in drawer
    assert "Start in Internal for 1 company" in drawer
    response = alices.post(FLAG + "release/start/", {"place": "board"}, headers=HTMX)
    assert response["HX-Retarget"] == "#board"
    assert "Trip Management" in text_of(response)
    assert features_for(None, default_tenant)[KEY]
    again = alices.post(FLAG + "release/start/", {"reason": "twice"}, headers=HTMX)
    assert again.status_code == 409
    assert "already under way" in text_of(again)
    assert 'value="twice"' in again.content.decode()


def test_without_scripts_a_drawer_is_a_page_and_leads_back(alices, release):
    page = alices.get(FLAG + "release/pause/", {"next": "/super-admin/releases/?q=trip"})
    assert "<html" in page.content.decode()
    response = alices.post(FLAG + "release/pause/", {"next": "/super-admin/releases/?q=trip"})
    assert response.url == "/super-admin/releases/?q=trip"
    assert now().paused_at


def test_a_promotion_names_the_open_gates_and_is_refused(alices, release, globex):
    drawer = said_by(alices.get(FLAG + "release/promote/", headers=HTMX))
    assert "4 of 4 gates are open." in drawer
    assert "Force to Pilot for 1 company" in drawer
    refused = alices.post(FLAG + "release/promote/", {"reason": "please"}, headers=HTMX)
    assert refused.status_code == 409
    said = said_by(refused)
    assert "cannot go to Pilot yet: “Works in the internal company” waits for somebody to sign it off" in said
    assert 'value="please"' in refused.content.decode()
    assert now().channel_id == "internal"


def test_forcing_takes_a_reason_and_is_marked_for_ever(alices, release):
    refused = alices.post(FLAG + "release/promote/", {"force": "on"}, headers=HTMX)
    assert "A reason is required" in text_of(refused)
    assert now().channel_id == "internal"
    alices.post(FLAG + "release/promote/", {"force": "on", "reason": "Talbi waits"}, headers=HTMX)
    assert Promotion.objects.get(kind="promote").forced
    assert "Forced into Pilot" in text_of(alices.get("/super-admin/releases/"))


def test_with_every_gate_open_it_promotes_for_a_share(alices, alice, release, globex):
    opened(release, alice)
    drawer = alices.get(FLAG + "release/promote/", headers=HTMX)
    assert "Promote to Pilot for 1 company" in text_of(drawer)
    assert "Force" not in text_of(drawer)
    looked = alices.post(FLAG + "release/promote/", {"ask": "on", "percentage": "0"}, headers=HTMX)
    assert "Promote to Pilot for 0 companies" in text_of(looked)
    assert re.search(r'name="percentage"[^>]*value="0"[^>]*autofocus', looked.content.decode())
    wrong = alices.post(FLAG + "release/promote/", {"percentage": "150", "reason": "typed"}, headers=HTMX)
    assert "A percentage is a whole number from 0 to 100." in text_of(wrong)
    assert 'value="typed"' in wrong.content.decode()
    done = alices.post(FLAG + "release/promote/", {"percentage": "25", "place": "board"}, headers=HTMX)
    assert "Promoted Trip Management" in text_of(done)
    assert Flag.objects.get(key=KEY).channel_defaults.get(channel="pilot").percentage == 25


def test_of_two_who_promote_at_once_the_loser_is_told_and_loses_nothing(alices, alice, release):
    seen = {"seen": "internal", "version": str(Flag.objects.get(key=KEY).version)}
    releases.promote(KEY, actor=alice, force=True, reason="first")
    second = seen | {"force": "on", "reason": "my own words"}
    loser = alices.post(FLAG + "release/promote/", second, headers=HTMX)
    assert loser.status_code == 409
    assert "is in Pilot by now: somebody else moved it." in text_of(loser)
    markup = loser.content.decode()
    assert 'value="my own words"' in markup
    assert 'name="seen" value="pilot"' in markup
    # What was to be forced into Pilot is not forced into General by pressing twice.
    assert not re.search(r'name="force"[^>]*checked', markup)
    assert Promotion.objects.filter(kind="promote").count() == 1


def test_the_message_is_shown_before_it_goes_and_goes_when_asked(alices, alice, release, carol):
    opened(release, alice)
    drawer = text_of(alices.get(FLAG + "release/promote/", headers=HTMX))
    assert "1 person in 1 company: carol@globex.example" in drawer
    assert "Globex can use Trip Management from now on." in drawer
    alices.post(FLAG + "release/promote/", {"tell": "on"}, headers=HTMX)
    assert [mail.to for mail in Mail.objects.all()] == ["carol@globex.example"]


def test_nobody_is_told_of_an_internal_flag(alices, alice, release, carol):
    changes.edit_flag(KEY, actor=alice, is_internal=True)
    drawer = text_of(alices.get(FLAG + "release/promote/", headers=HTMX))
    assert "Nobody is told: the flag is internal" in drawer


def test_rolling_back_offers_every_way_back_with_what_it_does(alices, alice, release, default_tenant, globex, acme):
    releases.promote(KEY, actor=alice, force=True, reason="now")
    changes.set_override(acme, KEY, True, actor=alice)
    drawer = said_by(alices.get(FLAG + "release/roll-back/", headers=HTMX))
    for words in (
        "Turns Trip Management off for 1 of 3 companies; 1 override stays on.",
        "Roll back to Internal: off for 1 company",
        "Take out of all channels: off for 2 companies",
    ):
        assert words in drawer
    refused = alices.post(FLAG + "release/roll-back/", {"to": "internal"}, headers=HTMX)
    assert "A reason is required" in text_of(refused)
    alices.post(FLAG + "release/roll-back/", {"to": "internal", "reason": "broken"}, headers=HTMX)
    assert now().channel_id == "internal"
    assert not features_for(None, globex)[KEY]
    assert features_for(None, acme)[KEY]
    alices.post(FLAG + "release/roll-back/", {"to": "", "reason": "broken"}, headers=HTMX)
    assert now().ended_at
    assert "there is nothing to roll back" in text_of(alices.get(FLAG + "release/roll-back/", headers=HTMX))


def test_a_release_is_paused_resumed_and_finished(alices, alice, release):
    alices.post(FLAG + "release/pause/", {"place": "board"}, headers=HTMX)
    assert now().paused_at
    held = text_of(alices.get(FLAG + "release/promote/", headers=HTMX))
    assert "The release is paused. Resume it first." in held
    assert "Force" not in held
    alices.post(FLAG + "release/resume/", headers=HTMX)
    assert now().paused_at is None
    early = alices.post(FLAG + "release/finish/", headers=HTMX)
    assert "has not reached the last channel" in text_of(early)
    for _ in range(2):
        releases.promote(KEY, actor=alice, force=True, reason="now")
    alices.post(FLAG + "release/finish/", headers=HTMX)
    assert now().ended_at


def test_a_gate_is_signed_off_with_a_note_and_a_link(alices, release):
    gate = next(state.gate for state in states(release) if state.is_by_hand)
    url = f"{FLAG}release/gates/{gate.pk}/"
    assert f"Sign off “{gate.title}” for Trip Management" in text_of(alices.get(url, headers=HTMX))
    wrong = alices.post(url, {"note": "rode along", "link": "javascript:1"}, headers=HTMX)
    assert "Begin with https://." in text_of(wrong)
    assert 'value="rode along"' in wrong.content.decode()
    alices.post(url, {"note": "rode along", "link": "https://example.com/1"}, headers=HTMX)
    word = GateSignOff.objects.get()
    assert (word.note, word.link, word.by_name) == ("rode along", "https://example.com/1", "Alice")
    assert alices.get(f"/super-admin/feature-flags/api_access/release/gates/{gate.pk}/").status_code == 404
