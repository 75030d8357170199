"""Looking through a company's eyes leaves a trace, at both ends."""

import pytest

from flags import companies
from flags.exceptions import ChangeRefused, Invalid, NotAllowed
from flags.models import Change
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
