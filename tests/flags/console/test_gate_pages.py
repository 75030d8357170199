"""The page of gates: operators add, rename, move and remove them; releases under way keep theirs."""

import pytest

from flags import gatetemplates, releases
from flags.gates import states
from flags.models import Change
from flags.releasemodels import GateTemplate
from tests.flags.console.browsing import HTMX, said_by, seen_in, text_of

pytestmark = pytest.mark.django_db
PAGE = "/super-admin/releases/gates/"


def titles(channel: str = "pilot") -> list[str]:
    return list(GateTemplate.objects.filter(channel=channel).values_list("title", flat=True))


@pytest.fixture
def gate() -> GateTemplate:
    return GateTemplate.objects.filter(channel="pilot").first()


def test_it_lists_them_by_channel_and_says_who_keeps_theirs(alices, alice):
    said = said_by(alices.get(PAGE))
    assert "Before Pilot 4" in said
    assert "Before General 5" in said
    assert "Works in the internal company Opens by somebody" in said
    assert "Opens by itself: soak time has passed" in said
    assert "No release is under way." in said
    releases.start("api_access", actor=alice)
    assert "1 release under way keeps the gates it began with." in said_by(alices.get(PAGE))


def test_a_gate_is_added_last(alices):
    new = {"title": "Legal has agreed", "channel": "pilot", "check_kind": "sign_off"}
    response = alices.post(PAGE, new, headers=HTMX)
    assert response["HX-Retarget"] == "#gates"
    assert titles()[-1] == "Legal has agreed"
    again = alices.post(PAGE, new, headers=HTMX)
    assert again.status_code == 409
    assert "There already is a gate “Legal has agreed”" in text_of(again)
    assert 'value="Legal has agreed"' in again.content.decode()
    empty = alices.post(PAGE, new | {"title": " "})
    assert empty.status_code == 422
    assert "<html" in empty.content.decode()
    wrong = alices.post(PAGE, new | {"title": "x", "channel": "internal"})
    assert wrong.status_code == 422


def test_a_gate_is_renamed(alices, gate):
    url = f"{PAGE}{gate.pk}/"
    assert f'value="{gate.title}"' in alices.get(url, headers=HTMX).content.decode()
    alices.post(url, {"title": "Works for us"}, headers=HTMX)
    assert titles()[0] == "Works for us"
    taken = alices.post(url, {"title": "No console errors"}, headers=HTMX)
    assert taken.status_code == 409
    assert 'value="No console errors"' in taken.content.decode()


@pytest.mark.parametrize("path", ["", "remove/"])
def test_a_gate_that_somebody_else_renamed_meanwhile_is_told(alices, alice, gate, path):
    url = f"{PAGE}{gate.pk}/{path}"
    seen = seen_in(alices.get(url, headers=HTMX))
    gatetemplates.edit_gate(gate.pk, title="By Tom", actor=alice)
    told = alices.post(url, {"title": "By me", "reason": "tidier", "seen": seen}, headers=HTMX)
    assert (told.status_code, titles()[0]) == (409, "By Tom")
    assert "gate By Tom" in text_of(told)
    assert 'value="tidier"' in told.content.decode()
    alices.post(url, {"title": "By me", "seen": seen_in(told)}, headers=HTMX)
    assert "By Tom" not in titles()


def test_a_gate_that_others_move_along_is_no_conflict(alices, alice, gate):
    seen = seen_in(alices.get(f"{PAGE}{gate.pk}/", headers=HTMX))
    gatetemplates.move_gate(gate.pk, 1, actor=alice)
    alices.post(f"{PAGE}{gate.pk}/", {"title": "By me", "seen": seen}, headers=HTMX)
    assert titles()[1] == "By me"


def test_a_gate_is_moved_and_stays_at_an_end(alices, gate):
    before = titles()
    alices.post(f"{PAGE}{gate.pk}/move/", {"places": "1"}, headers=HTMX)
    assert titles() == [before[1], before[0], *before[2:]]
    assert {line.verb for line in Change.objects.all()} == {"edit_gate"}
    assert Change.objects.values("batch").distinct().count() == 1
    alices.post(f"{PAGE}{gate.pk}/move/", {"places": "-1"})
    lines = Change.objects.count()
    alices.post(f"{PAGE}{gate.pk}/move/", {"places": "-1"})
    assert titles() == before
    assert Change.objects.count() == lines
    assert alices.post(f"{PAGE}{gate.pk}/move/", {"places": "7"}).status_code == 400


def test_moving_far_and_gates_of_one_rank(alice):
    GateTemplate.objects.filter(channel="general").update(rank=10)
    first = GateTemplate.objects.filter(channel="general").first()
    gatetemplates.move_gate(first.pk, 100, actor=alice)
    assert titles("general")[-1] == first.title
    assert list(GateTemplate.objects.filter(channel="general").values_list("rank", flat=True)) == [10, 20, 30, 40, 50]


def test_a_gate_is_removed_and_a_release_under_way_keeps_it(alices, alice, gate):
    release = releases.start("api_access", actor=alice)
    assert "Releases under way keep it." in said_by(alices.get(f"{PAGE}{gate.pk}/remove/", headers=HTMX))
    gone = alices.post(f"{PAGE}{gate.pk}/remove/", {"reason": "done by hand"}, headers=HTMX)
    assert gate.title not in titles()
    line = Change.objects.get(verb="remove_gate")
    assert f"/super-admin/changes/{line.pk}/revert/" in gone.content.decode()
    assert gate.title in [state.gate.title for state in states(release)]
    assert alices.get(f"{PAGE}{gate.pk}/").status_code == 404
    alices.post(f"/super-admin/changes/{line.pk}/revert/", {"reason": "Undo"})
    assert titles()[0] == gate.title
    again = alices.post(f"/super-admin/changes/{line.pk}/revert/", {"reason": "Undo"}, headers=HTMX)
    assert again.status_code == 409


def test_without_gates_it_says_so(alices):
    GateTemplate.objects.filter(channel="pilot").delete()
    assert "No gate stands before Pilot" in text_of(alices.get(PAGE))


def test_others_may_not(sign_in, bob, client, gate):
    for path in ("", f"{gate.pk}/", f"{gate.pk}/remove/"):
        assert sign_in(bob).post(PAGE + path, {"title": "Mine"}).status_code == 403
        assert client.get(PAGE + path).status_code == 302
    assert sign_in(bob).post(f"{PAGE}{gate.pk}/move/", {"places": "1"}).status_code == 403
