import uuid

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from config.requestid import RequestIdMiddleware
from tenants import provenance


def answer(**headers):
    """Send one request through the middleware; return it, its answer and the id that code inside could see."""
    seen = []

    def view(request):
        seen.append(provenance.request_id.get())
        return HttpResponse()

    request = RequestFactory().get("/", headers=headers)
    return request, RequestIdMiddleware(view)(request), seen[0]


def test_a_sane_id_from_a_proxy_is_kept_everywhere():
    request, response, seen = answer(X_Request_ID="edge-7f3a.19_b")
    assert request.request_id == response["X-Request-ID"] == seen == "edge-7f3a.19_b"


@pytest.mark.parametrize(
    "offered",
    [
        "",
        "short77",  # seven characters
        "x" * 65,
        "two words here",
        "line\nbreak-forged",
        "trailing-newline\n",  # `$` would let this one pass
        "<script>alert</script>",
        "äöüäöüäöü",
    ],
)
def test_anything_else_is_replaced_by_a_uuid(offered):
    request, response, seen = answer(X_Request_ID=offered)
    assert str(uuid.UUID(seen)) == seen == request.request_id == response["X-Request-ID"]


def test_without_an_offer_every_request_gets_its_own():
    assert answer()[2] != answer()[2]


def test_the_id_ends_with_its_request():
    answer(X_Request_ID="edge-12345678")
    assert provenance.request_id.get() == ""


def test_the_id_ends_also_when_the_view_fails():
    def view(request):
        raise LookupError

    with pytest.raises(LookupError):
        RequestIdMiddleware(view)(RequestFactory().get("/"))
    assert provenance.request_id.get() == ""
