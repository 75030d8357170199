import pytest
from django.http import HttpResponse
from django.template import engines
from django.test import RequestFactory

from config.csp import ContentSecurityPolicyMiddleware, csp_nonce


def answer(view):
    return ContentSecurityPolicyMiddleware(view)(RequestFactory().get("/"))


def policy(response):
    parts = (part.split() for part in response["Content-Security-Policy"].split("; "))
    return {name: sources for name, *sources in parts}


@pytest.mark.parametrize(
    ("directive", "sources"),
    [
        ("default-src", ["'none'"]),
        ("script-src", ["'self'"]),
        ("style-src", ["'self'"]),
        ("img-src", ["'self'", "data:"]),
        ("connect-src", ["'self'"]),
        ("font-src", ["'self'"]),
        ("form-action", ["'self'"]),
        ("base-uri", ["'none'"]),
        ("frame-ancestors", ["'none'"]),
    ],
)
def test_nothing_but_our_own_files_is_allowed(directive, sources):
    assert policy(answer(lambda request: HttpResponse()))[directive] == sources


def test_a_nonce_that_was_used_is_allowed_for_scripts_alone():
    response = answer(lambda request: HttpResponse(str(request.csp_nonce)))
    nonce = response.content.decode()
    allowed = policy(response)
    assert len(nonce) >= 22  # 128 bits
    assert f"'nonce-{nonce}'" in allowed["script-src"]
    assert not any("nonce" in source for name, sources in allowed.items() for source in sources if name != "script-src")


def test_a_nonce_nobody_used_is_not_mentioned():
    assert "nonce" not in answer(lambda request: HttpResponse())["Content-Security-Policy"]


def test_the_nonce_stays_the_same_within_an_answer_and_differs_between_answers():
    def view(request):
        return HttpResponse(f"{request.csp_nonce} {request.csp_nonce}")

    first, again = answer(view).content.split()
    assert first == again
    assert first not in answer(view).content


def test_htmx_carries_the_nonce_of_its_page():
    def view(request):
        template = engines["django"].from_string("{% load django_htmx %}{% htmx_script %}")
        return HttpResponse(template.render(csp_nonce(request), None))

    response = answer(view)
    (source,) = (source for source in policy(response)["script-src"] if "nonce" in source)
    assert f'nonce="{source[7:-1]}"' in response.content.decode()


def test_a_view_can_replace_single_directives_for_its_own_page():
    def view(request):
        response = HttpResponse()
        response.csp = {"style-src": ("'self'", "'unsafe-inline'")}
        return response

    allowed = policy(answer(view))
    assert allowed["style-src"] == ["'self'", "'unsafe-inline'"]
    assert allowed["script-src"] == ["'self'"]


def test_an_answer_that_brings_its_own_policy_keeps_it():
    response = answer(lambda request: HttpResponse(headers={"Content-Security-Policy": "sandbox"}))
    assert response["Content-Security-Policy"] == "sandbox"


def test_the_sibling_headers_are_there():
    response = answer(lambda request: HttpResponse())
    assert "camera=()" in response["Permissions-Policy"]
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"
    assert response["Cross-Origin-Embedder-Policy"] == "require-corp"


def test_a_refused_host_is_answered_under_the_policy_as_well(client):
    response = client.get("/", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert policy(response)["default-src"] == ["'none'"]
