"""The Inspector: why somebody has a feature or not, what if, and how two companies differ. It only looks."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.utils import timezone

from flags import changes, overrides, releases, usage
from flags.evaluation import bucket
from flags.models import Change, Flag, Override
from flags.releasemodels import Usage
from tests.factories import CompanyFactory, FlagFactory, GrantFactory
from tests.flags.console.browsing import HTMX, text_of

pytestmark = pytest.mark.django_db
PAGE = "/super-admin/inspector/"
CONTROL = f"{PAGE}control/"


@pytest.fixture
def alices(sign_in, alice):
    return sign_in(alice)


def cells(response) -> dict[str, list[str]]:
    """The answers of the grid by flag: "On override", one for each company, person and moment."""
    found = {}
    for row in re.findall(r"<tr[ >].*?</tr>", response.content.decode().partition("<tbody>")[2], re.DOTALL):
        key = re.search(r"<code>(\w+)</code>", row)
        if key is not None:
            spoken = re.sub(r'<span class="visually-hidden">.*?</span>', "", row, flags=re.DOTALL)
            texts = [re.sub(r"<[^>]+>", " ", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", spoken, re.DOTALL)]
            found[key[1]] = [" ".join(text.split()) for text in texts]
    return found


def test_without_a_question_it_asks_for_one(alices):
    page = text_of(alices.get(PAGE))
    assert "Whom are you asking about?" in page
    assert "Tenant isolation" in page


def test_the_grid_has_a_row_for_each_flag_and_a_column_for_each_company(alices, alice, acme, globex):
    overrides.set_override(acme, "api_access", True, actor=alice)
    found = cells(alices.get(PAGE, {"company": ["acme", "globex"]}))
    assert len(found) > 12
    assert found["api_access"][0].startswith("On override")
    assert found["api_access"][1].startswith("Off")


def test_a_cell_opens_its_ladder_and_says_what_to_tell_the_customer(alices, alice, acme):
    overrides.set_override(acme, "api_access", False, actor=alice)
    page = alices.get(PAGE, {"company": "acme", "flag": "api_access", "open": "acme:api_access"})
    content = page.content.decode()
    assert 'id="ladder"' in content
    assert "Override for the company" in text_of(page)
    assert "To tell the customer:" in text_of(page)
    assert 'id="ladder"' not in alices.get(PAGE, {"company": "acme", "open": "acme:nonsense"}).content.decode()


@pytest.mark.parametrize(
    ("what_if", "answer"),
    [
        ({"override": "on"}, "On override now Off (default)"),
        ({"default": "on"}, "On default now Off (default)"),
        ({"override": "off"}, "Off override now Off (default)"),
        ({"override": "none"}, "Off default"),
        ({}, "Off default"),
    ],
)
def test_what_if_is_shown_beside_what_is(alices, acme, what_if, answer):
    found = cells(alices.get(PAGE, {"company": "acme", "flag": "trip_management", **what_if}))
    assert found == {"trip_management": [answer]}


def test_another_channel_or_plan_can_be_supposed(alices, alice, acme):
    changes.set_channel("trip_management", "pilot", True, actor=alice)
    asked = {"company": "acme", "flag": "trip_management"}
    assert cells(alices.get(PAGE, {**asked, "channel": "pilot"}))["trip_management"][0].startswith("On channel now Off")
    changes.edit_flag("trip_management", actor=alice, minimum_plan="enterprise")
    assert cells(alices.get(PAGE, {**asked, "channel": "pilot"}))["trip_management"][0].startswith("Off plan")
    supposed = {**asked, "channel": "pilot", "plan": "enterprise"}
    assert cells(alices.get(PAGE, supposed))["trip_management"][0].startswith("On channel")


def test_what_a_flag_asks_for_can_be_supposed(alices, alice, acme, dan):
    changes.set_default("trip_management", True, actor=alice)
    asked = {"company": "acme", "flag": "trip_management", "person": dan.email}

    def supposed(**what_if):
        return cells(alices.get(PAGE, asked | what_if))["trip_management"][0]

    assert supposed(minimum_plan="enterprise") == "Off plan now On (default)"
    assert supposed(minimum_plan="pro") == "On default"
    assert supposed(needs_grant="on") == "Off grant_missing now On (default)"
    changes.edit_flag("trip_management", actor=alice, minimum_plan="enterprise", needs_grant=True)
    assert supposed(minimum_plan="none", needs_grant="off") == "On default now Off (plan)"
    assert "There is no plan “free”" in text_of(alices.get(PAGE, asked | {"minimum_plan": "free"}))
    assert "nothing to suppose of the needs grant" in text_of(alices.get(PAGE, asked | {"needs_grant": "maybe"}))


def test_what_its_channel_says_can_be_supposed(alices, alice, acme):
    asked = {"company": "acme", "flag": "trip_management"}

    def supposed(**what_if):
        return cells(alices.get(PAGE, asked | what_if))["trip_management"][0]

    assert supposed(answer="on") == "On channel now Off (default)"
    assert supposed(answer="off") == "Off channel now Off (default)"
    assert supposed(answer="on", percentage="0") == "Off rollout now Off (default)"
    changes.set_channel("trip_management", "general", True, actor=alice)
    assert supposed(answer="none") == "Off default now On (channel)"
    assert supposed(channel="pilot", answer="on") == "On channel"


@pytest.mark.parametrize(
    ("drawer", "said", "answer"),
    [
        ("default/", {"enabled": "true"}, "On default now Off (default)"),
        ("channels/general/", {"answer": "on"}, "On channel now Off (default)"),
        ("channels/general/", {"answer": "on", "percentage": "99"}, "On rollout now Off (default)"),
        ("kill/", {}, "Killed killed now Off (default)"),
    ],
)
def test_a_drawer_leads_to_what_it_would_do(alices, acme, drawer, said, answer):
    page = alices.get(f"/super-admin/feature-flags/trip_management/{drawer}", said).content.decode()
    [link] = re.findall(r'href="([^"]+)">Explain it so', page)
    asked = unescape(link) if "company=" in link else f"{unescape(link)}&company=acme"
    assert cells(alices.get(asked))["trip_management"] == [answer]


def test_a_person_is_asked_for_with_their_grants(alices, alice, acme, dan):
    changes.set_default("trip_management", True, actor=alice)
    changes.edit_flag("trip_management", actor=alice, needs_grant=True)
    asked = {"company": "acme", "flag": "trip_management", "person": dan.email}
    assert cells(alices.get(PAGE, asked)) == {"trip_management": ["Off grant_missing"]}
    GrantFactory(company=acme, user=dan, flag_id="trip_management", flag=None)
    assert cells(alices.get(PAGE, asked)) == {"trip_management": ["On default"]}


def test_only_what_differs_is_left_when_comparing(alices, alice, acme, globex):
    asked = {"company": ["acme", "globex"], "compare": "1"}
    before = cells(alices.get(PAGE, asked))
    assert "broker_management" not in before
    overrides.set_override(acme, "broker_management", True, actor=alice)
    after = cells(alices.get(PAGE, asked))
    assert after.keys() - before.keys() == {"broker_management"}


def test_whatever_makes_no_sense_is_named_and_left_out(alices, acme):
    page = text_of(
        alices.get(
            PAGE,
            {
                "company": ["acme", "acne"],
                "flag": "parrot",
                "person": "nobody@example.com",
                "at": "tomorrow",
                "channel": "beta",
                "plan": "free",
                "percentage": "120",
            },
        )
    )
    for problem in (
        "There is no company “acne”",
        "There is no flag “parrot”",
        "There is no person with the address “nobody@example.com”",
        "“tomorrow” is no moment",
        "There is no channel “beta”",
        "There is no plan “free”",
        "“120” is no percentage",
    ):
        assert problem in page


@pytest.mark.parametrize("at", ["2026-13-45T99:99", "0001-01-01T00:00", "9999-12-31T23:59"])
def test_odd_moments_are_answered(alices, acme, at):
    assert alices.get(PAGE, {"company": "acme", "at": at}).status_code == 200


def test_people_and_moments_are_columns_too(alices, alice, acme, dan, cora):
    changes.set_default("trip_management", True, actor=alice)
    changes.edit_flag("trip_management", actor=alice, needs_grant=True)
    GrantFactory(company=acme, user=dan, flag_id="trip_management", flag=None)
    soon = timezone.now() + timedelta(days=2)
    overrides.set_override(acme, "trip_management", False, actor=alice, expires_at=soon)
    moments = ["2026-01-01T09:00", (soon + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M")]
    asked = {"company": "acme", "flag": "trip_management", "person": [dan.email, cora.email], "at": moments}
    assert cells(alices.get(PAGE, asked)) == {
        "trip_management": ["Off override", "On default", "Off override", "Off grant_missing"]
    }


def test_too_many_columns_are_cut_and_said(alices, acme, dan, cora, bob, alice):
    people = [person.email for person in (dan, cora, bob, alice)]
    moments = [f"2026-01-0{day}T09:00" for day in (1, 2, 3)]
    CompanyFactory(slug="hooli")
    page = alices.get(PAGE, {"company": ["acme", "hooli"], "flag": "api_access", "person": people, "at": moments})
    assert "These are 24 answers for each flag; the first 12 are shown." in text_of(page)
    assert len(cells(page)["api_access"]) == 12


def test_what_was_chosen_can_be_taken_away_one_by_one(alices, acme, globex):
    content = unescape(alices.get(PAGE, {"company": ["acme", "globex"], "flag": "api_access"}).content.decode())
    assert f'href="{PAGE}?company=globex&flag=api_access"' in content
    assert f'href="{PAGE}?company=acme&company=globex"' in content


def test_empty_fields_are_no_part_of_the_address(alices, acme):
    response = alices.get(PAGE, {"company": ["acme", ""], "flag": "", "person": "", "at": "", "plan": "pro"})
    assert (response.status_code, response["Location"]) == (302, f"{PAGE}?company=acme&plan=pro")


def test_with_scripts_only_the_question_and_its_answers_are_swapped_and_the_address_follows(alices, acme):
    asked = {"company": ["acme", ""], "flag": "api_access", "person": "", "open": "0:api_access"}
    response = alices.get(PAGE, asked, headers=HTMX)
    assert "<html" not in response.content.decode()
    assert response["HX-Push-Url"] == f"{PAGE}?company=acme&flag=api_access&open=0%3Aapi_access"
    assert "HX-Request" in response["Vary"]


def test_a_company_or_a_flag_can_be_called_by_its_name(alices, acme):
    found = cells(alices.get(PAGE, {"company": "ACME", "flag": "API Access"}))
    assert list(found) == ["api_access"]


@pytest.mark.parametrize(
    ("where", "needs_grant"),
    [
        ("/super-admin/companies/acme/features/?q=api_access#feature-api_access", False),
        ("/super-admin/feature-flags/api_access/#channels", False),
        ("/super-admin/feature-flags/api_access/#default", False),
        ("/super-admin/feature-flags/api_access/edit/", False),
        ("/super-admin/feature-flags/api_access/#grants", True),
    ],
)
def test_a_rule_leads_to_where_it_is_changed(alices, acme, where, needs_grant):
    Flag.objects.filter(key="api_access").update(needs_grant=needs_grant)
    page = alices.get(PAGE, {"company": "acme", "flag": "api_access", "open": "acme:api_access"})
    links = re.findall(r'href="([^"]+)"', page.content.decode())
    assert where in links
    address, _, place = where.partition("#")
    assert not place or f'id="{place}"' in alices.get(address).content.decode()


def test_the_ladder_stands_right_below_its_answer(alices, acme, globex):
    asked = {"company": ["acme", "globex"], "flag": ["api_access", "billing_enabled"], "open": "1:api_access"}
    content = alices.get(PAGE, asked).content.decode()
    rows = re.findall(r"<tr[ >].*?</tr>", content.partition("<tbody>")[2], re.DOTALL)
    kinds = ["ladder" if 'id="ladder"' in row else re.search(r"<code>(\w+)</code>", row)[1] for row in rows]
    assert sorted(kinds) == ["api_access", "billing_enabled", "ladder"]
    assert kinds[kinds.index("ladder") - 1] == "api_access"
    assert "API Access for Globex: off" in text_of(alices.get(PAGE, asked))


def test_the_place_in_a_rollout_is_told(alices, alice, acme):
    asked = {"company": "acme", "flag": "trip_management", "percentage": "0", "open": "0:trip_management"}
    place = bucket("trip_management", str(acme.pk)) + 1
    assert f"it is in from {place} %" in text_of(alices.get(PAGE, asked))
    del asked["open"]
    below, at = (cells(alices.get(PAGE, {**asked, "percentage": share})) for share in (place - 1, place))
    assert below["trip_management"][0].startswith("Off rollout")
    assert at["trip_management"][0].startswith("On ")


def test_a_kill_can_be_supposed_and_taken_away(alices, alice, acme):
    asked = {"company": "acme", "flag": "broker_management"}
    assert cells(alices.get(PAGE, {**asked, "killed": "on"}))["broker_management"] == ["Killed killed now On (default)"]
    changes.kill("broker_management", actor=alice, reason="fire")
    assert cells(alices.get(PAGE, {**asked, "killed": "off"}))["broker_management"][0].startswith("On default")


@pytest.mark.parametrize(
    ("typed", "value"),
    [({"company": "acm"}, "acme"), ({"flag": "billing"}, "billing_enabled"), ({"person": "dan"}, "dan@acme.example")],
)
def test_names_are_completed(alices, acme, dan, typed, value):
    assert f'value="{value}"' in alices.get(f"{PAGE}options/", typed).content.decode()
    assert "<option" not in alices.get(f"{PAGE}options/", dict.fromkeys(typed, "zzz")).content.decode()


class TestReleaseControl:
    def test_every_flag_shows_its_channels_and_its_release(self, alices, alice, acme):
        releases.start("trip_management", actor=alice)
        page = text_of(alices.get(CONTROL))
        assert "Trip Management" in page
        assert "can go to Pilot, once: Works in the internal company" in page
        assert "Name or slug" in alices.get(CONTROL).content.decode()

    def test_gates_are_tried_as_a_company_and_as_a_person(self, alices, alice, acme, dan):
        changes.set_default("api_access", True, actor=alice)
        changes.edit_flag("api_access", actor=alice, needs_grant=True)
        tried = cells(alices.get(CONTROL, {"company": "acme"}))
        assert tried["broker_management"][-1] == "Lets in default"
        assert tried["multi_workspace_enabled"][-1] == "403 default MULTI_WORKSPACE_DISABLED"
        assert tried["inspector"][-1] == "403 channel without naming it"
        tried = cells(alices.get(CONTROL, {"company": "acme", "person": dan.email}))
        assert tried["api_access"][-1] == "403 grant_missing API_ACCESS_DISABLED"

    def test_what_it_says_is_what_the_gate_does(self, alices, acme, bob, as_member):
        tried = cells(alices.get(CONTROL, {"company": "acme", "person": bob.email}))
        assert as_member(bob, "/api/integrations/ai") == "AI_DISABLED"
        assert tried["ai_enabled"][-1].endswith("AI_DISABLED")

    def test_flags_can_be_looked_for(self, alices):
        assert set(cells(alices.get(CONTROL, {"q": "billing_en"}))) == {
            "billing_enabled",
            "billing_enforcement",
        }
        assert "No flag matches" in text_of(alices.get(CONTROL, {"q": "zzz"}))

    def test_queries_do_not_grow_with_flags(self, alices, acme, globex, django_assert_max_num_queries):
        FlagFactory.create_batch(60)
        with django_assert_max_num_queries(16):
            alices.get(CONTROL, {"company": ["acme", "globex"]})

    def test_it_is_for_super_admins(self, sign_in, bob, alices):
        assert sign_in(bob).get(CONTROL).status_code == 403
        assert alices.post(CONTROL).status_code == 405


@pytest.fixture
def as_member(sign_in):
    """Return a function that gives the code with which somebody is refused an address."""
    return lambda user, path: sign_in(user).get(path).json()["code"]


def test_looking_writes_nothing_and_is_no_use(alices, alice, acme, globex, settings):
    settings.FLAGS_USAGE_SECONDS = 5
    overrides.set_override(acme, "api_access", True, actor=alice)
    usage.forget()
    before = (Change.objects.count(), list(Override.objects.values()))
    alices.get(PAGE, {"company": ["acme", "globex"], "override": "on", "open": "acme:api_access"})
    alices.get(CONTROL, {"company": "acme"})
    alices.get(f"{PAGE}options/", {"company": "ac"})
    usage.flush()
    assert (Change.objects.count(), list(Override.objects.values())) == before
    assert not Usage.objects.filter(company__in=[acme, globex]).exists()


@pytest.mark.parametrize("flags", [[], ["api_access"]])
def test_queries_do_not_grow_with_flags(alices, acme, globex, flags, django_assert_max_num_queries):
    with django_assert_max_num_queries(14):
        alices.get(PAGE, {"company": ["acme", "globex"], "flag": flags})


def test_others_are_refused_and_it_falls_with_its_own_flag(sign_in, bob, client, alices, alice):
    assert sign_in(bob).get(PAGE).status_code == 403
    assert client.get(PAGE).status_code == 302
    assert alices.post(PAGE).status_code == 405
    changes.kill("inspector", actor=alice, reason="closed for repairs")
    assert alices.get(PAGE).status_code == 403
