"""/integrations/ and the page behind each domain's gate."""

import re

import pytest

from flags import changes
from flags.integrations import DOMAINS
from flags.models import Flag
from tests.factories import MembershipFactory, OptInFactory, OverrideFactory

pytestmark = pytest.mark.django_db

URL = "/integrations/"


def states(html: str) -> dict[str, str]:
    """Return the word on each domain's badge."""
    return {
        name: " ".join(re.sub(r"<[^>]+>", " ", badge).split())
        for name, badge in re.findall(r'<h2>(.*?)</h2>.*?(<span class="badge.*?</span>)', html, re.DOTALL)
    }


def test_each_domain_has_its_state(sign_in, globex, carol):
    flag = Flag.objects.get(key="accounting_enabled")
    OptInFactory(flag=flag, company=globex)
    html = sign_in(carol).get(URL).content.decode()
    assert states(html) == {"Accounting": "Ready", "AI Assistance": "Not in your plan", "Document Signing": "Disabled"}
    assert f'href="{URL}accounting/"' in html
    assert f'href="{URL}ai/"' not in html


def test_what_nobody_of_the_company_may_switch_comes_soon(sign_in, bob):
    Flag.objects.filter(key="document_signing_enabled").update(is_self_service=False)
    assert states(sign_in(bob).get(URL).content.decode())["Document Signing"] == "Coming soon"


def test_members_may_look_too(sign_in, dan):
    response = sign_in(dan).get(URL)
    assert response.status_code == 200
    assert "Features" not in re.search(r'<nav class="nav".*?</nav>', response.content.decode(), re.DOTALL)[0]


@pytest.mark.parametrize(("domain", "key"), DOMAINS.items())
def test_each_domain_is_behind_its_own_gate(sign_in, acme, dan, domain, key):
    client = sign_in(dan)
    name = Flag.objects.get(key=key).name
    refused = client.get(f"{URL}{domain}/")
    assert refused.status_code == 403
    assert f"{name} is not available to you" in refused.content.decode()
    OverrideFactory(company=acme, flag_id=key, flag=Flag.objects.get(key=key))
    opened = client.get(f"{URL}{domain}/")
    assert opened.status_code == 200
    assert f"{name} is on for Acme." in opened.content.decode()
    others = [other for other in DOMAINS if other != domain]
    assert [client.get(f"{URL}{other}/").status_code for other in others] == [403, 403]


def test_support_gets_the_request_s_id_and_nobody_of_a_company_a_key(sign_in, dan):
    refused = sign_in(dan).get(f"{URL}accounting/")
    html = refused.content.decode()
    assert f"For support: <code>{refused['X-Request-ID']}</code>" in html
    assert "accounting_enabled" not in html


def test_a_domain_whose_flag_is_internal_is_not_there(sign_in, acme, dan):
    OverrideFactory(company=acme, flag=Flag.objects.get(key="accounting_enabled"))
    Flag.objects.filter(key="accounting_enabled").update(is_internal=True)
    client = sign_in(dan)
    assert list(states(client.get(URL).content.decode())) == ["AI Assistance", "Document Signing"]
    assert client.get(f"{URL}accounting/").status_code == 404


def test_a_super_admin_who_is_of_a_company_sees_it_with_its_key(sign_in, acme, alice):
    MembershipFactory(company=acme, user=alice)
    Flag.objects.filter(key="accounting_enabled").update(is_internal=True)
    changes.kill("ai_enabled", actor=None, reason="leak")
    client = sign_in(alice)
    assert "Accounting" in states(client.get(URL).content.decode())
    assert client.get(f"{URL}accounting/").status_code == 200
    assert "ai_enabled" in client.get(f"{URL}ai/").content.decode()


def test_a_gate_closes_when_the_feature_is_killed(sign_in, acme, bob):
    OverrideFactory(company=acme, flag=Flag.objects.get(key="ai_enabled"))
    client = sign_in(bob)
    assert client.get(f"{URL}ai/").status_code == 200
    changes.kill("ai_enabled", actor=None, reason="leak")
    refused = client.get(f"{URL}ai/")
    assert refused.status_code == 403
    assert "it comes back by itself" in refused.content.decode()


def test_a_domain_that_is_none_is_not_found(sign_in, bob):
    assert sign_in(bob).get(f"{URL}payments/").status_code == 404


@pytest.mark.parametrize("path", [URL, f"{URL}accounting/"])
def test_whoever_has_no_company_has_no_integrations(sign_in, client, alice, path):
    assert sign_in(alice).get(path).status_code == 403
    assert client.get(path).status_code == 302


@pytest.mark.parametrize("path", [URL, f"{URL}accounting/"])
def test_nothing_takes_a_post(sign_in, bob, path):
    assert sign_in(bob).post(path).status_code == 405
