"""`api_token`: a token is made once, shown once, and ended at once."""

import pytest

from flags.api.tokens import TokenOutput
from flags.models import Change
from tenants import tokens
from tenants.credentials import BadCredential
from tests.factories import ApiTokenFactory

pytestmark = pytest.mark.django_db


def test_a_token_stands_alone_on_stdout_and_works(run):
    ran = run("api_token", "create", "CI", "--scope", "flags:read", "--scope", "evaluate", "--until", "2099-01-01")
    token = tokens.verify(ran.out.strip())
    assert (token.name, token.scopes, token.kind) == ("CI", ["evaluate", "flags:read"], "server")
    assert f"{token.expires_at:%Y-%m-%d}" == "2099-01-01"
    assert "never shown again" in ran.err
    assert Change.objects.get().via == "command"


def test_a_token_may_evaluate_and_nothing_else_unless_told(run):
    assert run("api_token", "create", "CI", "--json").json["scopes"] == ["evaluate"]


def test_a_client_key_is_bound_to_its_company(run, acme):
    made = run("api_token", "create", "Web", "--kind", "client", "--company", "acme", "--json").json
    assert made["company"] == "acme"
    assert tokens.verify(made["secret"]).company == acme


def test_the_list_shows_good_tokens_and_never_a_secret(run, alice):
    good = ApiTokenFactory(name="Good")
    ended = ApiTokenFactory(name="Ended")
    run("api_token", "revoke", ended.public_id, "--as", alice.email)
    listed = run("api_token", "list").out
    assert "Good" in listed
    assert "Ended" not in listed
    assert good.plain.split("_", 3)[3] not in run("api_token", "list", "--all", "--json").out
    everything = run("api_token", "list", "--all", "--json").json
    assert {token["name"]: token["revoked_at"] is None for token in everything} == {"Good": True, "Ended": False}
    assert set(everything[0]) == set(TokenOutput().fields)


def test_no_token_is_said_in_words(run, db):
    assert run("api_token", "list").out == "There is no token.\n"


def test_a_revoked_token_works_no_more(run, alice):
    token = ApiTokenFactory(name="CI")
    assert (
        run("api_token", "revoke", str(token.pk), "--as", alice.email, "--reason", "leaked").out == "CI is revoked.\n"
    )
    with pytest.raises(BadCredential):
        tokens.verify(token.plain)
    assert run("api_token", "revoke", token.public_id).out == "Nothing changed. CI is revoked.\n"
    change = Change.objects.get(verb="revoke_token")
    assert (change.actor, change.reason) == (alice.email, "leaked")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["create", " "], "The name is missing."),
        (["create", "Web", "--kind", "client"], "A client key is bound to a company. Name one."),
        (["create", "CI", "--company", "nowhere"], "There is no company 'nowhere'."),
        (["create", "CI", "--until", "2001-01-01"], "The expiry lies in the past."),
        (["create", "CI", "--as", "bob@acme.example"], "Only a super admin may do this. Ask one of yours."),
        (["revoke", "xyz"], "There is no token 'xyz'. `api_token list` shows them."),
    ],
)
def test_a_refusal_is_one_sentence(run, bob, words, sentence):
    ran = run("api_token", *words)
    assert (ran.code, ran.refusal, ran.out) == (1, sentence, "")
