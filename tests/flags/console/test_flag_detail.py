"""A flag's page: what it says, from whom, and at what cost."""

import re

import pytest

from flags import changes, releases
from flags.console.flags import OVERRIDES_SHOWN
from flags.models import Flag
from tests.factories import CompanyFactory, MembershipFactory, OverrideFactory
from tests.flags.console.browsing import HTMX, text_of

pytestmark = pytest.mark.django_db
PAGE = "/super-admin/feature-flags/api_access/"
WHOLE = PAGE + "?show=all"
PARTS = {
    "companies/": "company-table",
    "overrides/": "override-table",
    "grants/": "grant-table",
    "history/": "flag-history",
}


def test_it_says_what_the_flag_is(alices, alice, acme, globex):
    changes.edit_flag(
        "api_access", actor=alice, owner="Platform", minimum_plan="pro", metadata={"ticket": "OPS-12"}, is_internal=True
    )
    changes.edit_flag("api_access", actor=alice, requires=["driver_chat"])
    changes.edit_flag("white_label", actor=alice, requires=["api_access"])
    changes.set_channel("api_access", "pilot", True, percentage=30, actor=alice)
    page = text_of(alices.get(WHOLE))
    for words in (
        "API Access",
        "REST API for external integrations",
        "Internal",
        "Platform",
        "Pro and above",
        "Requires Driver Chat",
        "Required by White Label",
        "ticket OPS-12",
        "Pilot 1 company · who is next in Pilot On for 30 %",
        "General 1 company Follows the default",
        "From the catalogue.",
        "No company differs",
        "Alice turned API Access on for 30 % of the pilot channel",
    ):
        assert words in page


def test_it_says_where_its_default_comes_from(alices, alice):
    changes.set_default("api_access", True, actor=alice)
    page = text_of(alices.get(PAGE))
    assert "Set here, over the catalogue, which says off." in page
    assert "Go back to inherited" in page
    Flag.objects.filter(key="api_access").update(
        is_default_set=False, inherited_enabled=True, inherited_from="environment"
    )
    page = text_of(alices.get(PAGE))
    assert "From the environment variable API_ACCESS ." in page
    assert "Go back to inherited" not in page


def test_overrides_come_in_pages_that_know_each_other(alices):
    flag = Flag.objects.get(key="api_access")
    for number in range(45):
        OverrideFactory(flag=flag, company=CompanyFactory(name=f"Company {number:02}", slug=f"c-{number:02}"))
    first = alices.get(WHOLE)
    assert "Company 00" in text_of(first)
    assert f"Company {OVERRIDES_SHOWN}" not in text_of(first)
    second = alices.get(PAGE, {"after": first.context["overrides"].next})
    assert f"Company {OVERRIDES_SHOWN}" in text_of(second)
    assert f"Company {OVERRIDES_SHOWN - 1}" not in text_of(second)
    back = alices.get(PAGE, {"before": second.context["overrides"].previous})
    assert "Company 00" in text_of(back)
    piece = alices.get(PAGE + "overrides/", {"after": first.context["overrides"].next}, headers=HTMX)
    assert piece.content.decode().strip().startswith('<div class="stack-tight" id="override-table">')
    assert f"Company {OVERRIDES_SHOWN}" in text_of(piece)


def test_overrides_are_found_by_their_companies_names(alices, alice, acme, globex):
    for company in (acme, globex):
        changes.set_override(company, "api_access", True, actor=alice)
    page = text_of(alices.get(PAGE + "overrides/", {"q": "GLO"}, headers=HTMX))
    assert "Globex" in page
    assert "Acme" not in page
    assert "No company with an override has “zzz” in its name" in text_of(alices.get(PAGE, {"q": "zzz"}))


def test_without_scripts_the_list_of_overrides_is_the_page(alices):
    response = alices.get(PAGE + "overrides/", {"q": "glo"})
    assert (response.status_code, response["Location"]) == (302, PAGE + "?q=glo#overrides")


def test_grants_are_listed_where_people_need_them(alices, alice, acme, dan):
    assert "Grants" not in text_of(alices.get(WHOLE))
    changes.edit_flag("api_access", actor=alice, needs_grant=True)
    assert "Nobody has been granted it yet" in text_of(alices.get(WHOLE))
    changes.grant(acme, dan, "api_access", enabled=False, actor=alice, reason="left the project")
    page = text_of(alices.get(WHOLE))
    assert "Dan dan@acme.example Acme Denied left the project No end" in page


def test_what_people_typed_is_text(alices, alice, acme):
    nasty = "<script>alert(1)</script>"
    changes.edit_flag(
        "api_access", actor=alice, name=nasty, description=nasty, owner=nasty, metadata={nasty: nasty}, reason=nasty
    )
    changes.set_override(acme, "api_access", True, actor=alice, reason=nasty)
    for path in (WHOLE, "/super-admin/feature-flags/", "/super-admin/changes/", PAGE + "overrides/acme/"):
        page = alices.get(path).content.decode()
        assert nasty not in page
        assert "&lt;script&gt;" in page


