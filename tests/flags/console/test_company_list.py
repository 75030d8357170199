"""The list of companies: searched, filtered, paged; and as quick with many as with few."""

import re

import pytest

from flags.console.companies import COMPANIES_PER_PAGE
from tenants.models import Company
from tests.factories import CompanyFactory, MembershipFactory, OverrideFactory
from tests.flags.console.browsing import HTMX, text_of

pytestmark = pytest.mark.django_db
LIST = "/super-admin/companies/"


@pytest.fixture
def alices(sign_in, alice):
    return sign_in(alice)


def named(response) -> list[str]:
    return re.findall(r'<th scope="row"><span class="cluster"><a href="[^"]+">([^<]+)</a>', response.content.decode())


def test_a_row_says_where_a_company_stands_and_whether_it_differs(alices, acme, bob, dan):
    OverrideFactory(company=acme)
    OverrideFactory(company=acme, enabled=False)
    page = text_of(alices.get(LIST))
    assert "Acme acme General Pro 2 1 on · 1 off" in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["Acme", "Default Tenant", "Globex"]),
        ({"q": "GLO"}, ["Globex"]),
        ({"q": "default-t"}, ["Default Tenant"]),
        ({"channel": "pilot"}, ["Globex"]),
        ({"plan": "pro"}, ["Acme"]),
        ({"active": "no"}, ["Default Tenant"]),
        ({"active": "nonsense"}, ["Acme", "Default Tenant", "Globex"]),
        ({"channel": "pilot", "plan": "pro"}, []),
        ({"q": "%"}, []),
        ({"q": "channel:pilot"}, ["Globex"]),
        ({"q": "-channel:pilot is:active"}, ["Acme"]),
    ],
)
def test_the_address_filters(alices, acme, globex, default_tenant, query, found):
    Company.objects.filter(pk=default_tenant.pk).update(is_active=False)
    response = alices.get(LIST, query)
    assert named(response) == found
    for name, value in query.items():
        if name == "q":
            assert f'value="{value}"' in response.content.decode()
        elif value != "nonsense":
            written = {"no": "is:inactive"}.get(value, f"{name}:{value}")
            assert f'value="{written}"' in response.content.decode() or len(query) > 1


def test_an_inactive_company_says_so(alices, acme):
    Company.objects.filter(pk=acme.pk).update(is_active=False)
    assert "Acme Inactive" in text_of(alices.get(LIST))


def test_nothing_found_offers_a_way_back(alices, acme):
    page = alices.get(LIST, {"q": "parrot"})
    assert "No company matches" in text_of(page)
    assert f'href="{LIST}"' in page.content.decode()


def test_no_company_at_all_offers_to_make_one(alices):
    page = alices.get(LIST)
    assert "No companies yet" in text_of(page)
    assert f'href="{LIST}new/"' in page.content.decode()


def test_pages_follow_each_other_without_gaps_and_keep_the_filter(alices):
    for number in range(120):
        CompanyFactory(slug=f"c-{number:03}", name=f"Company {number:03}")
    CompanyFactory(slug="other", name="Other")
    seen, address = [], f"{LIST}?q=company"
    while address:
        response = alices.get(address)
        seen += named(response)
        following = re.search(r'rel="next" href="([^"]+)"', response.content.decode())
        address = following[1].replace("&amp;", "&") if following else ""
    assert seen == [f"Company {number:03}" for number in range(120)]
    back = re.search(r'rel="prev" href="([^"]+)"', response.content.decode())[1].replace("&amp;", "&")
    last = len(named(response))
    assert named(alices.get(back)) == seen[-last - COMPANIES_PER_PAGE : -last]


def test_htmx_gets_the_list_alone_and_is_told_how_many(alices, acme, globex):
    response = alices.get(LIST, {"q": "acme"}, headers=HTMX)
    markup = response.content.decode()
    assert markup.lstrip().startswith('<div id="companies"')
    assert "<html" not in markup
    assert "1 company" in response["HX-Trigger"]


def test_names_are_escaped(alices):
    CompanyFactory(slug="odd", name="<script>alert(1)</script>")
    assert "<script>alert" not in alices.get(LIST).content.decode()


@pytest.mark.parametrize("number", [2, 60])
def test_the_queries_do_not_grow(alices, django_assert_max_num_queries, number):
    for company in CompanyFactory.create_batch(number):
        OverrideFactory(company=company)
        MembershipFactory(company=company)
    with django_assert_max_num_queries(9):
        alices.get(LIST)


def test_a_search_reads_the_names_once(alices, acme, django_assert_max_num_queries):
    CompanyFactory.create_batch(60, name="Linden Cabs")
    with django_assert_max_num_queries(9) as ran:
        page = text_of(alices.get(LIST, {"q": "linden"}))
    assert sum("LIKE" in query["sql"] for query in ran.captured_queries) == 1
    assert "60 companies" in page
