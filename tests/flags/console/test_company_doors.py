"""Who may open the pages of companies, people and tokens, by which method; and that nothing of them is kept."""

from uuid import uuid4

import pytest
from django.urls import reverse

from flags.models import Change
from tests.factories import ApiTokenFactory
from tests.flags.console.browsing import HTMX

pytestmark = pytest.mark.django_db

SHOWN = {
    "company_list": [],
    "company_new": [],
    "company_detail": ["acme"],
    "company_edit": ["acme"],
    "company_activate": ["acme"],
    "company_deactivate": ["acme"],
    "company_changes": ["acme"],
    "company_features": ["acme"],
    "company_override": ["acme", "api_access"],
    "company_override_reset": ["acme", "api_access"],
    "company_choice_remove": ["acme", "api_access"],
    "company_members": ["acme"],
    "view_as": ["acme"],
    "member_role": ["acme", "dan"],
    "member_remove": ["acme", "dan"],
    "member_grants": ["acme", "dan"],
    "member_revoke": ["acme", "dan", "api_access"],
    "company_grant": ["acme", "api_access"],
    "token_list": [],
    "token_new": [],
    "token_revoke": ["token"],
}
ONLY_POSTED = {"member_invite": ["acme", "dan"]}
EVERY = SHOWN | ONLY_POSTED | {"company_override_pause": ["acme", "api_access"]}


@pytest.fixture
def address(acme, dan):
    """Return a function that gives the address of a page."""
    stand_ins = {"dan": dan.pk, "token": ApiTokenFactory().pk}

    def at(name: str) -> str:
        return reverse(f"console:{name}", args=[stand_ins.get(word, word) for word in EVERY[name]])

    return at


@pytest.mark.parametrize("name", EVERY)
def test_only_super_admins_come_in(name, address, sign_in, bob, client):
    page = address(name)
    for method in ("get", "post"):
        assert getattr(sign_in(bob), method)(page).status_code == 403
        assert getattr(client, method)(page)["Location"].startswith("/login/")
        assert getattr(client, method)(page, headers=HTMX).status_code == 401
    assert not Change.objects.exists()


@pytest.mark.parametrize("name", SHOWN)
def test_super_admins_see_it_and_nobody_keeps_a_copy(name, address, sign_in, alice):
    response = sign_in(alice).get(address(name))
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert "HX-Request" in response["Vary"]


@pytest.mark.parametrize("name", SHOWN)
def test_looking_changes_nothing(name, address, sign_in, alice):
    sign_in(alice).get(address(name))
    assert not Change.objects.exists()


@pytest.mark.parametrize("name", ONLY_POSTED)
def test_what_changes_something_at_once_is_not_fetched(name, address, sign_in, alice):
    assert sign_in(alice).get(address(name)).status_code == 405


@pytest.mark.parametrize("name", [name for name, words in EVERY.items() if "acme" in words])
def test_an_unknown_company_is_not_found(name, sign_in, alice, dan):
    words = [{"acme": "no-such", "dan": dan.pk}.get(word, word) for word in EVERY[name]]
    page = reverse(f"console:{name}", args=words)
    client = sign_in(alice)
    assert client.post(page, {"paused": "true"}).status_code == 404 or client.get(page).status_code == 404


@pytest.mark.parametrize("name", [name for name, words in EVERY.items() if "dan" in words])
def test_somebody_of_another_company_is_not_found(name, sign_in, alice, acme, carol):
    words = [{"dan": carol.pk}.get(word, word) for word in EVERY[name]]
    assert sign_in(alice).post(reverse(f"console:{name}", args=words)).status_code == 404


def test_an_unknown_token_is_not_found(sign_in, alice):
    assert sign_in(alice).post(reverse("console:token_revoke", args=[uuid4()])).status_code == 404


@pytest.mark.parametrize("name", EVERY)
def test_a_forged_form_is_refused(name, address, sign_in, alice):
    browser = sign_in(alice, enforce_csrf_checks=True)
    assert browser.post(address(name), {"enabled": "true", "email": "eve@evil.example"}).status_code in (403, 405)
    assert not Change.objects.exists()
