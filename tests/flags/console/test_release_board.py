"""The board of releases: what its cards say, what it says where there are none, and what it costs."""

from datetime import timedelta

import pytest
from django.utils import timezone

from flags import changes, releases
from flags.gates import states
from flags.models import Flag
from flags.releasemodels import DailyUsage, Release
from tests.factories import FlagFactory
from tests.flags.console.browsing import HTMX, said_by, text_of

pytestmark = pytest.mark.django_db
BOARD = "/super-admin/releases/"
KEY = "trip_management"


def column(response, name: str) -> str:
    """Return what one column of the board says."""
    markup = response.content.decode()
    start = markup.index(f'id="column-{name}"')
    return markup[start : markup.index("</section>", start)]


def sign_all(key: str, actor) -> None:
    for state in states(Release.objects.get(flag=key, ended_at=None)):
        if state.is_by_hand:
            releases.sign_off(key, state.gate.pk, actor=actor)


def test_without_a_release_it_says_how_to_start_one(alices):
    page = alices.get(BOARD)
    said = text_of(page)
    assert "No release is under way" in said
    assert "start its release" in said
    assert "A release starts here." in said
    assert "A flag comes here from Pilot, once its gates hold." in said
    assert 'href="/super-admin/releases/"' in alices.get("/super-admin/feature-flags/").content.decode()


def test_a_card_says_where_it_is_what_it_waits_for_and_when_it_can_go_general(alices, alice):
    changes.edit_flag(KEY, actor=alice, owner="Dispatch team")
    releases.start(KEY, actor=alice)
    page = alices.get(BOARD)
    assert "Trip Management" in column(page, "internal")
    assert "Nothing is in Pilot" in column(page, "pilot")
    said = said_by(page)
    for words in (
        "Works in the internal company — waits for somebody to sign it off, and 3 more gates",
        "When can it go general?",
        "at the earliest by way of Pilot, in 7 d 0 h, once 4 more gates are opened.",
        "0/4",
        "Dispatch team",
        "Promote to Pilot… Trip Management",
        "Roll back… Trip Management",
    ):
        assert words in said


def test_the_soak_is_told_to_the_minute(alices, alice):
    releases.start(KEY, actor=alice)
    release = releases.promote(KEY, actor=alice, force=True, reason="Talbi waits")
    entered = timezone.now() - timedelta(days=4, hours=21)
    Release.objects.filter(pk=release.pk).update(entered_at=entered)
    sign_all(KEY, alice)
    release.gates.filter(check_kind="isolation_audit").delete()
    said = said_by(alices.get(BOARD))
    assert "Waits until " in said
    assert "(2 d " in said
    assert "Forced into Pilot" in said
    assert "70 %" in said


def test_paused_killed_and_arrived_are_said_in_words(alices, alice):
    for key in ("api_access", "driver_chat", "white_label"):
        releases.start(key, actor=alice)
    releases.pause("api_access", actor=alice)
    changes.kill("driver_chat", actor=alice, reason="leak")
    for _ in range(2):
        releases.promote("white_label", actor=alice, force=True, reason="now")
    page = alices.get(BOARD)
    said = said_by(page)
    for words in (
        "Stands still while it is paused",
        "Not while it is paused.",
        "Resume… the release of API Access",
        "Stands still while the flag is killed",
        "Not while the flag is killed.",
        "Arrived in General",
        "Finish… the release of White Label",
    ):
        assert words in said
    assert "White Label" in column(page, "general")


def test_a_ready_release_says_so(alices, alice):
    release = releases.start(KEY, actor=alice)
    sign_all(KEY, alice)
    release.gates.exclude(check_kind="sign_off").delete()
    said = said_by(alices.get(BOARD))
    assert "Ready for Pilot: every gate holds" in said
    assert "button-primary" in column(alices.get(BOARD), "internal")


def test_use_and_errors_are_counted(alices, alice):
    releases.start(KEY, actor=alice)
    now = timezone.now() + timedelta(seconds=5)
    flag = Flag.objects.get(key=KEY)
    DailyUsage.objects.create(
        flag=flag, day=now.date(), on=40, off=2, errors=3, last_at=now, last_on_at=now, last_error_at=now
    )
    said = said_by(alices.get(BOARD))
    assert "42 times" in said
    assert "3 errors" in said
    assert "No server errors since entry — 3 server errors since it entered this channel" in said
    assert 'aria-label="42 evaluations in 14 days"' in alices.get(BOARD).content.decode()


def test_it_is_searched_by_name_key_and_owner(alices, alice):
    changes.edit_flag(KEY, actor=alice, owner="Dispatch team")
    for key in (KEY, "api_access"):
        releases.start(key, actor=alice)
    for text in ("TRIP man", "trip_", "dispatch"):
        said = text_of(alices.get(BOARD, {"q": text}, headers=HTMX))
        assert "Trip Management" in said
        assert "API Access" not in said
    assert "No release matches" in text_of(alices.get(BOARD, {"q": "zzz"}))


def test_what_has_ended_is_listed_with_how(alices, alice):
    releases.start(KEY, actor=alice)
    releases.roll_back(KEY, None, actor=alice, reason="broken")
    releases.start("api_access", actor=alice)
    for _ in range(2):
        releases.promote("api_access", actor=alice, force=True, reason="now")
    releases.finish("api_access", actor=alice)
    said = said_by(alices.get(BOARD))
    assert "Rolled back Trip Management from Internal" in said
    assert "Finished API Access in General" in said
    assert said.count("Forced") == 1


def test_its_cost_does_not_grow_with_releases(alices, alice, django_assert_max_num_queries):
    for number in range(60):
        flag = FlagFactory(key=f"flag_{number}", requires=[FlagFactory(key=f"needed_{number}")])
        releases.start(flag.key, actor=alice)
    with django_assert_max_num_queries(13):
        page = alices.get(BOARD)
    assert "And 20 more, entered later." in text_of(page)


def test_others_do_not_see_it(sign_in, bob, client):
    assert sign_in(bob).get(BOARD).status_code == 403
    assert client.get(BOARD).status_code == 302


def test_a_release_is_started_by_naming_its_flag(alices, alice):
    start = BOARD + "start/"
    for named in (KEY, "Trip Management", "trip man"):
        response = alices.get(start, {"flag": named})
        assert response.url.startswith(f"/super-admin/feature-flags/{KEY}/release/start/")
    assert f'value="{KEY}"' in alices.get(start, {"flag": "trip", "suggest": "1"}, headers=HTMX).content.decode()
    unknown = alices.get(start, {"flag": "parrot"})
    assert (unknown.status_code, "No flag is called “parrot”" in text_of(unknown)) == (422, True)
    several = alices.get(start, {"flag": "management"})
    assert (several.status_code, "Several flags could be meant" in text_of(several)) == (422, True)
