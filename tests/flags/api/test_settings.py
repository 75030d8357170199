"""A company's own settings with its integration flags, and the three domains (seed 004)."""

import pytest

from flags.models import Change, Flag, OptIn
from tenants.models import CompanySettings
from tests.factories import MembershipFactory, OverrideFactory, UserFactory

pytestmark = pytest.mark.django_db
SETTINGS = "/api/org-settings"


@pytest.fixture
def patch(bob, as_person):
    client = as_person(bob)
    return lambda body: client.patch(SETTINGS, body, content_type="application/json")


def test_settings_come_with_the_flags_as_plain_booleans(acme, dan, as_person):
    OverrideFactory(company=acme, flag=Flag.objects.get(key="accounting_enabled"))

    assert as_person(dan).get(SETTINGS).json() == {
        "slug": "acme",
        "name": "Acme",
        "default_currency": "USD",
        "brand_colour": "#1f6feb",
        "time_zone": "UTC",
        "accounting_enabled": True,
        "ai_enabled": False,
        "document_signing_enabled": False,
    }


def test_an_admin_changes_settings_and_makes_choices_in_one_call(patch, acme, bob, as_person):
    body = {"default_currency": "EUR", "time_zone": "Europe/Berlin", "ai_enabled": True, "accounting_enabled": False}

    answer = patch(body).json()

    assert {name: answer[name] for name in body} == body
    assert as_person(bob).get("/api/features/ai_enabled").json()["reason"] == "opt_in"
    assert set(Change.objects.values_list("verb", "company_slug", "actor")) == {
        ("edit_settings", "acme", bob.email),
        ("set_opt_in", "acme", bob.email),
    }


def test_an_admin_renames_the_company(patch, acme, bob):
    answer = patch({"name": "Acme Freight", "default_currency": "EUR"}).json()

    assert (answer["name"], answer["slug"]) == ("Acme Freight", "acme")
    acme.refresh_from_db()
    assert (acme.name, acme.version) == ("Acme Freight", 2)
    change = Change.objects.get(verb="edit_company")
    assert (change.actor, change.before, change.after) == (bob.email, {"name": "Acme"}, {"name": "Acme Freight"})


def test_a_name_that_is_none_changes_nothing_else_either(patch, acme):
    response = patch({"name": " ", "default_currency": "EUR"})

    assert (response.status_code, list(response.json()["errors"])) == (400, ["name"])
    assert CompanySettings.objects.get(company=acme).default_currency == "USD"


def test_trying_a_name_changes_nothing(acme, bob, as_person):
    answer = as_person(bob).patch(f"{SETTINGS}?dry_run=1", {"name": "Other"}, content_type="application/json").json()

    assert answer["result"]["name"] == "Other"
    acme.refresh_from_db()
    assert acme.name == "Acme"


def test_null_takes_the_choice_back(patch, acme):
    patch({"ai_enabled": True})

    assert patch({"ai_enabled": None}).json()["ai_enabled"] is False
    assert not OptIn.objects.exists()


def test_a_flag_that_is_not_self_service_is_not_theirs_to_switch(patch, acme):
    Flag.objects.filter(key="accounting_enabled").update(is_self_service=False)

    response = patch({"default_currency": "EUR", "accounting_enabled": True})

    assert (response.status_code, response.json()["code"]) == (403, "NOT_SELF_SERVICE")
    assert CompanySettings.objects.get(company=acme).default_currency == "USD"
    assert not Change.objects.exists()


