"""A key that is bound to a company gets nowhere outside it: every call of the API, by every place to name another.

What it is told of a company that is there and of one that is not is the same, to the letter. New calls are covered on
arrival, and one that names a company in a way nobody knows yet fails until it is said here.
"""

import re
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flags.models import Change, Flag, Grant, OptIn, Override
from tenants.models import ApiToken, Company, Membership
from tenants.tokens import SCOPES
from tests.factories import ApiTokenFactory, FlagFactory, GrantFactory, OverrideFactory
from tests.flags.api.calls import CALLS, WITH_BODY, Call

pytestmark = [pytest.mark.django_db, pytest.mark.isolation]

CANARY = "canary-of-globex"
# Fields of bodies that name a company, and how.
NAMING = {"tenantId": "{}", "tenant_id": "{}", "company": "{}", "companies": ["{}"]}
# Those that hold the word for something else: the slug of a company to be, and the workspace of a person.
NOT_NAMING = {("post_companies", "slug"), ("put_active_workspace", "id")}
CONTEXT = {"companyId": "{}", "targetingKey": "company:{}"}
REQUEST_ID = "0123456789abcdef"

BY_PATH = [call for call in CALLS if {"tenant", "token", "user"} & set(call.parameters)]
BY_BODY = [
    (call, field) for call in WITH_BODY for field in NAMING if field in call.view.inputs[call.method.upper()]().fields
]
BY_CONTEXT = [(call, field) for call in CALLS if call.route.startswith("ofrep:") for field in CONTEXT]
# Whoever comes to sign in is nobody yet, whatever token lies around.
KNOWN = [call for call in CALLS if not call.view.for_strangers]


def named(value):
    return value.name if isinstance(value, Call) else None


@pytest.fixture(params=["server", "client"])
def key(request, acme, as_token):
    """A bound key of either kind, with all it can have."""
    scopes = SCOPES if request.param == "server" else ("evaluate",)
    return as_token(*scopes, company=acme, kind=request.param)


@pytest.fixture
def theirs(globex, carol) -> dict[str, object]:
    """What an address can be about, all of it another company's."""
    flag = Flag.objects.get(key="api_access")
    OverrideFactory(company=globex, flag=flag, reason=CANARY)
    GrantFactory(company=globex, user=carol, flag=flag, reason=CANARY)
    FlagFactory(key="fleet_chat", default_enabled=True)
    token = ApiTokenFactory(company=globex, name=CANARY)
    return {"tenant": "globex", "user": carol.pk, "token": token.pk, **about("api_access")}


def about(key: str) -> dict[str, object]:
    return {"key": key, "channel": "pilot", "domain": "accounting", "gate": uuid.UUID(int=1), "batch": uuid.UUID(int=2)}


def everything() -> list:
    """All that a call could have written."""
    tables = (Flag, Override, OptIn, Grant, Change, Company, Membership)
    rows = [list(table.objects.order_by("pk").values_list()) for table in tables]
    return [*rows, list(ApiToken.objects.order_by("pk").values_list("pk", "revoked_at"))]


def told(response, *names: object) -> tuple:
    """A refusal as far as it may be compared: what the caller said itself is left out."""
    text = response.content.decode()
    for name in names:
        text = text.replace(str(name), "…")
    return response.status_code, text, tuple(sorted(response.headers))


def assert_no_oracle(answers: dict[str, object]) -> None:
    """`answers` maps how a company was named to the answer."""
    seen = {told(answer, name) for name, answer in answers.items()}
    assert len(seen) == 1, seen
    status, text, _ = seen.pop()
    assert 400 <= status < 500
    assert CANARY not in text
    assert "Globex" not in text


def test_every_way_of_naming_a_company_is_known_here():
    for call in WITH_BODY:
        likely = {name for name in call.fields if re.search("tenant|compan|workspace|slug|^id$", name, re.IGNORECASE)}
        unknown = {(call.name, name) for name in likely - NAMING.keys()} - NOT_NAMING
        assert not unknown, "Say in NAMING or NOT_NAMING how these name a company."
    for call in CALLS:
        query = call.view.queries.get(call.method.upper())
        fields = query().fields if query is not None else {}
        likely = {name for name in fields if re.search("tenant|compan|workspace", name, re.IGNORECASE)}
        assert likely <= {"company", "workspace"}, call.name
        assert set(call.parameters) <= {"tenant", "user", "token", *about("")}, call.name


@pytest.mark.parametrize("call", BY_PATH, ids=named)
def test_in_the_address(call, key, theirs, globex):
    before = everything()
    key.get("/api/features")  # The process learns whose key it is.
    answers, asked = {}, {}
    for tenant in ("nowhere", "globex", str(uuid.uuid4()), str(globex.pk)):
        with CaptureQueriesContext(connection) as queries:
            answers[tenant] = call.send(key, call.path(**{**theirs, "tenant": tenant}), x_request_id=REQUEST_ID)
        asked[tenant] = len(queries)

    assert_no_oracle(answers)
    # Nor does the work tell: whoever had a clock would see what is done for a company that is there.
    assert len(set(asked.values())) == 1, asked
    assert everything() == before


@pytest.mark.parametrize("call", BY_PATH, ids=named)
def test_whose_the_person_or_the_token_in_the_address_is(call, key, theirs):
    """Under its own company, a person or token of another is as if there were none."""
    if "user" not in call.parameters and "token" not in call.parameters:
        return
    before = everything()
    answers = {}
    for field in ("user", "token"):
        for value in (theirs[field], uuid.uuid4()):
            path = call.path(**{**theirs, "tenant": "acme", field: value})
            if field in call.parameters:
                answers[str(value)] = call.send(key, path, x_request_id=REQUEST_ID)

    assert_no_oracle(answers)
    assert everything() == before