def test_its_parts_are_fetched_and_come_in_the_place_left_for_them(alices, alice):
    changes.edit_flag("api_access", actor=alice, needs_grant=True)
    page = alices.get(PAGE).content.decode()
    for path, place in PARTS.items():
        [left] = re.findall(rf'<div class="later" id="{place}" hx-get="([^"]+)" hx-trigger="load"', page)
        assert left == PAGE + path
        answer = alices.get(left, headers=HTMX | {"HX-Current-URL": f"http://testserver{PAGE}", "HX-Trigger": place})
        assert not {"HX-Push-Url", "HX-Trigger"} & set(answer.headers)
        part = answer.content.decode()
        assert re.match(rf'\s*<div class="[^"]+" id="{place}"', part)
        assert part.strip() in alices.get(WHOLE).content.decode()
    assert 'class="later"' not in alices.get(WHOLE).content.decode()


def test_without_scripts_there_is_a_way_to_each_part(alices, alice):
    changes.edit_flag("api_access", actor=alice, needs_grant=True)
    page = alices.get(PAGE).content.decode()
    for part in ("companies", "overrides", "grants", "history"):
        assert f'<noscript><p><a href="{WHOLE}#{part}">Show the {part}</a></p></noscript>' in page
        assert re.search(rf'id="{part}"', page)
    assert alices.get(PAGE + "companies/").url == WHOLE + "#companies"
    assert alices.get(PAGE + "overrides/").url == WHOLE + "#overrides"
    assert alices.get(PAGE + "grants/").url == WHOLE + "#grants"
    assert alices.get(PAGE + "history/").url == "/super-admin/changes/?flag=api_access"


def test_an_address_about_one_part_has_it_in_the_page(alices):
    page = alices.get(PAGE, {"channel": "pilot"}).content.decode()
    assert 'aria-label="Search companies of Pilot"' not in page
    assert "Search companies of Pilot" in page
    assert page.count('class="later"') == 2


@pytest.mark.parametrize("number", [2, 25])
def test_queries_do_not_grow_with_what_is_shown(alices, alice, django_assert_max_num_queries, number):
    changes.edit_flag("api_access", actor=alice, needs_grant=True)
    flag = Flag.objects.get(key="api_access")
    for company in CompanyFactory.create_batch(number):
        OverrideFactory(flag=flag, company=company)
        changes.grant(company, MembershipFactory(company=company).user, "api_access", actor=alice)
        changes.create_flag(f"flag_{company.slug.replace('-', '_')}", actor=alice, requires=["api_access"])
    with django_assert_max_num_queries(5):
        alices.get(PAGE)
    for path in PARTS:
        with django_assert_max_num_queries(6):
            alices.get(PAGE + path, headers=HTMX)


@pytest.mark.parametrize("number", [1, 4])
def test_queries_do_not_grow_with_a_release(alices, alice, django_assert_max_num_queries, number):
    changes.edit_flag("api_access", actor=alice, requires=["driver_chat", "white_label"])
    for _ in range(number):
        releases.start("api_access", actor=alice)
        releases.roll_back("api_access", None, actor=alice, reason="again")
    releases.start("api_access", actor=alice)
    with django_assert_max_num_queries(8):
        page = alices.get(PAGE)
    assert "Gates before Pilot" in text_of(page)
    assert f"Steps {2 * number + 1}" in text_of(page)


def test_others_may_not(sign_in, bob, client):
    assert sign_in(bob).get(PAGE).status_code == 403
    assert client.get(PAGE)["Location"] == "/login/?next=%2Fsuper-admin%2Ffeature-flags%2Fapi_access%2F"


def test_an_unknown_flag_is_not_found(alices):
    assert alices.get("/super-admin/feature-flags/parrot/").status_code == 404


@pytest.mark.parametrize(
    ("part", "asked", "address", "said"),
    [
        ("overrides/", {"q": "acme"}, "channel=pilot&q=acme", "1 company with an override"),
        ("grants/", {"person": "bob"}, "channel=pilot&q=old&person=bob", "0 grants"),
        ("companies/", {"channel": "general", "company": "zzz"}, "q=old&channel=general&company=zzz", "0 companies"),
    ],
)
def test_the_address_follows_what_is_shown_in_a_part_and_it_is_read_out(
    alices, alice, acme, part, asked, address, said
):
    page = "/super-admin/feature-flags/api_access/"
    changes.set_override(acme, "api_access", True, actor=alice)
    on_page = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{page}?channel=pilot&q=old&after=x"}
    response = alices.get(page + part, asked, headers=on_page)
    assert response["HX-Push-Url"].replace("&after=x", "") == f"{page}?{address}"
    assert f'"{said}"' in response["HX-Trigger"]
    elsewhere = alices.get(page + part, asked, headers=on_page | {"HX-Current-URL": "http://testserver/super-admin/"})
    assert "HX-Push-Url" not in elsewhere
