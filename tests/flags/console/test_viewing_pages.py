"""Looking through a company's eyes in the browser: no more rights than they, a banner, and one click back."""

import pytest

from flags.models import Change, OptIn
from tenants.models import Company
from tenants.principal import VIEWING_AS
from tests.flags.console.browsing import HTMX, text_of

pytestmark = pytest.mark.django_db
ACME = "/super-admin/companies/acme/"
START, STOP = f"{ACME}view-as/", "/super-admin/viewing-as/stop/"


@pytest.fixture
def alices(sign_in, alice):
    return sign_in(alice)


def test_one_sees_what_the_company_sees(alices, acme):
    response = alices.post(START)
    assert (response.status_code, response["Location"]) == (302, "/")
    assert alices.session[VIEWING_AS] == str(acme.pk)
    principal = alices.get("/nowhere/").wsgi_request.principal
    assert (principal.viewing_as, principal.company, principal.is_super_admin) == (acme, acme, False)
    assert Change.objects.values_list("verb", "via", "after").get() == ("view_as", "console", {"viewing": True})


def test_meanwhile_the_console_is_shut_and_says_how_to_open_it(alices, acme):
    alices.post(START)
    for page in ("/super-admin/companies/", ACME, "/super-admin/feature-flags/"):
        response = alices.get(page)
        assert response.status_code == 403
        assert "You see what Acme sees. Stop viewing" in text_of(response)
        assert "Not while you view as Acme" in text_of(response)
    assert alices.post(START).status_code == 403


def test_features_are_the_companys_without_the_bypass(alices, acme):
    assert alices.get(ACME).wsgi_request.features["api_access"]
    alices.post(START)
    features = alices.get("/nowhere/").wsgi_request.features
    assert not features["api_access"]
    assert features["driver_management"]


def test_one_click_ends_it(alices, acme):
    alices.post(START)
    response = alices.post(STOP)
    assert (response.status_code, response["Location"]) == (302, ACME)
    assert alices.get(ACME).status_code == 200
    assert VIEWING_AS not in alices.session
    assert list(Change.objects.order_by("at", "id").values_list("after", flat=True)) == [
        {"viewing": True},
        {"viewing": False},
    ]
    history = text_of(alices.get(f"{ACME}changes/"))
    assert "Alice began viewing as Acme" in history
    assert "Alice stopped viewing as Acme" in history


def test_stopping_without_having_begun_leads_home(alices, acme):
    assert alices.post(STOP)["Location"] == "/"
    assert not Change.objects.exists()


def test_an_inactive_company_has_no_eyes(alices, acme):
    Company.objects.filter(pk=acme.pk).update(is_active=False)
    response = alices.post(START, follow=True)
    assert "Acme is not active, so its people see nothing. Activate it first." in text_of(response)
    assert VIEWING_AS not in alices.session


def test_it_ends_even_when_the_company_was_deactivated_meanwhile(alices, acme):
    alices.post(START)
    Company.objects.filter(pk=acme.pk).update(is_active=False)
    assert alices.post(STOP)["Location"] == ACME
    assert alices.get(ACME).status_code == 200


def test_signing_out_ends_it(alices, acme, alice):
    alices.post(START)
    alices.logout()
    alices.force_login(alice)
    assert alices.get(ACME).status_code == 200


def test_it_is_for_super_admins_and_only_posted(sign_in, bob, client, alices, acme):
    assert sign_in(bob).post(STOP).status_code == 403
    assert client.post(STOP)["Location"].startswith("/login/")
    assert client.post(STOP, headers=HTMX).status_code == 401
    assert alices.get(STOP).status_code == 405
    assert "no-store" in alices.post(STOP)["Cache-Control"]


WRITES = {
    "its own choice": ("patch", "/api/org-settings", {"ai_enabled": True}),
    "its settings": ("patch", "/api/org-settings", {"default_currency": "EUR"}),
    "an override by API": ("put", "/api/admin/tenants/acme/overrides/api_access", {"enabled": True}),
    "the call of seed 003": ("post", "/api/admin/feature-flags", {"key": "api_access", "enabled": True}),
    "a workspace": ("put", "/api/workspaces/active", {"id": "acme"}),
    "a switch of the console": ("post", "/super-admin/feature-flags/api_access/default/", {"enabled": "true"}),
    "other eyes": ("post", START, {}),
}


@pytest.mark.parametrize("write", WRITES)
def test_meanwhile_nothing_can_be_written_by_any_door(alices, acme, write):
    method, path, body = WRITES[write]
    alices.post(START)
    before = Change.objects.count()
    as_json = {} if path.startswith("/super-admin") else {"content_type": "application/json"}
    assert getattr(alices, method)(path, body, **as_json).status_code == 403
    assert Change.objects.count() == before
    assert not OptIn.objects.exists()
    assert not alices.get("/api/features/ai_enabled").json()["enabled"]


def test_afterwards_one_is_oneself_again(alices, acme):
    alices.post(START)
    alices.post(STOP)
    assert alices.post("/super-admin/feature-flags/api_access/default/", {"enabled": "true"}).status_code == 302
    assert alices.get("/api/features/api_access").json()["enabled"]


def test_other_requests_of_the_same_process_are_not_held_up(alices, acme, sign_in, bob):
    """The hold is the request's: a company admin goes on choosing while somebody looks through their eyes."""
    alices.post(START)
    assert alices.patch("/api/org-settings", {"ai_enabled": True}, content_type="application/json").status_code == 403
    chosen = sign_in(bob).patch("/api/org-settings", {"ai_enabled": True}, content_type="application/json")
    assert (chosen.status_code, chosen.json()["ai_enabled"]) == (200, True)
