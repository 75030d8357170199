"""Views that a person keeps: saved, listed, renamed, deleted, and nobody else's business."""

import re
from html import escape, unescape

import pytest
from django.db import IntegrityError, transaction

from flags import savedviews
from flags.exceptions import ChangeRefused, Invalid, Missing, NotAllowed
from flags.models import Change
from flags.viewmodels import SavedView
from tests.factories import UserFactory
from tests.flags.console.browsing import text_of

pytestmark = pytest.mark.django_db
LIST = "/super-admin/feature-flags/"
VIEWS = "/super-admin/views/"


@pytest.fixture
def killed(alice):
    return savedviews.save_view(alice, "flags", "Fires", "is:killed")


def test_a_query_is_saved_and_listed_above_the_list(alices, alice):
    page = alices.get(LIST, {"q": "is:killed"}).content.decode()
    assert f'action="{VIEWS}"' in page
    answer = alices.post(VIEWS, {"of": "flags", "q": "is:killed", "name": " Fires "}, follow=True)
    assert answer.redirect_chain[0][0] == f"{LIST}?q=is%3Akilled"
    assert "Saved the view “Fires”." in text_of(answer)
    assert f'<a class="tab" href="{LIST}?q=is%3Akilled" aria-current="page">Fires</a>' in answer.content.decode()
    assert f'href="{LIST}?q=is%3Akilled">Fires</a>' in alices.get(LIST).content.decode()
    assert "Fires" not in text_of(alices.get("/super-admin/companies/"))
    assert not Change.objects.exists()


def test_the_same_name_is_replaced_and_two_rows_of_it_are_impossible(alice, killed):
    savedviews.save_view(alice, "flags", "FIRES", "is:killed owner:me")
    assert SavedView.objects.get().query == "is:killed owner:me"
    with pytest.raises(IntegrityError), transaction.atomic():
        SavedView.objects.create(person=alice, of="flags", name="fires", query="x")


def test_it_is_renamed_and_deleted(alices, killed):
    answer = alices.post(f"{VIEWS}{killed.pk}/rename/", {"name": "Alarms"}, follow=True)
    assert "Renamed the view to “Alarms”." in text_of(answer)
    answer = alices.post(f"{VIEWS}{killed.pk}/delete/", follow=True)
    assert "Deleted the view “Alarms”." in text_of(answer)
    assert answer.redirect_chain[0][0] == f"{LIST}?q=is%3Akilled"
    assert not SavedView.objects.exists()
    undo = unescape(re.search(r'action="([^"]+/views/\?[^"]+)"', answer.content.decode())[1])
    alices.post(undo, {"reason": "Undo", "next": LIST})
    assert SavedView.objects.values_list("of", "name", "query").get() == ("flags", "Alarms", "is:killed")


def test_nobody_else_sees_or_touches_it(sign_in, killed):
    other = UserFactory(super_admin=True)
    browser = sign_in(other)
    assert "Fires" not in text_of(browser.get(LIST))
    for verb in ("rename", "delete"):
        answer = browser.post(f"{VIEWS}{killed.pk}/{verb}/", {"name": "Mine"}, follow=True)
        assert "You have no such view." in text_of(answer)
    assert SavedView.objects.get().name == "Fires"
    for call in (
        lambda: savedviews.rename_view(other, killed.pk, "x"),
        lambda: savedviews.delete_view(other, killed.pk),
    ):
        with pytest.raises(Missing):
            call()


@pytest.mark.parametrize(
    ("of", "name", "query", "refusal"),
    [
        ("flags", " ", "is:on", Invalid),
        ("flags", "x" * 41, "is:on", Invalid),
        ("flags", "a\x00b", "is:on", Invalid),
        ("flags", "Nothing", "  ", Invalid),
        ("people", "Them", "is:on", Invalid),
    ],
)
def test_what_cannot_be_kept_is_refused(alice, alices, of, name, query, refusal):
    with pytest.raises(refusal):
        savedviews.save_view(alice, of, name, query)
    answer = alices.post(VIEWS, {"of": of, "name": name, "q": query}, follow=True)
    assert answer.status_code == 200
    assert not SavedView.objects.exists()


def test_a_refusal_stands_beside_the_name_that_was_typed_once(alices, alice, killed):
    savedviews.save_view(alice, "flags", "Mine", "owner:me")
    for url, data in (
        (f"{VIEWS}{killed.pk}/rename/", {"name": "mine"}),
        (VIEWS, {"of": "flags", "q": "is:on", "name": "<x>" * 14}),
    ):
        page = alices.post(url, data, follow=True).content.decode()
        assert f'value="{escape(data["name"])}"' in page
        assert 'aria-describedby="view-name-error"' in page
        assert 'id="view-name-error"' in page
        assert 'id="view-name-error"' not in alices.get(LIST, {"q": "is:on"}).content.decode()


def test_there_is_an_end_to_it_and_names_stay_apart(alice, killed):
    for number in range(savedviews.MOST - 1):
        savedviews.save_view(alice, "flags", f"View {number}", "is:on")
    with pytest.raises(ChangeRefused, match="Delete one first"):
        savedviews.save_view(alice, "flags", "One more", "is:on")
    savedviews.save_view(alice, "companies", "Fires", "is:inactive")
    with pytest.raises(ChangeRefused, match="already"):
        savedviews.rename_view(alice, killed.pk, "view 3")


def test_only_super_admins_keep_any(bob):
    with pytest.raises(NotAllowed):
        savedviews.save_view(bob, "flags", "Mine", "is:on")
