"""Who may ask about whom: every credential with every context, asked for one flag, for all, and with another's tag.

Nobody gets a 304, a value, a name or a status that tells of a company they may not ask about.
"""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.factories import FlagFactory, GrantFactory, MembershipFactory, OverrideFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.isolation]
BULK = "/ofrep/v1/evaluate/flags"
KEYS = ("for_acme", "for_globex", "by_grant")
SECRET_OF_GLOBEX = "Globex"

# What is answered where: each key's value for Acme, for Globex and for no company. Grants come on top, by person.
ACME, GLOBEX, NOWHERE = ("acme", (True, False)), ("globex", (False, True)), ("", (False, False))
DAN, CAROL = "dan", "carol"  # Each has the grant at home.

BAD, STRANGER, FOREIGN = 400, 401, 403
OF_ACME = {
    "own company": ACME,
    "another company": FOREIGN,
    "another company as targeting key": FOREIGN,
    "a company that is none": FOREIGN,
    "no company": ACME,
    "a number": BAD,
    "a list": BAD,
    "a person of another company": ACME,
    "a colleague": (*ACME, DAN),
}
BY_PERSON = {**OF_ACME, "a colleague": FOREIGN}
OUTCOMES = {
    "unbound server key": {
        **OF_ACME,
        "another company": GLOBEX,
        "another company as targeting key": GLOBEX,
        "a company that is none": BAD,
        "no company": NOWHERE,
        "a person of another company": NOWHERE,
        "a colleague": NOWHERE,
    },
    "server key of the company": OF_ACME,
    "server key of another company": {
        **OF_ACME,
        "own company": FOREIGN,
        "another company": GLOBEX,
        "another company as targeting key": GLOBEX,
        "no company": GLOBEX,
        "a person of another company": (*GLOBEX, CAROL),
        "a colleague": GLOBEX,
    },
    "client key": {**OF_ACME, "a colleague": ACME},
    "access token": BY_PERSON,
    "session": BY_PERSON,
    "expired access token": dict.fromkeys(OF_ACME, STRANGER),
    "nothing": dict.fromkeys(OF_ACME, STRANGER),
}


@pytest.fixture
def stage(acme, globex, dan, carol):
    """A flag for each company alone, one by grant, and one that nobody of either may see."""
    OverrideFactory(company=acme, flag=FlagFactory(key="for_acme"), reason="Acme asked")
    OverrideFactory(company=globex, flag=FlagFactory(key="for_globex"), reason=SECRET_OF_GLOBEX)
    by_grant = FlagFactory(key="by_grant", needs_grant=True, default_enabled=True)
    for company, person in ((acme, dan), (globex, carol)):
        GrantFactory(company=company, user=person, flag=by_grant)
    FlagFactory(key="hidden_tool", is_internal=True, default_enabled=True)


@pytest.fixture
def caller(acme, globex, bob, as_token, as_person, sign_in, time_machine_at):
    """Return a function that gives the client of a credential. Bob, an admin of Acme, is the person."""

    def expired() -> Client:
        with time_machine_at(timezone.now() - timedelta(days=2)):
            return as_person(bob)

    kinds = {
        "unbound server key": lambda: as_token("evaluate"),
        "server key of the company": lambda: as_token("evaluate", company=acme),
        "server key of another company": lambda: as_token("evaluate", company=globex),
        "client key": lambda: as_token("evaluate", company=acme, kind="client"),
        "access token": lambda: as_person(bob),
        "session": lambda: sign_in(bob),
        "expired access token": expired,
        "nothing": Client,
    }
    return lambda kind: kinds[kind]()


@pytest.fixture
def contexts(dan, carol):
    return {
        "own company": {"companyId": "acme"},
        "another company": {"companyId": "globex"},
        "another company as targeting key": {"targetingKey": "company:globex"},
        "a company that is none": {"companyId": "nowhere"},
        "no company": {},
        "a number": {"companyId": 7},
        "a list": {"companyId": ["acme"]},
        "a person of another company": {"targetingKey": str(carol.pk)},
        "a colleague": {"userId": str(dan.pk)},
    }


def post(client, path, context, **headers):
    return client.post(path, {"context": context}, content_type="application/json", headers=headers)


def expected_values(company, values, person=None) -> dict:
    granted = (company, person) in (("acme", DAN), ("globex", CAROL))
    return dict(zip(KEYS, (*values, granted), strict=True))


def shown(response) -> dict:
    found = {flag["key"]: flag["value"] for flag in response.json()["flags"]}
    assert "hidden_tool" not in found
    return {key: found[key] for key in KEYS}


@pytest.mark.parametrize("context", OF_ACME)
@pytest.mark.parametrize("kind", OUTCOMES)
@pytest.mark.parametrize("way", ["single", "bulk", "bulk with a tag"])
def test_whoever_asks_about_whomever(way, kind, context, stage, caller, contexts, as_token):
    outcome = OUTCOMES[kind][context]
    client, asked = caller(kind), contexts[context]
    if way == "single":
        responses = {key: post(client, f"{BULK}/{key}", asked) for key in KEYS}
    elif way == "bulk":
        responses = {"": post(client, BULK, asked)}
    else:
        held = post(as_token("evaluate"), BULK, {"companyId": "globex"})["ETag"]
        responses = {"": post(client, BULK, asked, **{"if-none-match": held})}
    bodies = "".join(response.content.decode() for response in responses.values())
    assert SECRET_OF_GLOBEX not in bodies
    if isinstance(outcome, int):
        assert {response.status_code for response in responses.values()} == {outcome}
        assert '"variant"' not in bodies
        assert not any("ETag" in response for response in responses.values())
    elif way == "single":
        values = {key: response.json()["value"] for key, response in responses.items()}
        assert values == expected_values(*outcome)
    elif way == "bulk":
        assert shown(responses[""]) == expected_values(*outcome)
    elif outcome == GLOBEX:
        # They hold this very answer, and may.
        assert (responses[""].status_code, responses[""]["ETag"]) == (304, held)
    else:
        assert responses[""].status_code == 200
        assert responses[""]["ETag"] != held
        assert shown(responses[""]) == expected_values(*outcome)


@pytest.mark.parametrize("kind", ["server key of the company", "client key", "access token", "session"])
def test_a_refusal_does_not_say_whether_a_company_exists(kind, stage, caller, contexts):
    client = caller(kind)

    def refusal(context):
        return post(client, BULK, contexts[context], **{"x-request-id": "the-same-id"}).content

    assert refusal("another company") == refusal("a company that is none")
    assert refusal("another company") == refusal("another company as targeting key")


def test_a_person_of_two_companies_is_answered_for_the_one_they_are_in(stage, acme, globex, as_person):
    eve = UserFactory(email="eve@acme.example")
    MembershipFactory(company=acme, user=eve)
    MembershipFactory(company=globex, user=eve)
    client = as_person(eve)

    assert shown(post(client, BULK, {}))["for_acme"] is True
    assert post(client, BULK, {"companyId": "globex"}).status_code == 403
