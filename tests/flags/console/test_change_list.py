"""History at the console: sentences by day, filters in the address, a file of what is shown, and the way back."""

import csv
import io
import json
import re
from uuid import uuid4

import pytest
import time_machine

from flags import changes, companies, rollbacks
from flags import history as history_of_changes
from flags.console import history
from flags.console import historyfiles as door
from flags.models import Change, Flag, Override
from tests.factories import ChangeFactory
from tests.flags.console.browsing import HTMX, text_of

pytestmark = pytest.mark.django_db
HISTORY = "/super-admin/changes/"
FILE = "/super-admin/changes.csv"


def rows(response) -> list[list[str]]:
    return list(csv.reader(io.StringIO(response.getvalue().decode())))


# The list


def test_it_tells_who_did_what_to_whom_and_why(alices, alice, acme):
    changes.set_override(acme, "api_access", True, actor=alice, reason="contract 881")
    page = alices.get(HISTORY)
    assert "Today" in text_of(page)
    assert "Alice turned API Access on for Acme — contract 881" in text_of(page)
    assert '<a href="/super-admin/feature-flags/api_access/">API Access</a>' in page.content.decode()


def test_each_line_opens_to_what_changed(alices, alice):
    changes.edit_flag("api_access", actor=alice, owner="Bo")
    page = alices.get(HISTORY).content.decode()
    assert "<details" in page
    assert "<del>none</del>" in page
    assert "<ins>Bo</ins>" in page


def test_a_search_says_where_it_stopped_and_looks_on(alices, monkeypatch):
    monkeypatch.setattr(history.history, "LOOKED_AT_FIRST", 1)
    monkeypatch.setattr(history.history, "LOOKED_THROUGH", 2)
    for reason in ("rain", "sun", "sun"):
        ChangeFactory(reason=reason)
    page = alices.get(HISTORY, {"q": "rain"})
    assert "No change matches so far" in text_of(page)
    assert history.LOOK_ON in text_of(page)
    page = alices.get(page.context["older"])
    assert "— rain" in text_of(page)
    assert "looked through" not in text_of(page)


def test_days_are_told_apart(alices, alice):
    with time_machine.travel("2026-03-01T12:00:00+00:00", tick=False):
        changes.kill("api_access", actor=alice, reason="leak")
    changes.revive("api_access", actor=alice, reason="mended")
    page = text_of(alices.get(HISTORY))
    assert page.index("Today") < page.index("revived") < page.index("Sunday, 1 March 2026") < page.index("Alice killed")


def test_what_is_gone_is_named_and_not_linked(alices, alice):
    changes.create_flag("night_shift", actor=alice, name="Night Shift")
    changes.delete_flag("night_shift", actor=alice)
    page = alices.get(HISTORY)
    assert "Alice deleted Night Shift" in text_of(page)
    assert "/feature-flags/night_shift/" not in page.content.decode()


def test_filters_narrow_it_and_can_be_removed_one_by_one(alices, alice, acme):
    changes.set_override(acme, "api_access", True, actor=alice)
    changes.kill("white_label", actor=alice, reason="leak")
    response = alices.get(HISTORY, {"flag": "api_access", "company": "acme"})
    assert "turned API Access on" in text_of(response)
    assert "Alice killed" not in text_of(response)
    assert 'href="/super-admin/changes/?company=acme"' in response.content.decode()
    assert 'href="/super-admin/changes/?flag=api_access"' in response.content.decode()


@pytest.mark.parametrize(
    "query", [{"since": "yesterday"}, {"verb": "nonsense"}, {"via": "x"}, {"after": "x"}, {"q": "\0"}]
)
def test_what_is_not_understood_filters_nothing(alices, alice, query):
    changes.kill("api_access", actor=alice, reason="leak")
    assert "Alice killed API Access" in text_of(alices.get(HISTORY, query))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"since": "yesterday"}, "“yesterday” is nothing to filter by as since."),
        ({"verb": "nonsense"}, "“nonsense” is nothing to filter by as verb."),
    ],
)
def test_what_is_not_understood_is_said_in_files_too(alices, alice, query, words):
    changes.kill("api_access", actor=alice, reason="leak")
    page = alices.get(HISTORY, {**query, "flag": "api_access"})
    assert words in text_of(page)
    assert 'href="/super-admin/changes.csv?flag=api_access"' in page.content.decode()
    for kind in ("csv", "json"):
        refused = alices.get(f"/super-admin/changes.{kind}", query)
        assert (refused.status_code, f"{next(iter(query)).title()} :" in text_of(refused)) == (400, True)


