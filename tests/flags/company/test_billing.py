"""/billing/: a gate that one can watch open."""

import pytest

from flags import changes

pytestmark = pytest.mark.django_db

URL = "/billing/"


def test_the_gate_opens_and_closes_from_one_request_to_the_next(sign_in, dan):
    client = sign_in(dan)
    refused = client.get(URL)
    assert refused.status_code == 403
    assert "Billing System is not available to you" in refused.content.decode()
    changes.set_default("billing_enabled", True, actor=None)
    opened = client.get(URL)
    assert opened.status_code == 200
    assert "The gate is open: Acme has the Billing System." in opened.content.decode()
    changes.kill("billing_enabled", actor=None, reason="wrong sums")
    assert client.get(URL).status_code == 403


def test_it_opens_for_one_company_and_not_for_another(sign_in, acme, bob, carol):
    changes.set_override(acme, "billing_enabled", True, actor=None)
    assert sign_in(bob).get(URL).status_code == 200
    assert sign_in(carol).get(URL).status_code == 403


def test_the_way_there_is_shown_while_it_is_open(sign_in, bob):
    client = sign_in(bob)
    assert URL not in client.get("/integrations/").content.decode()
    changes.set_default("billing_enabled", True, actor=None)
    assert f'href="{URL}"' in client.get("/integrations/").content.decode()


def test_super_admins_may_enter_without_a_company(sign_in, alice):
    response = sign_in(alice).get(URL)
    assert response.status_code == 200
    assert "super admins have every feature" in response.content.decode()


def test_a_stranger_signs_in_first(client, db):
    assert client.get(URL).url == "/login/?next=/billing/"


def test_the_refusal_says_why_and_whom_to_ask(sign_in, acme, dan):
    changes.edit_flag("billing_enabled", actor=None, needs_grant=True)
    changes.set_default("billing_enabled", True, actor=None)
    html = sign_in(dan).get(URL).content.decode()
    assert "this person has not been granted it" in html
    assert "an admin of your company, who can ask for a grant for you" in html


def test_an_internal_feature_is_never_named_in_a_refusal(sign_in, bob):
    changes.edit_flag("billing_enabled", actor=None, is_internal=True)
    html = sign_in(bob).get(URL).content.decode()
    assert "Billing" not in html
    assert "billing_enabled" not in html


def test_nothing_takes_a_post(sign_in, alice):
    assert sign_in(alice).post(URL).status_code == 405
