"""Who may use a flag that needs a grant, managed on its page."""

import pytest

from flags import changes
from flags.features import features_for
from flags.models import Change, Grant
from tenants.models import Membership
from tests.factories import CompanyFactory, MembershipFactory
from tests.flags.console.browsing import HTMX, said_by, text_of

pytestmark = pytest.mark.django_db
KEY = "api_access"
PAGE = f"/super-admin/feature-flags/{KEY}/"
ADD = PAGE + "grants/add/"
WHOLE = PAGE + "?show=all"


@pytest.fixture(autouse=True)
def needs_grant(alice):
    changes.edit_flag(KEY, actor=alice, needs_grant=True)
    changes.set_default(KEY, True, actor=alice)


def test_nobody_is_granted_at_first(alices):
    said = said_by(alices.get(WHOLE))
    assert "Nobody has been granted it yet, so nobody has it." in said
    assert "Grant it to somebody of a company" in said


def test_it_is_granted_to_somebody_of_a_company_found_by_name(alices, acme, bob):
    assert "Acme" in alices.get(ADD, {"q": "ac", "suggest": "1"}, headers=HTMX).content.decode()
    drawer = alices.get(ADD, {"q": "acme", "place": "page"}, headers=HTMX)
    assert "Grant API Access to somebody of Acme" in text_of(drawer)
    assert 'name="place" value="page"' in drawer.content.decode()
    grant = f"/super-admin/companies/acme/grants/{KEY}/"
    assert f'hx-post="{grant}"' in drawer.content.decode()
    said = {"email": bob.email, "enabled": "true", "reason": "Plans routes", "place": "page"}
    done = alices.post(grant, said, headers=HTMX)
    assert done["HX-Retarget"] == "#flag-page"
    assert "Allowed Plans routes" in text_of(done)
    assert features_for(bob, acme)[KEY]


def test_a_stranger_is_refused_and_what_was_typed_stays(alices, acme, carol):
    grant = f"/super-admin/companies/acme/grants/{KEY}/"
    said = {"email": carol.email, "enabled": "true", "reason": "Typed", "place": "page"}
    refused = alices.post(grant, said, headers=HTMX)
    assert refused.status_code == 422
    assert "Nobody of Acme has this address." in text_of(refused)
    for kept in ('value="Typed"', 'name="place" value="page"', carol.email):
        assert kept in refused.content.decode()


def test_an_unknown_company_is_said(alices, acme):
    wrong = alices.get(ADD, {"q": "parrot"}, headers=HTMX)
    assert (wrong.status_code, "No single company is called “parrot”." in text_of(wrong)) == (422, True)
    assert "<html" in alices.get(ADD, {"q": "parrot"}).content.decode()
    plain = alices.get(ADD, {"q": "acme"})
    assert plain.url == f"/super-admin/companies/acme/grants/{KEY}/?place=page"


def test_a_grant_is_edited_denied_and_revoked_in_place(alices, alice, acme, bob):
    changes.grant(acme, bob, KEY, actor=alice, reason="Plans routes")
    grant = f"/super-admin/companies/acme/grants/{KEY}/"
    drawer = alices.get(grant, {"place": "page", "email": bob.email}, headers=HTMX).content.decode()
    assert 'value="Plans routes"' in drawer
    denied = alices.post(grant, {"email": bob.email, "enabled": "false", "place": "page"}, headers=HTMX)
    assert "Denied" in text_of(denied)
    assert not features_for(bob, acme)[KEY]
    revoke = f"/super-admin/companies/acme/members/{bob.pk}/grants/{KEY}/revoke/"
    gone = alices.post(revoke, {"place": "page"}, headers=HTMX)
    assert gone["HX-Retarget"] == "#flag-page"
    line = Change.objects.filter(verb="revoke").first()
    assert f"/super-admin/changes/{line.pk}/revert/" in gone.content.decode()
    assert not Grant.objects.exists()
    changes.grant(acme, bob, KEY, actor=alice)
    assert alices.post(revoke, {"place": "page"}).url == PAGE + "?show=all#grants"


def test_with_the_membership_the_grant_ends(alices, alice, acme, bob):
    changes.grant(acme, bob, KEY, actor=alice)
    Membership.objects.filter(user=bob, company=acme).delete()
    assert "Nobody has been granted it yet" in text_of(alices.get(WHOLE))


def test_many_grants_come_in_pages_and_are_searched(alices, alice):
    for number in range(45):
        company = CompanyFactory(name=f"Company {number:02}")
        changes.grant(company, MembershipFactory(company=company).user, KEY, actor=alice)
    first = alices.get(WHOLE)
    assert "Company 19" in text_of(first)
    onwards = first.context["grants"].next
    second = text_of(alices.get(PAGE, {"onwards": onwards}))
    assert "Company 20" in second.split("Grants", 1)[1]
    part = text_of(alices.get(PAGE + "grants/", {"person": "company 33"}, headers=HTMX))
    assert "Company 33" in part
    assert "Company 01" not in part
    assert "Nobody with “zzz”" in text_of(alices.get(PAGE, {"person": "zzz"}))
    assert alices.get(PAGE + "grants/", {"person": "x"}).url == f"{PAGE}?person=x#grants"


def test_others_may_not(sign_in, bob, client):
    for path in ("grants/", "grants/add/"):
        assert sign_in(bob).get(PAGE + path).status_code == 403
        assert client.get(PAGE + path).status_code == 302
