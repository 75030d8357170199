"""Looking through a company's eyes leaves a trace, at both ends."""

import pytest

from flags import apitokens, archiving, changes, companies, grants, optins, orgsettings, overrides, releases, rollbacks
from flags.exceptions import ChangeRefused, Invalid, NotAllowed
from flags.models import Change
from tenants import provenance
from tenants.models import Company
from tests.factories import ApiTokenFactory

pytestmark = pytest.mark.django_db

both_ends = pytest.mark.parametrize("verb", [companies.view_as, companies.stop_viewing_as])


def test_both_ends_are_recorded(alice, acme):
    companies.view_as(acme, actor=alice)
    companies.stop_viewing_as(acme, actor=alice)
    lines = Change.objects.order_by("at", "id").values_list("verb", "actor", "company_slug", "after")
    assert list(lines) == [
        ("view_as", alice.email, "acme", {"viewing": True}),
        ("view_as", alice.email, "acme", {"viewing": False}),
    ]


@both_ends
def test_only_super_admins_in_person_look_through_other_eyes(verb, bob, acme):
    for actor in (bob, None, ApiTokenFactory(scopes=["tenants:write"])):
        with pytest.raises(NotAllowed):
            verb(acme, actor=actor)
    assert not Change.objects.exists()


def test_through_the_eyes_of_an_inactive_company_there_is_nothing_to_see(alice, acme):
    acme.is_active = False
    with pytest.raises(ChangeRefused, match="Activate it first"):
        companies.view_as(acme, actor=alice)
    assert not Change.objects.exists()


def test_a_word_of_our_addresses_names_no_company(alice):
    with pytest.raises(Invalid) as refusal:
        companies.create_company("new", "New", actor=alice)
    assert "slug" in refusal.value.errors
    assert not Company.objects.filter(slug="new").exists()


VERBS = {
    "a company's own choice": lambda alice, acme: optins.set_opt_in(acme, "ai_enabled", True, actor=alice),
    "no choice any more": lambda alice, acme: optins.remove_opt_in(acme, "ai_enabled", actor=alice),
    "its settings": lambda alice, acme: companies.edit_settings(acme, actor=alice, default_currency="EUR"),
    "settings with choices": lambda alice, acme: orgsettings.change_settings(
        acme, actor=alice, settings={"default_currency": "EUR"}, choices={"ai_enabled": True}
    ),
    "an override": lambda alice, acme: overrides.set_override(acme, "api_access", True, actor=alice),
    "a grant": lambda alice, acme: grants.grant(acme, alice, "api_access", actor=alice),
    "a default": lambda alice, acme: changes.set_default("api_access", True, actor=alice),
    "a kill": lambda alice, acme: changes.kill("api_access", actor=alice, reason="why"),
    "archiving": lambda alice, acme: archiving.archive("api_access", actor=alice),
    "a release": lambda alice, acme: releases.start("api_access", actor=alice),
    "a rollback": lambda alice, acme: rollbacks.roll_back_companies("api_access", [acme], actor=alice, reason="why"),
    "a member": lambda alice, acme: companies.add_member(acme, "new@acme.example", "member", actor=alice),
    "a token": lambda alice, acme: apitokens.create_token("spare", actor=alice, company=acme),
    "other eyes": lambda alice, acme: companies.view_as(acme, actor=alice),
}


@pytest.mark.parametrize("verb", VERBS)
def test_who_looks_through_a_companys_eyes_changes_nothing_in_its_name_or_their_own(verb, alice, acme):
    token = provenance.viewing_as.set("Acme")
    try:
        with pytest.raises(NotAllowed, match="You see what Acme sees") as refusal:
            VERBS[verb](alice, acme)
    finally:
        provenance.viewing_as.reset(token)
    assert refusal.value.code == "VIEWING_AS"
    assert not Change.objects.exists()
