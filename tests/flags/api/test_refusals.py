"""Every call of the API refuses in the one shape, for every kind of refusal. New ones are here on arrival.

tests.flags.api.test_error_shape looks at what each refusal says; here, that no call has one of its own.
"""

import uuid
from unittest import mock

import pytest
from django.db import OperationalError
from django.test import Client

from flags.api.base import AnyAccept
from tests.factories import MembershipFactory
from tests.flags.api.calls import CALLS, WITH_BODY, Call
from tests.flags.api.test_error_shape import MEMBERS, assert_problem

pytestmark = pytest.mark.django_db

KNOWN = [call for call in CALLS if not call.view.for_strangers]
IN_JSON = [call for call in CALLS if call.view.content_negotiation_class is not AnyAccept]
UNGUARDED = [call for call in CALLS if call.method != "get" and call.method.upper() not in call.view.versioned]
VALUES = {
    "key": "api_access",
    "tenant": "acme",
    "channel": "pilot",
    "domain": "accounting",
    **{name: uuid.UUID(int=1) for name in ("user", "token", "gate", "batch")},
}


def named(value):
    return value.name if isinstance(value, Call) else None


@pytest.fixture
def careless(acme, globex, alice, admin) -> Client:
    """A super admin who belongs somewhere, and whose client shows a 500 instead of raising what led to it."""
    MembershipFactory(company=acme, user=alice)
    admin.raise_request_exception = False
    return admin


@pytest.mark.parametrize("call", KNOWN, ids=named)
def test_nobody(call, anonymous):
    assert_problem(call.send(anonymous, call.path(**VALUES)), 401, "NOT_AUTHENTICATED")


@pytest.mark.parametrize("call", CALLS, ids=named)
def test_a_method_there_is_not(call, careless):
    response = careless.generic("PROPFIND", call.path(**VALUES))

    assert_problem(response, 405, "METHOD_NOT_ALLOWED")
    assert call.method.upper() in response["Allow"]


@pytest.mark.parametrize("call", IN_JSON, ids=named)
def test_a_type_nobody_makes(call, careless):
    response = call.send(careless, call.path(**VALUES), accept="image/png")

    assert_problem(response, 406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize("call", WITH_BODY, ids=named)
def test_a_body_nobody_reads(call, careless):
    response = careless.generic(call.method.upper(), call.path(**VALUES), "<a/>", content_type="application/xml")

    assert_problem(response, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("call", KNOWN, ids=named)
def test_one_call_too_many(call, careless, settings):
    settings.API_RATE_LIMIT = "0/min"
    response = call.send(careless, call.path(**VALUES))

    assert_problem(response, 429, "RATE_LIMITED")
    assert 1 <= int(response["Retry-After"]) <= 60


@pytest.mark.parametrize("call", CALLS, ids=named)
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(RuntimeError("secret of the house"), 500, "INTERNAL_ERROR"), (OperationalError("10.0.0.7"), 503, "UNAVAILABLE")],
    ids=["500", "503"],
)
def test_what_breaks(call, error, status, code, careless):
    with mock.patch.object(call.view, "allow", side_effect=error):
        response = call.send(careless, call.path(**VALUES))

    assert "secret" not in response.content.decode()
    assert "10.0.0.7" not in response.content.decode()
    if status == 500 and call.route.startswith("ofrep:"):
        # The protocol has a body of its own for this one.
        assert (response.status_code, response.json()["errorCode"]) == (500, "GENERAL")
        assert response["X-Request-ID"] in response.json()["errorDetails"]
        return
    problem = assert_problem(response, status, code)
    assert problem.keys() - {"saved"} == MEMBERS
    assert status == 500 or response["Retry-After"].isdecimal()


@pytest.mark.parametrize("call", UNGUARDED, ids=named)
def test_a_tag_that_would_not_be_looked_at(call, careless):
    """Whoever sends If-Match rests on it: a call that does not look at it must not act as if it had."""
    response = call.send(careless, call.path(**VALUES), if_match='"1"')

    if not call.view.writes:
        assert response.status_code == 200  # Nothing is written, so nothing can be overwritten.
    else:
        assert_problem(response, 400, "INVALID", errors={"If-Match": ["This call looks at no tag. Leave it out."]})