def test_the_plan_outranks_the_companys_own_choice(carol, as_person, globex):
    client = as_person(carol)

    answer = client.patch(SETTINGS, {"ai_enabled": True}, content_type="application/json").json()

    assert answer["ai_enabled"] is False
    assert client.get("/api/features/ai_enabled").json()["reason"] == "plan"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"default_currency": "euro"}, "default_currency"),
        ({"default_currency": "eur"}, "default_currency"),
        ({"brand_colour": "red"}, "brand_colour"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"ai_enabled": "yes"}, "ai_enabled"),
        ({"name": " "}, "name"),
        ({"slug": "new"}, "slug"),
        ({"billing_enabled": True}, "billing_enabled"),
    ],
)
def test_a_bad_setting_is_refused_by_name(body, field, patch):
    response = patch(body)

    assert (response.status_code, list(response.json()["errors"])) == (400, [field])
    assert not Change.objects.exists()


@pytest.mark.parametrize("person", ["dan", "cora"])
def test_only_admins_change_them(person, request, as_person):
    client = as_person(request.getfixturevalue(person))

    assert client.patch(SETTINGS, {"ai_enabled": True}, content_type="application/json").status_code == 403
    assert not OptIn.objects.exists()


def test_tokens_have_no_settings_and_people_without_a_company_neither(as_token, as_person, acme, db):
    loner = UserFactory()

    assert as_token("evaluate", "tenants:write", company=acme).get(SETTINGS).status_code == 403
    assert as_person(loner).get(SETTINGS).json()["code"] == "NO_COMPANY"


def test_of_an_inactive_company_nothing_is_left(as_person, db):
    person = MembershipFactory(company__is_active=False).user

    assert as_person(person).get(SETTINGS).json()["code"] == "NO_COMPANY"


class TestIntegrations:
    def states(self, client) -> dict:
        return {row["domain"]: row["state"] for row in client.get("/api/integrations").json()["results"]}

    def test_each_domain_says_how_it_stands(self, acme, globex, bob, carol, as_person):
        OverrideFactory(company=acme, flag=Flag.objects.get(key="accounting_enabled"))
        Flag.objects.filter(key="document_signing_enabled").update(is_self_service=False)

        assert self.states(as_person(bob)) == {
            "accounting": "ready",
            "ai": "disabled",
            "document_signing": "coming_soon",
        }
        assert self.states(as_person(carol))["ai"] == "not_in_plan"

    def test_a_domain_is_open_to_those_who_have_it(self, patch, bob, carol, as_person):
        patch({"ai_enabled": True})

        assert as_person(bob).get("/api/integrations/ai").json()["state"] == "ready"
        refusal = as_person(carol).get("/api/integrations/ai")
        assert (refusal.status_code, refusal.json()["code"], refusal.json()["reason"]) == (403, "AI_DISABLED", "plan")

    def test_a_domain_whose_flag_is_internal_is_for_super_admins_alone(self, patch, acme, alice, bob, as_person):
        OverrideFactory(company=acme, flag=Flag.objects.get(key="accounting_enabled"))
        Flag.objects.filter(key="accounting_enabled").update(is_internal=True)

        assert set(self.states(as_person(bob))) == {"ai", "document_signing"}
        assert as_person(bob).get("/api/integrations/accounting").json()["code"] == "DOMAIN_NOT_FOUND"
        assert "accounting_enabled" not in as_person(bob).get(SETTINGS).json()
        refusal = patch({"accounting_enabled": True})
        assert (refusal.status_code, list(refusal.json()["errors"])) == (400, ["accounting_enabled"])

        MembershipFactory(company=acme, user=alice)
        assert set(self.states(as_person(alice))) == {"accounting", "ai", "document_signing"}
        assert as_person(alice).get(SETTINGS).json()["accounting_enabled"] is True

    @pytest.mark.parametrize("domain", ["payment", "AI", "%00", "x" * 200])
    def test_an_unknown_domain_is_404(self, domain, bob, as_person):
        assert as_person(bob).get(f"/api/integrations/{domain}").json()["code"] == "DOMAIN_NOT_FOUND"

    def test_the_list_asks_for_features_once(self, bob, as_person, django_assert_num_queries):
        client = as_person(bob)
        client.get("/api/integrations")

        with django_assert_num_queries(2):
            client.get("/api/integrations")
