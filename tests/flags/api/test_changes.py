"""History by API: filtered, newest first, in pages that go on where the last one ended."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from flags.models import Change, Flag
from tests.factories import ChangeFactory, FlagFactory

pytestmark = pytest.mark.django_db
CHANGES = "/api/admin/changes"


def test_one_line_says_who_what_when_how_and_why(admin, alice, acme):
    admin.put(
        "/api/admin/tenants/acme/overrides/api_access",
        {"enabled": True, "reason": "contract 881"},
        content_type="application/json",
        headers={"x-request-id": "request-881"},
    )

    (change,) = admin.get(CHANGES).json()["results"]

    assert {**change, "id": "", "at": ""} == {
        "id": "",
        "at": "",
        "actor": alice.email,
        "via": "api",
        "verb": "set_override",
        "flag": "api_access",
        "company": "acme",
        "company_id": str(acme.pk),
        "before": {},
        "after": change["after"],
        "reason": "contract 881",
        "request_id": "request-881",
        "batch": None,
    }
    assert change["after"]["enabled"] is True


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("flag=fleet_chat", 1),
        ("company=acme", 1),
        ("company={acme}", 1),
        ("company=nowhere", 0),
        ("company=%25", 0),
        ("actor=eve@example.com", 1),
        ("verb=kill", 1),
        ("via=command", 1),
        ("batch={batch}", 1),
        ("request_id=request-1", 1),
        ("since=2999-01-01T00:00:00Z", 0),
        ("until=2999-01-01T00:00:00%2B01:00", 5),
        ("until=2999-01-01T00:00:00+01:00", 5),
        ("flag=fleet_chat&verb=kill", 0),
        ("q=nothing of the kind", 0),
        ("q=FLEET", 1),
        ('q=sl\u00f6w "lane"', 1),
    ],
)
def test_it_is_filtered(query, found, admin, acme):
    batch = uuid4()
    ChangeFactory(flag="fleet_chat", request_id="request-1")
    ChangeFactory(company_slug="acme", company_id=acme.pk)
    ChangeFactory(actor="eve@example.com")
    ChangeFactory(verb="kill", via="command")
    ChangeFactory(batch=batch, before={"name": 'Sl\u00f6w "lane"'})

    page = admin.get(f"{CHANGES}?{query.format(acme=acme.pk, batch=batch)}").json()

    assert len(page["results"]) == found


@pytest.mark.parametrize(
    "query",
    [
        "verb=nonsense",
        "via=x",
        "since=yesterday",
        "until=2026-01-01",
        "batch=x",
        "page=2",
        "page_size=0",
        "page_size=9999",
        "flag=%00",
    ],
)
def test_a_bad_question_is_refused_by_name(query, admin):
    response = admin.get(f"{CHANGES}?{query}")

    assert response.status_code == 400
    assert list(response.json()["errors"]) == [query.partition("=")[0]]


@pytest.mark.parametrize("size", [1, 2, 50])
def test_text_is_looked_for_in_so_many_lines_at_a_time(admin, monkeypatch, size):
    monkeypatch.setattr("flags.history.LOOKED_THROUGH", 3)
    for number in range(10):
        ChangeFactory(reason=f"contract {number}" if number in (0, 1, 8) else "nothing")

    pages, url = [], f"{CHANGES}?q=contract&page_size={size}"
    while url:
        page = admin.get(url).json()
        pages.append([line["reason"] for line in page["results"]])
        url, last = page["next"], page

    assert [reason for found in pages for reason in found] == ["contract 8", "contract 1", "contract 0"]
    assert all(len(found) <= size for found in pages)
    assert [] in pages
    back = admin.get(last["previous"]).json()["results"] if last["previous"] else []
    assert all(line["reason"] in ("contract 1", "contract 8") for line in back)


def test_pages_go_on_without_gaps_though_moments_are_the_same(admin, django_assert_num_queries, time_machine_at):
    with time_machine_at(datetime(2026, 3, 1, tzinfo=UTC)):
        for _ in range(7):
            ChangeFactory()
    with time_machine_at(datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=1)):
        ChangeFactory(verb="newest")
    url, seen = f"{CHANGES}?page_size=3", []
    while url:
        with django_assert_num_queries(2):
            page = admin.get(url).json()
        seen += [row["id"] for row in page["results"]]
        ChangeFactory(verb="later")  # What comes meanwhile shifts nothing.
        last, url = page, page["next"]

    expected = Change.objects.exclude(verb="later").order_by("-at", "-id").values_list("id", flat=True)
    assert seen == [str(pk) for pk in expected]
    before = admin.get(last["previous"]).json()
    assert [row["id"] for row in before["results"]] == seen[-5:-2]
    assert admin.get(before["next"]).json() == {**last, "next": None}


def test_reading_it_takes_a_scope_of_its_own(as_token, acme):
    assert as_token("audit:read").get(CHANGES).status_code == 200
    assert as_token("flags:write").get(CHANGES).json()["code"] == "SCOPE_MISSING"
    assert as_token("audit:read", company=acme).get(CHANGES).json()["code"] == "TOKEN_COMPANY_MISMATCH"


def test_it_cannot_be_written(admin):
    for method in ("post", "put", "patch", "delete"):
        assert getattr(admin, method)(CHANGES).status_code == 405


def test_a_program_is_named_as_such(as_token):
    FlagFactory(key="fleet_chat")
    key = as_token("flags:write", "audit:read")
    key.post("/api/admin/feature-flags", {"key": "fleet_chat", "enabled": True}, content_type="application/json")

    (change,) = key.get(CHANGES).json()["results"]

    assert change["actor"] == f"token {key.token.name}"
    assert Flag.objects.get(key="fleet_chat").default_enabled is True
