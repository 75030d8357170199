"""Who may open which page."""

import pytest
from django.http import HttpResponse
from django.urls import include, path

from tenants import jwt
from tenants.access import company_reader_required, person_required, super_admin_required, with_room
from tests.factories import ApiTokenFactory, CompanyFactory

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


def page(request, word=""):
    return HttpResponse(f"open {word}")


urlpatterns = [
    path("", include("tenants.urls")),
    path("super/<word>/", super_admin_required(page)),
    path("company/", company_reader_required(page)),
    path("person/", person_required(page)),
]


@pytest.mark.parametrize(
    ("person", "super_page", "company_page", "person_page"),
    [
        ("alice", 200, 403, 200),
        ("bob", 403, 200, 200),
        ("cora", 403, 200, 200),
        ("dan", 403, 403, 200),
        ("carol", 403, 200, 200),
    ],
)
def test_each_role_opens_its_own_pages(request, client, person, super_page, company_page, person_page):
    client.force_login(request.getfixturevalue(person))
    statuses = [client.get(address).status_code for address in ("/super/x/", "/company/", "/person/")]
    assert statuses == [super_page, company_page, person_page]


def test_viewing_as_a_company_changes_which_pages_open(client, alice, acme):
    client.force_login(alice)
    session = client.session
    session["viewing_as"] = str(acme.id)
    session.save()
    assert client.get("/super/x/").status_code == 403
    assert client.get("/company/").status_code == 200


def test_viewing_as_an_inactive_company_opens_nothing(client, alice):
    client.force_login(alice)
    session = client.session
    session["viewing_as"] = str(CompanyFactory(is_active=False).id)
    session.save()
    assert client.get("/company/").status_code == 403


def test_an_admin_of_an_inactive_company_reads_nothing(client, bob, acme):
    acme.is_active = False
    acme.save()
    client.force_login(bob)
    assert client.get("/company/").status_code == 403


@pytest.mark.parametrize("address", ["/super/x/", "/company/", "/person/"])
def test_strangers_sign_in_and_come_back(client, address):
    response = client.get(f"{address}?q=1")
    assert response.status_code == 302
    assert response["Location"] == f"/login/?next={address.replace('/', '%2F')}%3Fq%3D1"


def test_after_a_post_strangers_do_not_come_back_to_it(client):
    assert client.post("/company/")["Location"] == "/login/"


def test_after_a_post_strangers_come_back_to_the_page_its_form_stood_on(client):
    response = client.post("/company/", HTTP_REFERER="http://testserver/features/?q=1")
    assert response["Location"] == "/login/?next=%2Ffeatures%2F%3Fq%3D1"
    assert client.post("/company/", HTTP_REFERER="http://elsewhere.example/features/")["Location"] == "/login/"


def test_an_htmx_request_of_a_stranger_loads_the_login_as_a_whole_page(client):
    response = client.get(
        "/company/", HTTP_HX_REQUEST="true", HTTP_HX_CURRENT_URL="http://testserver/features/?q=billing"
    )
    assert response.status_code == 401
    assert response["HX-Redirect"] == "/login/?next=%2Ffeatures%2F%3Fq%3Dbilling"
    assert response.content == b""


@pytest.mark.parametrize("current", ["", "http://evil.example/features/"])
def test_an_htmx_request_from_an_unknown_page_just_signs_in(client, current):
    response = client.get("/company/", HTTP_HX_REQUEST="true", HTTP_HX_CURRENT_URL=current)
    assert response["HX-Redirect"] == "/login/"


def test_tokens_have_no_business_on_pages(client, acme):
    headers = {"HTTP_AUTHORIZATION": f"Bearer {ApiTokenFactory().plain}"}
    for address in ("/super/x/", "/company/", "/person/"):
        assert client.get(address, **headers).status_code == 302


def test_a_bad_credential_is_a_stranger(client, alice):
    client.force_login(alice)
    assert client.get("/super/x/", HTTP_AUTHORIZATION="Bearer nonsense").status_code == 302


def test_a_person_may_come_with_an_access_token(client, alice):
    access = jwt.issue(alice, None)["access"]
    assert client.get("/super/x/", HTTP_AUTHORIZATION=f"Bearer {access}").content == b"open x"


def test_a_page_has_room_for_all_its_calls():
    assert with_room(lambda: "what it says") == "what it says"
    assert with_room.__code__.co_stacksize == 10_000
