"""The front door, as a browser sees it."""

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db

HTMX = {"HTTP_HX_REQUEST": "true"}


def sign_in(client: Client, email: str, password: str = PASSWORD, **kwargs):
    data = {"username": email, "password": password, "next": kwargs.pop("next", "")}
    return client.post("/login/", data, **kwargs)


def test_the_names_of_the_front_door():
    assert [reverse(name) for name in ("home", "login", "logout")] == ["/", "/login/", "/logout/"]


def test_the_form_is_there_for_strangers_and_keeps_no_copy(client):
    response = client.get("/login/")
    assert response.status_code == 200
    assert 'name="password"' in response.content.decode()
    assert "no-store" in response["Cache-Control"]


def test_signing_in_leads_home(client, bob):
    response = sign_in(client, bob.email)
    assert (response.status_code, response["Location"]) == (302, "/")
    assert client.get("/").wsgi_request.principal.user == bob


def test_signing_in_leads_to_the_page_one_wanted(client, bob):
    page = client.get("/login/?next=/features/%3Fq%3Dbilling").content.decode()
    assert 'value="/features/?q=billing"' in page
    assert sign_in(client, bob.email, next="/features/?q=billing")["Location"] == "/features/?q=billing"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "//evil.example",
        "///evil.example",
        "https://evil.example/",
        "http://testserver.evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "\tjavascript:alert(1)",
        "http:///evil.example",
        "data:text/html,hello",
    ],
)
def test_signing_in_never_leads_elsewhere(client, bob, elsewhere):
    assert "evil" not in client.get("/login/", {"next": elsewhere}).content.decode()
    assert sign_in(client, bob.email, next=elsewhere)["Location"] == "/"


def test_a_wrong_password_gives_the_form_back_with_the_address_and_without_the_password(client, bob):
    response = sign_in(client, bob.email, "hunter2-wrong")
    page = response.content.decode()
    assert response.status_code == 422
    assert "This email address and password do not belong together" in page
    assert f'value="{bob.email}"' in page
    assert "hunter2" not in page


def test_an_empty_form_asks_for_both(client):
    response = client.post("/login/", {})
    assert response.status_code == 422
    assert "Enter both" in response.content.decode()


def test_too_many_failures_say_how_long_to_wait(client, bob):
    for _ in range(5):
        assert sign_in(client, bob.email, "wrong").status_code == 422
    response = sign_in(client, bob.email)
    assert (response.status_code, response["Retry-After"]) == (429, "1")
    assert "Wait 1 second" in response.content.decode()


def test_user_text_is_shown_as_text(client):
    page = sign_in(client, '"><script>alert(1)</script>@example.com', "wrong").content.decode()
    assert "<script>alert" not in page


def test_somebody_signed_in_is_sent_on(client, bob):
    sign_in(client, bob.email)
    assert client.get("/login/")["Location"] == "/"
    assert client.get("/login/?next=/features/")["Location"] == "/features/"


def test_signing_in_gives_a_new_session_id(client, bob):
    client.get("/login/")
    session = client.session
    session["planted"] = True
    session.save()
    planted = session.session_key
    sign_in(client, bob.email)
    assert client.session.session_key != planted
    assert not Session.objects.filter(pk=planted).exists()


def test_signing_in_as_somebody_else_leaves_nothing_of_the_first(client, alice, bob):
    sign_in(client, alice.email)
    session = client.session
    session["viewing_as"] = "something"
    session.save()
    sign_in(client, bob.email)
    assert client.get("/login/").wsgi_request.principal.user == bob
    assert "viewing_as" not in client.session


def test_htmx_is_told_to_load_the_whole_page(client, bob):
    response = sign_in(client, bob.email, next="/features/", **HTMX)
    assert (response.status_code, response["HX-Redirect"]) == (200, "/features/")


def test_signing_in_needs_a_csrf_token(bob):
    assert sign_in(Client(enforce_csrf_checks=True), bob.email).status_code == 403


def test_signing_out_ends_the_session_on_the_server(client, bob):
    sign_in(client, bob.email)
    key = client.session.session_key
    response = client.post("/logout/")
    assert (response.status_code, response["Location"]) == (302, "/login/")
    assert not Session.objects.filter(pk=key).exists()
    client.cookies["headgate_session"] = key
    assert client.get("/login/").wsgi_request.principal.is_anonymous


def test_signing_out_by_htmx_loads_the_whole_page(client, bob):
    sign_in(client, bob.email)
    assert client.post("/logout/", **HTMX)["HX-Redirect"] == "/login/"


@pytest.mark.parametrize("method", ["get", "head", "put", "delete"])
def test_only_a_post_signs_out(client, bob, method):
    sign_in(client, bob.email)
    assert getattr(client, method)("/logout/").status_code == 405
    assert client.get("/login/").wsgi_request.principal.user == bob


def test_a_new_password_ends_other_sessions(client, bob):
    sign_in(client, bob.email)
    bob.set_password("another one entirely")
    bob.save()
    assert client.get("/login/").wsgi_request.principal.is_anonymous


@pytest.mark.django_db(transaction=True)
def test_failures_are_counted_for_somebody_who_is_signed_in_too(client, bob, carol):
    """Their request is refused; were it one transaction, the count would be undone and guessing be free."""
    sign_in(client, bob.email)
    statuses = [sign_in(client, carol.email, "wrong").status_code for _ in range(6)]
    assert statuses == [422, 422, 422, 422, 422, 429]


# Home


def test_a_stranger_is_sent_to_sign_in(client):
    assert client.get("/")["Location"] == "/login/?next=%2F"


@pytest.mark.parametrize(
    ("person", "page"),
    [
        ("alice", "/super-admin/"),
        ("bob", "/features/"),
        ("cora", "/features/"),
        ("dan", "/integrations/"),
    ],
)
def test_everybody_is_sent_to_their_page(request, client, person, page, settings):
    settings.ROOT_URLCONF = "tests.tenants.urls_with_all_doors"
    client.force_login(request.getfixturevalue(person))
    assert client.get("/")["Location"] == page


def test_a_super_admin_who_views_as_a_company_is_sent_to_its_page(client, alice, acme, settings):
    settings.ROOT_URLCONF = "tests.tenants.urls_with_all_doors"
    client.force_login(alice)
    session = client.session
    session["viewing_as"] = str(acme.id)
    session.save()
    assert client.get("/")["Location"] == "/features/"


def test_a_member_without_a_page_is_told_whom_to_ask(client, dan, settings):
    settings.ROOT_URLCONF = "tests.tenants.urls_with_front_door"
    client.force_login(dan)
    response = client.get("/")
    assert response.status_code == 200
    assert "ask an admin of Acme" in response.content.decode()


def test_somebody_without_a_company_is_told_whom_to_ask(client):
    user = UserFactory()
    client.force_login(user)
    page = client.get("/").content.decode()
    assert "You belong to no company yet" in page
    assert user.email in page


def test_home_is_for_reading(client, bob):
    client.force_login(bob)
    assert client.post("/").status_code == 405
