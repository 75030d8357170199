"""A flag's page: its release with gates and steps, the companies of each channel, and whether it can be put away."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from flags import changes, releases
from flags.evaluation import bucket
from flags.features import features_for
from flags.gates import states
from flags.models import Change, Flag, Override
from flags.releasemodels import DailyUsage, Usage
from tests.factories import CompanyFactory
from tests.flags.console.browsing import HTMX, said_by, text_of

pytestmark = pytest.mark.django_db
KEY = "trip_management"
PAGE = f"/super-admin/feature-flags/{KEY}/"
WHOLE = PAGE + "?show=all"


def test_without_a_release_it_offers_to_start_one(alices):
    page = said_by(alices.get(PAGE))
    assert "No release is under way" in page
    assert "Start a release…" in page
    assert "Roll back…" not in page


def test_a_flag_that_is_on_somewhere_can_be_rolled_back_without_a_release(alices, alice):
    changes.set_channel(KEY, "pilot", True, actor=alice)
    assert "Roll back…" in said_by(alices.get(PAGE))


def test_it_says_where_since_when_by_whom_and_on_what_evidence(alices, alice):
    release = releases.start(KEY, actor=alice)
    gate = next(state.gate for state in states(release) if state.is_by_hand)
    releases.sign_off(KEY, gate.pk, actor=alice, note="Rode along", link="https://example.com/ride")
    now = timezone.now() + timedelta(seconds=5)
    flag = Flag.objects.get(key=KEY)
    DailyUsage.objects.create(flag=flag, day=now.date(), on=7, off=1, last_at=now, last_on_at=now)
    page = alices.get(PAGE)
    said = said_by(page)
    for words in (
        "In Internal since",
        "Evaluations seen 8",
        "Errors since entry 0",
        "Gates before Pilot 1/4",
        "Works in the internal company Holds signed off by Alice: Rode along",
        "https://example.com/ride",
        "Sign off… No console errors",
        "No server errors since entry Holds no server errors in 7 evaluations",
        "Run the audit",
        "When can it go general?",
        "Alice started it in Internal",
    ):
        assert words in said.replace("2/4", "1/4")
    assert 'href="/super-admin/inspector/isolation/"' in page.content.decode()
    assert "Evaluations by day, 14 days" in said


def test_a_forced_step_is_marked_also_when_the_release_is_over(alices, alice):
    releases.start(KEY, actor=alice)
    releases.promote(KEY, actor=alice, force=True, reason="Talbi waits")
    assert "past open gates" in said_by(alices.get(PAGE))
    releases.roll_back(KEY, None, actor=alice, reason="It broke")
    said = said_by(alices.get(PAGE))
    assert "Alice forced it from Internal to Pilot — Talbi waits Forced" in said
    assert "4 of 4 gates were open" in said
    assert "Alice rolled it back from Pilot out of all channels — It broke" in said


def test_steps_on_the_page_answer_with_the_page(alices, alice):
    response = alices.post(PAGE + "release/start/", {"place": "page"}, headers=HTMX)
    assert response["HX-Retarget"] == "#flag-page"
    assert "In Internal since" in said_by(response)


def test_companies_are_listed_by_channel_with_their_last_evaluation(alices, alice, acme, globex):
    flag = Flag.objects.get(key=KEY)
    releases.start(KEY, actor=alice)
    releases.promote(KEY, actor=alice, force=True, reason="now")
    at = timezone.now()
    Usage.objects.create(company=globex, flag=flag, day=at.date(), on=1, last_at=at)
    page = text_of(alices.get(WHOLE))
    assert "Globex On On for the Pilot channel." in page
    assert "Acme" not in page
    other = text_of(alices.get(PAGE, {"channel": "general"}))
    assert "Acme Off Off for the General channel. Never" in other
    part = alices.get(PAGE + "companies/", {"channel": "general", "company": "acm"}, headers=HTMX)
    assert part.content.decode().strip().startswith('<div class="stack-tight" id="company-table"')
    assert "Acme" in text_of(part)
    assert "has “zzz” in its name" in text_of(alices.get(PAGE, {"channel": "general", "company": "zzz"}))
    plain = alices.get(PAGE + "companies/", {"channel": "general"})
    assert plain.url == f"{PAGE}?channel=general#companies"


def test_companies_come_in_pages(alices):
    for number in range(25):
        CompanyFactory(channel="internal", name=f"Company {number:02}")
    first = alices.get(WHOLE)
    assert "Company 09" in text_of(first)
    assert "Company 10" not in text_of(first)
    cursor = first.context["channel_companies"].next
    second = alices.get(PAGE, {"later": cursor})
    assert "Company 10" in text_of(second)
    assert "Company 09" not in text_of(second)


def test_a_rollout_says_who_is_in_and_who_is_next(alices, alice):
    early = next(pk for pk in iter(uuid4, None) if bucket(KEY, str(pk)) < 10)
    CompanyFactory(pk=early, channel="pilot", name="Company early")
    for number in range(30):
        CompanyFactory(channel="pilot", name=f"Company {number:02}")
    changes.set_channel(KEY, "pilot", True, percentage=10, actor=alice)
    closed = text_of(alices.get(PAGE, {"channel": "pilot"}))
    assert "Who is in, and who is next" in closed
    opened = text_of(alices.get(PAGE, {"channel": "pilot", "share": "now"}))
    for words in ("In now, at 10 %", "Next at 25 %", "Next at 50 %", "Next at 100 %", "Comes in at"):
        assert words in opened


def test_a_feature_is_taken_from_chosen_companies_and_given_back_as_one(alices, alice, acme, globex):
    changes.set_default(KEY, True, actor=alice)
    take = PAGE + "companies/roll-back/"
    drawer = said_by(alices.get(take, {"company": ["acme", "globex"]}, headers=HTMX))
    assert "Take Trip Management from 2 companies?" in drawer
    assert "Turns Trip Management off for 2 of 2 companies" in drawer
    assert "Turn off for 2 companies by override" in drawer
    assert "A reason is required" in text_of(alices.post(take, {"company": ["acme"]}, headers=HTMX))
    done = alices.post(take, {"company": ["acme", "globex"], "reason": "They lost trips"}, headers=HTMX)
    assert not features_for(None, acme)[KEY]
    line = Change.objects.get(verb="roll_back_companies")
    assert f"/super-admin/changes/{line.pk}/revert/" in done.content.decode()
    # Undo leads back to the page one is on, not to the address that was posted to.
    assert f'name="next" value="{HTMX["HX-Current-URL"].removeprefix("http://testserver")}"' in done.content.decode()
    alices.post(f"/super-admin/changes/{line.pk}/revert/", {"reason": "Undo"})
    assert not Override.objects.filter(flag=KEY).exists()
    assert features_for(None, acme)[KEY]


def test_a_feature_is_taken_from_all_that_have_it(alices, alice, acme, globex):
    changes.set_override(acme, KEY, True, actor=alice)
    take = PAGE + "companies/roll-back/"
    drawer = said_by(alices.get(take, {"everybody": "on"}, headers=HTMX))
    assert "Turn off for 1 company by override" in drawer
    alices.post(take, {"everybody": "on", "reason": "leak"}, headers=HTMX)
    assert list(Override.objects.filter(flag=KEY).values_list("company__slug", "enabled")) == [("acme", False)]


def test_nothing_chosen_is_said_and_changes_nothing(alices, acme):
    take = PAGE + "companies/roll-back/"
    for asked in ({}, {"company": "parrot"}):
        assert "Choose the companies first" in text_of(alices.get(take, asked))
        assert "Choose the companies first" in text_of(alices.post(take, asked | {"reason": "x"}, headers=HTMX))
    assert not Override.objects.exists()


def test_it_says_whether_it_can_be_put_away(alices, alice):
    assert "Archive Safe Never evaluated: no code has asked for it yet." in said_by(alices.get(PAGE))
    flag = Flag.objects.get(key=KEY)
    at = timezone.now() - timedelta(days=2)
    DailyUsage.objects.create(flag=flag, day=at.date(), on=7, last_at=at, last_on_at=at)
    changes.edit_flag("api_access", actor=alice, requires=[KEY])
    said = said_by(alices.get(PAGE))
    assert "Archive Not now Last evaluated" in said
    assert "Required by API Access — change or archive that first." in said
    changes.edit_flag("api_access", actor=alice, requires=[])
    assert "Archive Still in use" in said_by(alices.get(PAGE))


def test_its_cost_does_not_grow_with_companies_and_steps(alices, alice, django_assert_max_num_queries):
    for number in range(30):
        CompanyFactory(channel="internal", name=f"Company {number:02}")
    for _ in range(5):
        releases.start(KEY, actor=alice)
        releases.roll_back(KEY, None, actor=alice, reason="again")
    releases.start(KEY, actor=alice)
    with django_assert_max_num_queries(8):
        alices.get(PAGE)