def test_text_is_looked_for_in_what_changed_too(alices, alice, acme):
    changes.set_override(acme, "api_access", True, actor=alice)
    changes.edit_flag("white_label", actor=alice, owner='Zo\u00eb "Z" Adams')
    said = text_of(alices.get(HISTORY, {"q": 'Zo\u00eb "z"'}))
    assert "White" in said
    assert "API Access" not in said


def test_nothing_yet_and_nothing_found_are_two_things(alices, alice):
    assert "No history yet" in text_of(alices.get(HISTORY))
    changes.kill("api_access", actor=alice, reason="leak")
    assert "No change matches" in text_of(alices.get(HISTORY, {"q": "parrot"}))


def test_pages_lead_to_older_and_back(alices):
    for number in range(history.CHANGES_PER_PAGE + 3):
        ChangeFactory(reason=f"reason {number:03}")
    newest = f"reason {history.CHANGES_PER_PAGE + 2:03}"
    first = alices.get(HISTORY)
    assert newest in text_of(first)
    assert "reason 002" not in text_of(first)
    older = alices.get(first.context["older"])
    assert "reason 002" in text_of(older)
    assert older.context["older"] is None
    newer = alices.get(older.context["newer"])
    assert newest in text_of(newer)
    assert newer.context["newer"] is None


def test_what_htmx_gets_has_the_filters_to_remove_and_the_files_of_these_lines(alices, alice):
    changes.kill("api_access", actor=alice, reason="leak")
    part = alices.get(HISTORY, {"flag": "api_access", "since": "nonsense"}, headers=HTMX)
    content = part.content.decode()
    assert content.startswith('<div id="found">')
    assert 'href="/super-admin/changes.csv?flag=api_access"' in content
    assert "Flag api_access : leave out" in text_of(part)
    assert "nothing to filter by as since" in text_of(part)


@pytest.mark.parametrize("number", [1, 40])
def test_queries_do_not_grow_with_lines(alices, django_assert_max_num_queries, number):
    ChangeFactory.create_batch(number)
    with django_assert_max_num_queries(7):
        alices.get(HISTORY)


# The file


def test_the_file_holds_exactly_what_is_shown(alices, alice, acme):
    changes.set_override(acme, "api_access", True, actor=alice, reason="contract 881")
    changes.kill("white_label", actor=alice, reason="leak")
    page = alices.get(HISTORY, {"flag": "api_access"}).content.decode()
    assert 'href="/super-admin/changes.csv?flag=api_access"' in page
    response = alices.get(FILE, {"flag": "api_access"})
    header, line = rows(response)
    cells = dict(zip(header, line, strict=True))
    assert cells["sentence"] == "Alice turned API Access on for Acme — contract 881"
    assert (cells["verb"], cells["flag"], cells["company"], cells["via"]) == (
        "set_override",
        "api_access",
        "acme",
        "system",
    )
    assert json.loads(cells["after"])["enabled"] is True
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith('attachment; filename="headgate-changes-')
    assert response["Cache-Control"] == "no-store"
    assert response.streaming


