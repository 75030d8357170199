"""Limits that bite, at every call that takes a body and every address: a clear 4xx, never a 500, and nothing written.

Calls are found in the map of addresses (tests.flags.api.calls), so that a new one is covered on arrival. Each
meets some of what may come as a body, a value, a name or a header, and all of it with LONG_TESTS=1.
"""

import gzip
import json
import uuid

import pytest
from django.db.models import Count
from django.test import Client

from flags.callmodels import AnsweredCall
from flags.models import Change, Flag, Grant, OptIn, Override
from flags.releasemodels import GateTemplate
from tenants.models import ApiToken, Company, Membership, User
from tests.factories import ApiTokenFactory, FlagFactory
from tests.flags.api.calls import CALLS, WITH_BODY, Call
from tests.sampling import in_turn

pytestmark = pytest.mark.django_db

TABLES = (AnsweredCall, ApiToken, Change, Company, Flag, GateTemplate, Grant, Membership, OptIn, Override, User)
MEMBERS = {"type", "title", "status", "detail", "instance", "code", "request_id"}
OFREP_MEMBERS = {"errorCode", "errorDetails", "metadata"}
LONGEST_REFUSAL = 30_000
"""Bytes. A refusal says what is wrong; it never throws all of it back."""

# What no call reads, whatever it takes.
UNREADABLE = {
    "nothing but a bracket": "{",
    "a word": "nothing",
    "20,000 brackets": "[" * 20_000,
    "20,000 objects": '{"a":' * 20_000,
    "deep and closed": '{"a":' * 60 + "1" + "}" * 60,
    "a quote that never ends": '{"a": "' + "x" * 1000,
    "a name twice": '{"reason": "a", "reason": "b"}',
    "a name twice, deep": '{"metadata": {"a": [{"b": 1, "b": 2}]}}',
    "no number": '{"reason": NaN}',
    "infinity": '{"reason": 1e999}',
    "5,000 digits": '{"reason": ' + "9" * 5000 + "}",
    "no UTF-8": b'{"reason": "\xff\xfe"}',
    "UTF-16": '{"reason": "a"}'.encode("utf-16"),
    "a byte order mark": "\ufeff{}",
    "gzip": gzip.compress(b'{"reason": "a"}'),
    "NUL": '{"reason": "a\\u0000b"}',
    "NUL in a name": '{"rea\\u0000son": "a"}',
    "half a surrogate pair": '{"reason": "\\ud800"}',
    "half a pair in a name": '{"\\udfff": "a"}',
    "a list": "[]",
    "a list of lists": "[[]]",
    "text": '"text"',
    "a number": "7",
    "null": "null",
    "two objects": "{}{}",
    "a comment": "{} // no",
    "more than a megabyte": json.dumps({"reason": "x" * 1_100_000}),
    "2,000 names": json.dumps({f"name_{n}": n for n in range(2000)}),
    "100,000 names": json.dumps({f"{n}": 0 for n in range(90_000)}),
    "a name of 10,000 letters": json.dumps({"x" * 10_000: 1}),
    "a prototype": '{"__proto__": {"admin": true}, "constructor": {}}',
}
# What may be a value somewhere, and must be a clear refusal everywhere else.
VALUES = (
    *(None, True, -1, 2**63, 2**200, 1.5, "", "\t\n", "x" * 20_000, "\u202e\u2066evil", "\ufdfa" * 500, "\U0010ffff"),
    *("{{7*7}}", "a\r\nSet-Cookie: b=c", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", str(2**200)),
    *([], [[]], [{}], ["x"] * 2000, {}, {"a": {"b": None}}),
)
PARAMETERS = (
    *(
        "",
        "%00",
        "%ED%A0%80",
        "%FF",
        "x" * 5000,
        str(2**200),
        "-1",
        "[]",
        "__class__",
        "%F4%8F%BF%BF",
        "%0D%0ASet-Cookie:x",
    ),
    *("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00%2B23:59"),
)
HEADER_VALUES = ("", "*", '"x', '"' + "9" * 400 + '"', "x" * 4000, "\x7f", "é", ",,,")
HEADERS = ("if_match", "if_none_match", "idempotency_key", "x_workspace_id", "accept", "x_request_id")


def named(value):
    return value.name if isinstance(value, Call) else None


@pytest.fixture
def values(acme, bob) -> dict[str, object]:
    """What addresses are about: all of it there, but for gates and batches."""
    FlagFactory(key="fleet_chat")
    token = ApiTokenFactory(company=acme)
    some = {"key": "fleet_chat", "tenant": "acme", "user": bob.pk, "token": token.pk, "channel": "pilot"}
    return {**some, "domain": "accounting", "gate": uuid.UUID(int=1), "batch": uuid.UUID(int=2)}


@pytest.fixture
def caller(alice, bob, sign_in, admin, settings):
    """Return a function that gives somebody who may make a call."""
    settings.API_RATE_LIMIT = "1000000/min"
    person = sign_in(bob)

    def who(call: Call) -> Client:
        client = Client() if call.view.for_strangers else person if call.view.tag == "Own company" else admin
        client.raise_request_exception = False
        return client

    return who


def written() -> tuple:
    """How much there is of everything, and at which versions."""
    counts = [table.objects.aggregate(count=Count("pk"))["count"] for table in TABLES]
    return (*counts, *Flag.objects.order_by("key").values_list("version", flat=True))


def assert_refused_in_shape(response, what: object) -> None:
    body = response.json()
    assert 400 <= response.status_code < 500, (what, response.status_code, body)
    assert body.keys() >= MEMBERS or body.keys() >= OFREP_MEMBERS, (what, body)
    assert len(response.content) < LONGEST_REFUSAL, (what, len(response.content))


@pytest.mark.parametrize("call", [call for call in WITH_BODY if not call.takes_csv], ids=named)
def test_what_cannot_be_read_is_refused(call, values, caller):
    client, path = caller(call), call.path(**values)
    before = written()
    for what, body in in_turn(list(UNREADABLE.items()), WITH_BODY.index(call), 3):
        response = call.send(client, path, body)

        if what == "a prototype" and call.route.startswith("ofrep:"):
            continue  # The protocol lets a context say anything.
        assert_refused_in_shape(response, what)
    assert written() == before


@pytest.mark.parametrize("call", [call for call in WITH_BODY if not call.takes_csv], ids=named)
def test_no_value_of_any_field_breaks_anything(call, values, caller):
    client, path = caller(call), call.path(**values)
    context = call.route.startswith("ofrep:")
    changes = Change.objects.count()
    fields = sorted(call.fields | ({"companyId", "targetingKey", "userId"} if context else set()))
    for turn, field in enumerate(fields, WITH_BODY.index(call)):
        for value in in_turn(VALUES, turn, 3):
            body = {**call.example, field: value}
            if context and field != "context":
                body = {"context": {field: value}}
            response = call.send(client, path, body)
            before, changes = changes, Change.objects.count()

            assert response.status_code < 500, (field, str(value)[:80], response.content[:500])
            if response.status_code >= 400 and call.name != "post_sign_in":
                assert_refused_in_shape(response, (field, str(value)[:80]))
                assert changes == before, (field, str(value)[:80])


@pytest.mark.parametrize("call", CALLS, ids=named)
def test_no_parameter_breaks_anything(call, values, caller):
    client, path = caller(call), call.path(**values)
    query = call.view.queries.get(call.method.upper())
    own = set(query().fields) if query is not None else set()
    shared = {"dry_run", "page", "workspace", "nothing", "company__name", "_connector"} - own
    for turn, field in enumerate((*sorted(own), *sorted(shared)), CALLS.index(call)):
        for value in in_turn(PARAMETERS, turn, 2 if field in own else 5):
            response = call.send(client, f"{path}?{field}={value}")

            assert response.status_code < 500, (field, value[:80], response.content[:500])
            assert response.status_code < 300 or len(response.content) < LONGEST_REFUSAL


@pytest.mark.parametrize("call", [call for call in CALLS if call.parameters], ids=named)
def test_no_address_breaks_anything(call, values, caller):
    client = caller(call)
    for name in call.parameters:
        marker = {**values, name: uuid.UUID(int=7) if isinstance(values[name], uuid.UUID) else "here"}
        path = call.path(**marker)
        for value in (
            "%00",
            "%ED%A0%80",
            "%FF",
            "x" * 5000,
            str(2**200),
            "-1",
            "%20",
            "..",
            "%2e%2e",
            "%2F",
            "a;b",
            "%E2%80%AE",
        ):
            response = call.send(client, path.replace(str(marker[name]), value))

            assert response.status_code < 500, (name, value[:80], response.content[:500])
            assert response.status_code >= 400 or call.route in ("api:feature", "api:sign_out"), (name, value[:80])


@pytest.mark.parametrize("call", CALLS, ids=named)
def test_no_header_breaks_anything(call, values, caller):
    client, path = caller(call), call.path(**values)
    for turn, header in enumerate(HEADERS, CALLS.index(call)):
        for value in in_turn(HEADER_VALUES, turn, 3):
            response = call.send(client, path, **{header: value})

            assert response.status_code < 500, (header, value[:80], response.content[:500])
            assert "\n" not in response.headers.get("X-Request-ID", "")


class TestFiles:
    """The one body that is no JSON."""

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "\x00",
            b"\xff",
            "company,flag\r\n",
            "company,flag,enabled,reason,expires_at\r\n" + "acme,api_access,true,a\x00b,\r\n",
            "company,flag,enabled,reason,expires_at\r\n" + '"' + "x" * 200_000,
            "company,flag,enabled,reason,expires_at\r\n" + "," * 500_000,
            "company,flag,enabled,reason,expires_at\r\n" + "x,y,z,,\r\n" * 50_000,
            "x" * 10_500_000,
        ],
        ids=lambda text: str(len(text)),
    )
    def test_what_cannot_be_read_is_refused(self, text, values, admin):
        before = written()
        response = admin.generic("POST", "/api/admin/overrides.csv", text, content_type="text/csv")

        assert_refused_in_shape(response, len(text))
        assert written() == before


def test_a_compressed_body_is_415_and_told_so(admin):
    response = admin.generic(
        "POST",
        "/api/features/check",
        gzip.compress(b'{"keys": ["api_access"]}'),
        content_type="application/json",
        headers={"content-encoding": "gzip"},
    )

    assert (response.status_code, response.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert response["Accept-Encoding"] == "identity"