@pytest.mark.parametrize("call", KNOWN, ids=named)
def test_beside_the_address(call, key, theirs, globex):
    before = everything()
    path = call.path(**{**theirs, "tenant": "acme"})
    for how in ("header", "workspace", "company"):
        answers = {}
        for name in ("globex", str(globex.pk), "nowhere", str(uuid.uuid4()), "acme,globex"):
            query = "" if how == "header" else f"?{how}={name}"
            headers = {"x_workspace_id": name} if how == "header" else {}
            answers[name] = call.send(key, path + query, x_request_id=REQUEST_ID, **headers)

        assert_no_oracle(answers)
        assert {answer.json()["code"] for answer in answers.values()} == {"TOKEN_COMPANY_MISMATCH"}, how
    assert everything() == before


@pytest.mark.parametrize("how", ["header", "workspace"])
@pytest.mark.parametrize("call", KNOWN, ids=named)
def test_naming_its_own_beside_the_address_changes_nothing(call, how, key, theirs, acme, bob):
    path = call.path(**{**theirs, "tenant": "acme", "user": bob.pk})
    asked = ["dry_run=1"] if call.method.upper() in call.view.rehearsable else []
    plain = call.send(key, f"{path}?{'&'.join(asked)}")
    asked += ["workspace=acme"] if how == "workspace" else []
    headers = {"x_workspace_id": str(acme.pk)} if how == "header" else {}

    assert call.send(key, f"{path}?{'&'.join(asked)}", **headers).status_code == plain.status_code


@pytest.mark.parametrize(("call", "field"), BY_BODY, ids=named)
def test_in_the_body(call, field, key, theirs, globex):
    before = everything()
    answers = {}
    for name in ("globex", str(globex.pk), "nowhere", str(uuid.uuid4())):
        value = [name] if isinstance(NAMING[field], list) else name
        example = {k: v for k, v in call.example.items() if k != "to"} if field == "companies" else call.example
        body = {**example, "key": "api_access"} if "key" in example else example
        path = call.path(**{**theirs, "tenant": "acme"})
        answers[name] = call.send(key, path, {**body, field: value}, x_request_id=REQUEST_ID)

    assert_no_oracle(answers)
    assert {answer.status_code for answer in answers.values()} == {403}
    assert everything() == before


@pytest.mark.parametrize("call", WITH_BODY, ids=named)
def test_in_a_body_that_has_no_place_for_it(call, key, theirs):
    """Where no company is to be named, naming one is refused, and not passed over in silence. OFREP ignores it."""
    if call.takes_csv or call.view.for_strangers:
        return
    before = everything()
    for field in NAMING.keys() - call.fields:
        answers = {}
        for name in ("globex", "nowhere"):
            body = {**call.example, field: name}
            answers[name] = call.send(key, call.path(**{**theirs, "tenant": "acme"}), body, x_request_id=REQUEST_ID)
        assert len({told(answer, name) for name, answer in answers.items()}) == 1
    assert everything() == before


@pytest.mark.parametrize(("call", "field"), BY_CONTEXT, ids=named)
def test_in_the_context(call, field, key, theirs, globex):
    before = everything()
    answers = {}
    for name in ("globex", str(globex.pk), "nowhere", str(uuid.uuid4())):
        body = {"context": {field: CONTEXT[field].format(name)}}
        answers[name] = call.send(key, call.path(**theirs), body, x_request_id=REQUEST_ID)

    assert_no_oracle(answers)
    assert {answer.json()["code"] for answer in answers.values()} == {"TOKEN_COMPANY_MISMATCH"}
    assert everything() == before


class TestDisagreement:
    """Company A in the address, company B beside it: nobody knows which is meant, so nothing is done (T11)."""

    HOW = ({"query": "?workspace=globex"}, {"header": "globex"})

    @pytest.mark.parametrize("how", HOW, ids=["query", "header"])
    @pytest.mark.parametrize("call", [call for call in CALLS if "tenant" in call.parameters], ids=named)
    def test_between_the_address_and_what_stands_beside_it(self, call, how, acme, globex, bob, admin, as_token):
        values = {**about("api_access"), "tenant": "acme", "user": bob.pk}
        for client in (admin, as_token(*SCOPES)):
            before = everything()
            headers = {"x_workspace_id": how["header"]} if "header" in how else {}
            response = call.send(client, call.path(**values) + how.get("query", ""), **headers)

            assert (response.status_code, response.json()["code"]) == (400, "WORKSPACE_AMBIGUOUS")
            assert everything() == before

    @pytest.mark.parametrize(("call", "field"), [row for row in BY_BODY if row[1] != "companies"], ids=named)
    def test_between_the_body_and_what_stands_beside_it(self, call, field, acme, globex, admin):
        before = everything()
        response = call.send(admin, call.path(), {**call.example, field: "acme"}, x_workspace_id="globex")

        assert (response.status_code, response.json()["code"]) == (400, "WORKSPACE_AMBIGUOUS")
        assert everything() == before

    def test_between_home_and_what_stands_beside_it(self, default_tenant, globex, alice, admin):
        """A super admin who belongs somewhere must not change that company's settings by naming another."""
        Membership.objects.create(company=default_tenant, user=alice, role="admin", is_home=True)
        body = {"time_zone": "Europe/Berlin"}
        response = admin.patch(
            "/api/org-settings", body, content_type="application/json", headers={"x-workspace-id": "globex"}
        )

        assert (response.status_code, response.json()["code"]) == (400, "WORKSPACE_AMBIGUOUS")

    def test_a_parameter_said_twice(self, acme, globex, admin):
        problem = admin.get("/api/features?company=acme&company=globex").json()

        assert (problem["status"], problem["errors"]) == (400, {"company": ["Say it once."]})