def test_it_holds_all_pages(alices):
    ChangeFactory.create_batch(history.CHANGES_PER_PAGE + 5)
    assert len(rows(alices.get(FILE))) == 1 + history.CHANGES_PER_PAGE + 5
    first = alices.get(HISTORY)
    older = alices.get(first.context["older"])
    assert older.context["files"][0] == ("CSV", FILE)  # where a page begins is no filter


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(alices, alice, begin):
    nasty = f"{begin}HYPERLINK(1)"
    ChangeFactory(actor=nasty, actor_name=nasty, reason=nasty, flag="", company_slug="", request_id=nasty)
    header, line = rows(alices.get(FILE))
    assert not [cell for cell in line if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert dict(zip(header, line, strict=True))["reason"] == f"'{nasty}"


@pytest.mark.parametrize("query", ["", "?q=contract", "?verb=set_default&since=2020-01-01"])
def test_it_holds_all_there_is_each_line_once_and_in_order(alices, monkeypatch, query):
    """In whatever portions it is read and written, and also where a text is found in few lines."""
    for module, name, number in (
        (history_of_changes, "READ_AT_ONCE", 3),
        (history_of_changes, "LOOKED_AT_FIRST", 2),
        (history_of_changes, "LOOKED_THROUGH", 4),
        (door, "WRITTEN_AT_ONCE", 2),
    ):
        monkeypatch.setattr(module, name, number)
    for number in range(17):
        reason = "a trial" if 7 <= number < 13 else "contract 881"
        ChangeFactory(reason=reason, request_id=f"request-{number}")
    found = [change.request_id for change in Change.objects.all() if "q=" not in query or "con" in change.reason]
    assert len(found) == (11 if "q=" in query else 17)
    header, *lines = rows(alices.get(FILE + query))
    assert [line[header.index("request_id")] for line in lines] == found
    told = json.loads(alices.get(FILE.replace("csv", "json") + query).getvalue())
    assert [line["request_id"] for line in told["changes"]] == found
    assert told["complete"] is True


def test_of_a_file_little_is_held_at_once(alices, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(history_of_changes, "READ_AT_ONCE", 2)
    monkeypatch.setattr(door, "WRITTEN_AT_ONCE", 2)
    ChangeFactory.create_batch(6)
    parts = iter(alices.get(FILE).streaming_content)
    assert len(next(parts).splitlines()) == 3
    with django_assert_num_queries(1):
        assert len(next(parts).splitlines()) == 2
    assert len(b"".join(parts).splitlines()) == 2


# The way back


def revert_of(change: Change) -> str:
    return f"{HISTORY}{change.pk}/revert/"


def test_taking_back_shows_first_what_it_does(alices, alice, acme):
    changes.set_default("api_access", True, actor=alice)
    change = Change.objects.get()
    for response in (alices.get(revert_of(change)), alices.post(revert_of(change), {"ask": "on"}, headers=HTMX)):
        page = text_of(response)
        assert "Alice turned API Access on by default" in page
        assert "Field Now Then default on off" in page
        assert "Turns API Access off for 1 of 1 company" in page
        assert "Take it back for 1 company" in page
    assert Change.objects.count() == 1


def test_confirmed_it_is_taken_back_and_told(alices, alice):
    changes.set_default("api_access", True, actor=alice)
    done = alices.post(revert_of(Change.objects.get()), {"reason": "oops", "next": HISTORY + "?flag=api_access"})
    assert done["Location"] == HISTORY + "?flag=api_access"
    assert not Flag.objects.get(key="api_access").default_enabled
    assert Change.objects.first().reason == "oops"
    htmx = alices.post(revert_of(Change.objects.first()), headers=HTMX)
    assert htmx["HX-Redirect"] == HISTORY


def test_every_change_made_here_can_be_undone_from_its_message(alices, acme):
    alices.post("/super-admin/feature-flags/api_access/overrides/acme/", {"enabled": "true"})
    page = alices.get(HISTORY).content.decode()
    undo = revert_of(Change.objects.get())
    assert f'<form method="post" action="{undo}"' in page
    assert 'name="reason" value="Undo"' in page
    back = alices.post(undo, {"reason": "Undo", "next": "/super-admin/feature-flags/"})
    assert back["Location"] == "/super-admin/feature-flags/"
    assert not Override.objects.exists()
    assert Change.objects.first().reason == "Undo"


def test_undo_travels_with_a_fragment_too(alices, acme):
    answer = {"enabled": "true", "place": "row"}
    row = alices.post("/super-admin/feature-flags/api_access/default/", answer, headers=HTMX).content.decode()
    assert 'hx-swap-oob="beforeend:#toasts"' in row
    assert revert_of(Change.objects.get()) in row
    assert 'name="next" value="/super-admin/feature-flags/"' in row


def test_what_cannot_be_undone_offers_nothing(alices):
    alices.post("/super-admin/feature-flags/new/", {"key": "night_shift", "category": "core"})
    page = alices.get(HISTORY).content.decode()
    assert "Created Night shift." in page
    assert "/revert/" not in page


def test_what_somebody_changed_since_is_refused_with_both_values(alices, alice):
    changes.set_default("api_access", True, actor=alice)
    first = Change.objects.get()
    changes.set_default("api_access", False, actor=alice)
    response = alices.post(revert_of(first), headers=HTMX)
    assert response.status_code == 409
    assert "Somebody changed this again since" in text_of(response)
    assert Change.objects.count() == 2


def test_what_is_gone_is_not_found(alices, alice):
    changes.create_flag("night_shift", actor=alice)
    changes.edit_flag("night_shift", actor=alice, name="New")
    edit = Change.objects.first()
    changes.delete_flag("night_shift", actor=alice)
    assert alices.get(revert_of(edit)).status_code == 404
    assert alices.post("/super-admin/changes/00000000-0000-0000-0000-000000000001/revert/").status_code == 404


def test_a_company_that_was_moved_goes_back(alices, alice, acme):
    companies.edit_company(acme, actor=alice, channel="pilot")
    change = Change.objects.get()
    assert "Take it back" in text_of(alices.get(revert_of(change)))
    alices.post(revert_of(change))
    acme.refresh_from_db()
    assert acme.channel_id == "general"


@pytest.mark.parametrize("method", ["get", "post"])
def test_others_may_not(sign_in, bob, client, alice, method):
    changes.set_default("api_access", True, actor=alice)
    for path in (HISTORY, FILE, revert_of(Change.objects.get())):
        assert getattr(sign_in(bob), method)(path).status_code == 403
        assert getattr(client, method)(path).status_code == 302
    assert Change.objects.count() == 1


def test_flag_company_and_person_pages_link_to_files_of_exactly_their_lines(alices, alice, acme, globex, bob, cora):
    changes.set_override(acme, "api_access", True, actor=alice)
    changes.set_override(globex, "driver_chat", True, actor=alice)
    companies.add_member(acme, cora.email, "admin", actor=alice)
    for page, verbs in (
        ("/super-admin/feature-flags/api_access/", ["set_override"]),
        ("/super-admin/companies/acme/changes/", ["set_role", "set_override"]),
        (f"/super-admin/people/{cora.pk}/", ["set_role"]),
    ):
        shown = alices.get(page).content.decode()
        [file] = re.findall(r'href="(/super-admin/changes.json[^"]+)"', shown)
        assert [line["verb"] for line in json.loads(alices.get(file).getvalue())["changes"]] == verbs
        assert file.replace("changes.json", "changes.csv") in shown
    listed = alices.get(HISTORY, {"person": cora.pk})
    assert "Cora" in text_of(listed)
    assert [entry.first.change.verb for _, lines in listed.context["days"] for entry in lines] == ["set_role"]
    assert alices.get(HISTORY, {"person": "00000000-0000-0000-0000-000000000001"}).status_code == 200


def test_taking_back_an_activation_shows_whom_it_hits_and_asks_for_the_slug(alices, alice, acme):
    changes.set_override(acme, "api_access", True, actor=alice)
    companies.edit_company(acme, actor=alice, is_active=False)
    companies.edit_company(acme, actor=alice, is_active=True)
    undo = revert_of(Change.objects.first())
    asked = alices.post(undo, {"reason": "Undo"}, headers=HTMX)
    assert "API Access" in text_of(asked)
    assert "Type acme to confirm" in text_of(asked)
    refused = alices.post(undo, {"reason": "left us", "typed": "Acme"}, headers=HTMX)
    assert (refused.status_code, 'value="left us"' in refused.content.decode()) == (422, True)
    acme.refresh_from_db()
    assert acme.is_active
    alices.post(undo, {"reason": "left us", "typed": "acme"}, headers=HTMX)
    acme.refresh_from_db()
    assert not acme.is_active


def test_taking_back_a_move_shows_the_features_that_turn(alices, alice, acme):
    changes.set_channel("api_access", "pilot", True, actor=alice)
    companies.edit_company(acme, actor=alice, channel="pilot")
    asked = text_of(alices.get(revert_of(Change.objects.first())))
    assert "Turns 1 feature off for Acme" in asked
    assert "API Access" in asked.split("Turns 1 feature off", 1)[1]


def test_taking_back_a_batch_of_overrides_shows_for_whom_it_turns(alices, alice, acme, globex):
    for company in (acme, globex):
        changes.set_override(company, "api_access", True, actor=alice)
    rollbacks.roll_back_companies("api_access", None, actor=alice, reason="broken")
    whole = Change.objects.get(verb="roll_back_companies")
    asked = text_of(alices.get(revert_of(whole)))
    assert "Turns API Access on for 2 of 2 companies" in asked
    assert "Take it back for 2 companies" in asked
    changes.remove_override(globex, "api_access", actor=alice)
    assert "Turns API Access on for 1 of 1 company" in text_of(alices.get(revert_of(whole)))


def test_a_long_batch_is_counted_no_further_than_needed(alices, monkeypatch):
    monkeypatch.setattr(history_of_changes, "MANY", 3)
    ChangeFactory.create_batch(5, batch=(batch := uuid4()))
    page = text_of(alices.get(HISTORY))
    assert "4 more of the same batch, of more than 3 in all" in page
    assert "All changes of this batch: more than 3" in page
    assert len(rows(alices.get(FILE, {"batch": batch}))) == 6
