"""Changing many companies at the console: chosen or all that match, impact first, and its progress."""

import re
import uuid

import pytest

from flags import bulk, overrides
from flags.batchmodels import Batch
from flags.bulk import Wish
from flags.models import Change, Override
from tests.factories import CompanyFactory, UserFactory
from tests.flags.console.browsing import HTMX, said_by, text_of

pytestmark = pytest.mark.django_db
BULK = "/super-admin/bulk/companies/"
LIST = "/super-admin/companies/"


def confirmed(page):
    """Return what the form that confirms would send."""
    form = page[page.index('id="bulk-confirm"') :]
    pairs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
    data: dict[str, list[str]] = {}
    for name, value in pairs:
        data.setdefault(name, []).append(value)
    return data


def test_the_list_offers_those_ticked_and_all_that_match(alices, acme, globex):
    page = alices.get(LIST, {"q": "channel:pilot"}).content.decode()
    assert '<input type="checkbox" name="company" value="globex" aria-label="Choose Globex">' in page
    assert f'href="{BULK}?q=channel%3Apilot">Change the one that matches…' in page


def test_it_says_first_what_it_would_do_and_then_does_it(alices, acme, globex):
    page = alices.get(BULK, {"q": "", "flag": "api_access", "deed": "turn_on"})
    assert "Turns API Access on for 2 of 2 companies" in text_of(page)
    assert "Turn API Access on for 2 companies" in text_of(page)
    assert not Batch.objects.exists()
    data = confirmed(page.content.decode())
    answer = alices.post(BULK, data | {"reason": "contract"})
    batch = Batch.objects.get()
    assert answer["Location"] == f"/super-admin/batches/{batch.pk}/"
    assert alices.post(BULK, data)["Location"] == answer["Location"]  # sent twice, begun once
    assert not Override.objects.exists()
    assert "0 of 2 companies" in text_of(alices.get(answer["Location"]))
    after = alices.post(answer["Location"], follow=True)
    assert "Done: 2 companies" in text_of(after)
    assert "Acme, Globex" in text_of(after)
    assert Override.objects.filter(enabled=True, reason="contract").count() == 2
    undo = re.search(r'href="([^"]+/revert/)"', after.content.decode())[1]
    assert alices.get(undo).status_code == 200
    alices.post(undo, {"reason": ""})
    assert not Override.objects.exists()
    assert "turned API Access on by override for 2 companies at once" in said_by(alices.get("/super-admin/changes/"))
    assert Change.objects.filter(verb="undo_batch").exists()


def test_only_those_ticked_are_meant(alices, acme, globex):
    page = alices.get(BULK, {"chosen": "on", "company": ["globex"], "flag": "api_access", "deed": "turn_on"})
    assert "1 company chosen: Globex" in said_by(page)
    alices.post(BULK, confirmed(page.content.decode()))
    assert Batch.objects.get().subjects == [str(globex.pk)]


def test_nothing_ticked_is_not_everything(alices, acme, globex):
    page = alices.get(BULK, {"chosen": "on", "flag": "api_access", "deed": "turn_on"})
    assert page.status_code == 422
    assert "No company is ticked." in text_of(page)
    assert "bulk-confirm" not in page.content.decode()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"q": "chanel:pilot"}, "“chanel:” means nothing here."),
        ({"q": "channel:pilto"}, "“pilto” in “channel:pilto” is not known."),
        ({"flag": "nothing"}, "There is no flag"),
        ({"company": ["nobody"], "chosen": "on"}, "There is no company nobody any more."),
        ({"expires_at": "tomorrow"}, "Write it as 2027-03-03T14:00"),
    ],
)
def test_what_is_not_understood_changes_nothing(alices, acme, globex, asked, words):
    query = {"flag": "api_access", "deed": "turn_on", **asked}
    page = alices.get(BULK, query)
    assert page.status_code == 422
    assert words in text_of(page)
    posted = alices.post(BULK, query | {"batch": str(uuid.uuid4())})
    assert posted.status_code == 422
    assert not Batch.objects.exists()


def test_when_more_match_by_now_it_is_told(alices, acme, globex):
    data = confirmed(alices.get(BULK, {"flag": "api_access", "deed": "turn_off"}).content.decode())
    CompanyFactory()
    answer = alices.post(BULK, data)
    assert answer.status_code == 409
    assert "3 companies match by now, not 2." in text_of(answer)
    assert confirmed(answer.content.decode())["expected"] == ["3"]


def test_scripts_take_step_after_step(alices, alice, monkeypatch):
    companies = CompanyFactory.create_batch(3)
    monkeypatch.setattr(bulk, "TOGETHER", 2)
    batch = bulk.begin(uuid.uuid4(), [each.pk for each in companies], Wish("turn_on", "api_access"), actor=alice)
    url = f"/super-admin/batches/{batch.pk}/"
    first = alices.post(url, headers=HTMX)
    assert "2 of 3 companies" in text_of(first)
    assert 'hx-trigger="submit, load delay:50ms"' in first.content.decode()
    last = alices.post(url, headers=HTMX)
    assert "Done: 3 companies" in text_of(last)
    assert "hx-trigger" not in last.content.decode()
    assert '"announce": {"text": "Done"}' in last["HX-Trigger"]


def test_somebody_else_may_look_and_no_more(alice, sign_in, acme):
    batch = bulk.begin(uuid.uuid4(), [acme.pk], Wish("turn_on", "api_access"), actor=alice)
    browser = sign_in(UserFactory(super_admin=True))
    url = f"/super-admin/batches/{batch.pk}/"
    assert "Alice began this" in text_of(browser.get(url))
    assert browser.post(url, headers=HTMX).status_code in (409, 422)
    assert not Override.objects.exists()


def test_what_waits_is_told_on_the_overview_and_can_be_stopped(alices, alice, acme, globex):
    batch = bulk.begin(uuid.uuid4(), [acme.pk, globex.pk], Wish("turn_on", "api_access"), actor=alice)
    assert "waits at 0 of 2" in text_of(alices.get("/super-admin/"))
    stopped = alices.post(f"/super-admin/batches/{batch.pk}/stop/", follow=True)
    assert "Stopped after 0 of 2 companies" in text_of(stopped)
    assert "waits at" not in text_of(alices.get("/super-admin/"))


def test_a_flags_page_leads_here(alices, alice, acme):
    overrides.set_override(acme, "api_access", True, actor=alice)
    page = alices.get("/super-admin/feature-flags/api_access/").content.decode()
    assert f'href="{BULK}?flag=api_access&amp;q=overridden%3Aapi_access"' in page


def test_for_all_companies_the_impact_is_that_of_each(alices, alice, acme, globex):
    overrides.set_override(acme, "api_access", True, actor=alice)
    everybody = alices.get(BULK, {"flag": "api_access", "deed": "turn_on"})
    ticked = alices.get(BULK, {"flag": "api_access", "deed": "turn_on", "chosen": "on", "company": ["acme", "globex"]})
    for page in (everybody, ticked):
        assert "Turns API Access on for 1 of 2 companies" in text_of(page)
        assert "Globex" in text_of(page)
