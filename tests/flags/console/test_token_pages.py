"""API tokens in the console: made with the secret shown once, listed, ended."""

import re
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from flags.models import Change
from tenants import tokens
from tenants.credentials import BadCredential
from tenants.models import ApiToken
from tests.factories import ApiTokenFactory
from tests.flags.console.browsing import HTMX, said_by, text_of

pytestmark = pytest.mark.django_db
LIST = "/super-admin/tokens/"
NEW = f"{LIST}new/"
FORM = {"name": "CI deploys", "kind": "server", "scopes": ["evaluate", "flags:write"]}


@pytest.fixture
def alices(sign_in, alice):
    return sign_in(alice)


def names(response) -> list[str]:
    return re.findall(r'<th scope="row"><span class="cluster">([^<]+)', response.content.decode())


def test_a_token_is_made_and_its_secret_works(alices, alice, acme):
    response = alices.post(NEW, FORM | {"company": "acme", "expires_at": "2999-03-01T10:30"})
    assert response.status_code == 200
    [secret] = re.findall(r'<div class="secret"><code>([^<]+)</code>', response.content.decode())
    token = tokens.verify(secret)
    assert (token.name, token.scopes, token.company, token.created_by) == (
        "CI deploys",
        ["evaluate", "flags:write"],
        acme,
        alice,
    )
    assert token.expires_at.isoformat() == "2999-03-01T10:30:00+00:00"
    assert Change.objects.values_list("verb", "via").get() == ("create_token", "console")


def test_the_secret_is_in_that_answer_and_nowhere_else(alices):
    response = alices.post(NEW, FORM)
    assert "no-store" in response["Cache-Control"]
    [secret] = re.findall(r'<div class="secret"><code>([^<]+)</code>', response.content.decode())
    assert f'data-copy="{secret}"' in response.content.decode()
    hidden = secret.split("_", 3)[3]  # It may hold a "_" itself.
    kept = [str(list(ApiToken.objects.values())), str(list(Change.objects.values()))]
    kept += [str(session.get_decoded()) for session in Session.objects.all()]
    kept += [str(alices.cookies), alices.get(LIST).content.decode(), alices.get(NEW).content.decode()]
    assert not [place for place in kept if hidden in place]


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ({"name": ""}, "This field is required."),
        ({"kind": "master"}, "Select a valid choice"),
        ({"scopes": []}, "Choose at least one."),
        ({"scopes": ["everything"]}, "Select a valid choice"),
        ({"kind": "client"}, "Name a company."),
        ({"kind": "client", "company": "acme"}, "Only evaluate."),
        ({"company": "no-such"}, "No company has this slug or name."),
        ({"expires_at": "2020-01-01T00:00"}, "Choose a moment that lies ahead."),
    ],
)
def test_what_is_wrong_is_said_where_it_is_and_nothing_is_made(alices, acme, typed, complaint):
    response = alices.post(NEW, FORM | {"name": "My <token>"} | typed)
    assert response.status_code == 422
    assert complaint in text_of(response)
    if "name" not in typed:
        assert 'value="My &lt;token&gt;"' in response.content.decode()
    assert not ApiToken.objects.exists()


def test_a_client_key_is_made_for_a_company_that_is_named(alices, acme):
    alices.post(NEW, {"name": "App", "kind": "client", "scopes": ["evaluate"], "company": "Acme"})
    assert ApiToken.objects.values_list("kind", "company__slug").get() == ("client", "acme")


def test_the_list_says_what_each_may_do_and_since_when(alices, alice, acme):
    ApiTokenFactory(name="Deploys", scopes=["flags:read"], company=acme, created_by=alice)
    page = text_of(alices.get(LIST))
    for words in ("Deploys", "Server key", "flags:read", "Acme", "Alice", "Never", "No end"):
        assert words in page


def test_the_address_filters(alices):
    now = timezone.now()
    ApiTokenFactory(name="works")
    ApiTokenFactory(name="revoked", revoked_at=now)
    ApiTokenFactory(name="expired", expires_at=now - timedelta(days=1))
    assert names(alices.get(LIST)) == ["expired", "revoked", "works"]
    assert names(alices.get(LIST, {"state": "good"})) == ["works"]
    assert names(alices.get(LIST, {"state": "ended"})) == ["expired", "revoked"]


def test_no_tokens_is_said_in_words(alices):
    assert "No tokens yet" in text_of(alices.get(LIST))
    assert "No such token" in text_of(alices.get(LIST, {"state": "ended"}))


def test_revoking_asks_first_and_then_ends_it_at_once(alices):
    token = ApiTokenFactory(name="Deploys")
    asked = alices.get(f"{LIST}{token.pk}/revoke/", headers=HTMX)
    assert "It was never used." in said_by(asked)
    assert tokens.verify(token.plain)
    refused = alices.post(f"{LIST}{token.pk}/revoke/", {"reason": "leaked", "typed": "deploys"}, headers=HTMX)
    assert (refused.status_code, "Type Deploys to confirm." in said_by(refused)) == (422, True)
    assert 'value="leaked"' in refused.content.decode()
    assert tokens.verify(token.plain)
    done = alices.post(f"{LIST}{token.pk}/revoke/", {"reason": "leaked", "typed": "Deploys"}, headers=HTMX)
    assert done["HX-Retarget"] == f"#token-{token.pk}"
    assert "Deploys Revoked" in text_of(done)
    with pytest.raises(BadCredential):
        tokens.verify(token.plain)
    assert Change.objects.values_list("verb", "reason").get() == ("revoke_token", "leaked")


def test_without_scripts_it_is_revoked_on_a_page(alices):
    token = ApiTokenFactory()
    assert "<html" in alices.get(f"{LIST}{token.pk}/revoke/").content.decode()
    assert alices.post(f"{LIST}{token.pk}/revoke/", {"typed": token.name})["Location"] == LIST
    assert not ApiToken.objects.filter(revoked_at=None).exists()


def test_revoking_twice_changes_nothing(alices):
    token = ApiTokenFactory(revoked_at=timezone.now())
    done = alices.post(f"{LIST}{token.pk}/revoke/", headers=HTMX)
    assert "Nothing to change" in done["HX-Trigger"]
    assert not Change.objects.exists()


def test_a_reason_too_long_is_refused(alices):
    token = ApiTokenFactory()
    refused = alices.post(f"{LIST}{token.pk}/revoke/", {"reason": "x" * 501, "typed": token.name}, headers=HTMX)
    assert refused.status_code == 422
    assert re.search(r'aria-describedby="([^"]+)"', refused.content.decode())[1] in refused.content.decode()
    assert "longer than 500" in text_of(refused)
    assert ApiToken.objects.filter(revoked_at=None).exists()


@pytest.mark.parametrize("number", [2, 40])
def test_the_queries_do_not_grow(alices, acme, alice, django_assert_max_num_queries, number):
    for _ in range(number):
        ApiTokenFactory(company=acme, created_by=alice)
    with django_assert_max_num_queries(4):
        alices.get(LIST)
