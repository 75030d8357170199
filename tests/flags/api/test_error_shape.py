"""Every refusal of the API has the one shape of RFC 9457, whatever went wrong."""

import ast
import json
import re
from pathlib import Path
from unittest import mock

import pytest
from django.conf import settings
from django.db import OperationalError
from django.test import Client

from flags.api import parsing
from flags.features import Features
from tests.factories import FlagFactory
from tests.test_architecture import MODULES, TREES, door_of, ours

pytestmark = pytest.mark.django_db

MEMBERS = {"type", "title", "status", "detail", "instance", "code", "request_id"}
FLAGS = "/api/admin/feature-flags"


def assert_problem(response, status: int, code: str, **members) -> dict:
    """Check that a response is a problem of this status and code; return it."""
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert (response.status_code, problem["code"]) == (status, code), problem
    assert problem.keys() >= MEMBERS
    assert problem["status"] == status
    assert problem["type"] == f"urn:problem-type:headgate:{code.lower().replace('_', '-')}"
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == response["X-Request-ID"]
    assert problem["instance"] == response.wsgi_request.path
    for name, value in members.items():
        assert problem[name] == value
    return problem


class TestWhoCalls:
    def test_nobody_is_401_and_told_how_to_say_who(self, anonymous):
        response = anonymous.get("/api/features")

        assert_problem(response, 401, "NOT_AUTHENTICATED")
        assert response["WWW-Authenticate"] == 'Bearer realm="headgate"'

    @pytest.mark.parametrize("credential", ["hg_s_aaaaaaaaaaaa_" + "b" * 43, "not.a.jwt", "", "hg_"])
    def test_a_bad_token_is_401_even_beside_a_session(self, credential, alice, sign_in):
        response = sign_in(alice).get("/api/features", headers={"authorization": f"Bearer {credential}"})

        assert_problem(response, 401, "TOKEN_INVALID")
        assert 'error="invalid_token"' in response["WWW-Authenticate"]

    def test_a_session_without_its_csrf_token_is_403(self, alice, sign_in):
        client = sign_in(alice, enforce_csrf_checks=True)

        assert client.get("/api/features").status_code == 200
        assert_problem(client.post("/api/features/check", {}), 403, "CSRF_FAILED")

    def test_a_session_with_its_csrf_token_may_write(self, alice, sign_in):
        client = sign_in(alice, enforce_csrf_checks=True)
        client.cookies[settings.CSRF_COOKIE_NAME] = "a" * 32

        response = client.post(
            FLAGS,
            {"key": "fleet_chat", "enabled": True},
            content_type="application/json",
            headers={"x-csrftoken": "a" * 32},
        )

        assert response.status_code == 201

    def test_a_person_who_is_no_super_admin_is_403(self, bob, as_person):
        assert_problem(as_person(bob).get(FLAGS), 403, "NOT_ALLOWED")

    def test_a_token_without_the_scope_is_403_and_told_which(self, as_token):
        problem = assert_problem(as_token("evaluate").get(FLAGS), 403, "SCOPE_MISSING")

        assert "flags:read" in problem["detail"]


class TestFeatureOff:
    def test_it_names_the_flag_and_the_reason(self, bob, as_person):
        assert_problem(
            as_person(bob).get("/api/integrations/accounting"),
            403,
            "ACCOUNTING_DISABLED",
            flag="accounting_enabled",
            reason="default",
        )

    def test_it_says_the_way_out_that_fits_the_reason(self, globex, carol, as_person):
        """Plan and flag are two answers: a starter company that chose AI is told of its plan, not to turn it on."""
        client = as_person(carol)
        client.patch("/api/org-settings", {"ai_enabled": True}, content_type="application/json")

        problem = assert_problem(client.get("/api/integrations/ai"), 403, "AI_DISABLED", reason="plan")
        assert "a higher plan" in problem["detail"]
        states = {row["domain"]: row["state"] for row in client.get("/api/integrations").json()["results"]}
        assert states == {"accounting": "disabled", "ai": "not_in_plan", "document_signing": "disabled"}

    def test_what_an_internal_flag_guards_is_not_there(self, bob, as_person):
        flag = FlagFactory._meta.model.objects.get(key="accounting_enabled")
        flag.is_internal = True
        flag.save()

        response = as_person(bob).get("/api/integrations/accounting")

        problem = assert_problem(response, 404, "DOMAIN_NOT_FOUND")
        assert problem.keys() == MEMBERS
        assert "accounting_enabled" not in response.content.decode()


class TestAddresses:
    @pytest.mark.parametrize("path", ["/api/", "/api/nothing", "/api/features/", "/api/admin/", "/ofrep/v9/x", "/api"])
    def test_an_unknown_one_is_404_and_never_a_redirect(self, path, anonymous):
        assert_problem(anonymous.get(path), 404, "ROUTE_NOT_FOUND")

    def test_a_wrong_method_is_405_and_told_which_are_right(self, admin):
        response = admin.put("/api/features")

        assert_problem(response, 405, "METHOD_NOT_ALLOWED")
        assert "GET" in response["Allow"]

    def test_an_unknown_flag_is_404(self, admin):
        assert_problem(admin.get(f"{FLAGS}/nothing_here"), 404, "FLAG_NOT_FOUND")

    def test_an_unknown_company_is_404(self, admin):
        assert_problem(admin.get("/api/admin/tenants/nowhere/features"), 404, "COMPANY_NOT_FOUND")

    def test_a_page_beyond_the_last_is_404(self, admin):
        assert_problem(admin.get(f"{FLAGS}?page=99"), 404, "PAGE_NOT_FOUND")

    @pytest.mark.parametrize("page", ["0", "-1", "x", "1.5", "9" * 30, "", "%00"])
    def test_an_absurd_page_number_is_400(self, page, admin):
        problem = assert_problem(admin.get(f"{FLAGS}?page={page}"), 400, "INVALID")

        assert "page" in problem["errors"]

    def test_a_misspelt_parameter_is_400_and_named(self, admin):
        problem = assert_problem(admin.get(f"{FLAGS}?categroy=core"), 400, "INVALID")

        assert "categroy" in problem["errors"]


class TestMediaTypes:
    def test_an_answer_nobody_makes_is_406(self, admin):
        assert_problem(admin.get("/api/features", headers={"accept": "image/png"}), 406, "NOT_ACCEPTABLE")

    def test_a_body_nobody_reads_is_415(self, admin):
        response = admin.post(FLAGS, "<key/>", content_type="application/xml")

        assert_problem(response, 415, "UNSUPPORTED_MEDIA_TYPE")

    def test_a_form_is_415(self, admin):
        assert_problem(admin.post(FLAGS, {"key": "fleet_chat", "enabled": "true"}), 415, "UNSUPPORTED_MEDIA_TYPE")


class TestBodies:
    """What cannot be read, or could be read in two ways, is refused; and nothing is written."""

    @pytest.mark.parametrize(
        "body",
        [
            "{",
            "",
            "nothing",
            '{"key": "fleet_chat", "enabled": true, "enabled": false}',
            '{"key": "fleet_chat", "enabled": true, "metadata": {"n": NaN}}',
            '{"key": "fleet_chat", "enabled": true, "metadata": {"n": 1e999}}',
            '{"key": "fleet_chat", "enabled": true, "metadata": {"n": ' + "9" * 5000 + "}}",
            '{"key": "fleet_chat", "enabled": true, "metadata": ' + '{"a":' * 30 + "1" + "}" * 30 + "}",
            "[" * 100_000,
            b'{"key": "fleet_\xff", "enabled": true}',
            '\ufeff{"key": "fleet_chat", "enabled": true}',
        ],
    )
    def test_malformed_ones_are_400(self, body, admin):
        response = admin.generic("POST", FLAGS, body, content_type="application/json")

        assert response.status_code == 400
        assert response.json()["code"] in ("MALFORMED_BODY", "INVALID")
        assert "fleet_chat" not in admin.get("/api/features").json()

    @pytest.mark.parametrize("body", ["[]", '"text"', "1", "null", "[[]]"])
    def test_anything_but_an_object_is_400(self, body, admin):
        assert_problem(admin.generic("POST", FLAGS, body, content_type="application/json"), 400, "INVALID")

    @pytest.mark.parametrize(
        "field", [{"description": "a\x00b"}, {"metadata": {"a": ["\ud800"]}}, {"metadata": {"a\x00": 1}}]
    )
    def test_characters_no_database_keeps_are_400(self, field, admin):
        body = json.dumps({"key": "fleet_chat", "enabled": True, **field})
        problem = assert_problem(admin.generic("POST", FLAGS, body, content_type="application/json"), 400, "INVALID")

        assert next(iter(field)) in next(iter(problem["errors"]))
        assert "fleet_chat" not in admin.get("/api/features").json()

    def test_one_that_is_too_large_is_413(self, admin):
        body = json.dumps({"key": "fleet_chat", "enabled": True, "description": "x" * parsing.JSON_BYTES})

        assert_problem(admin.generic("POST", FLAGS, body, content_type="application/json"), 413, "CONTENT_TOO_LARGE")

    @pytest.mark.parametrize("media_type", ["application/json", "application/x-www-form-urlencoded", ""])
    def test_an_empty_one_is_never_taken_for_false(self, media_type, acme, admin):
        response = admin.generic("PUT", "/api/admin/tenants/acme/overrides/api_access", b"", content_type=media_type)

        problem = assert_problem(response, 400, "INVALID")
        assert list(problem["errors"]) == ["enabled"]

    def test_an_empty_form_is_nothing_at_all(self, acme, admin):
        assert admin.post("/api/admin/tenants/acme/enable-multi-workspace").status_code == 200

    def test_unknown_fields_are_named(self, admin):
        body = {"key": "fleet_chat", "enabled": True, "enabeld": True}
        problem = assert_problem(admin.post(FLAGS, body, content_type="application/json"), 400, "INVALID")

        assert list(problem["errors"]) == ["enabeld"]

    @pytest.mark.parametrize("value", ["true", 1, 0, None, [], {}, "on"])
    def test_only_true_and_false_are_booleans(self, value, admin):
        body = {"key": "fleet_chat", "enabled": value}

        problem = assert_problem(admin.post(FLAGS, body, content_type="application/json"), 400, "INVALID")
        assert list(problem["errors"]) == ["enabled"]

    def test_rows_are_named_by_their_index(self, acme, admin):
        rows = [{"key": "api_access", "enabled": True}, {"key": "white_label", "enabled": "yes"}]
        response = admin.put("/api/admin/tenants/acme/overrides", {"overrides": rows}, content_type="application/json")

        problem = assert_problem(response, 400, "INVALID", index=1)
        assert list(problem["errors"]) == ["overrides[1].enabled"]


class TestRaces:
    def test_a_stale_version_is_409_with_both_values(self, admin):
        FlagFactory(key="fleet_chat", name="Chat")
        body = {"name": "Talk", "version": 7}

        problem = assert_problem(
            admin.patch(f"{FLAGS}/fleet_chat", body, content_type="application/json"), 409, "CONFLICT", version=1
        )
        assert problem["current"]["name"] == "Chat"
        assert problem["yours"]["name"] == "Talk"

    def test_a_stale_tag_is_412_with_both_values(self, admin):
        FlagFactory(key="fleet_chat", name="Chat")

        response = admin.patch(
            f"{FLAGS}/fleet_chat", {"name": "Talk"}, content_type="application/json", headers={"if-match": '"7"'}
        )

        problem = assert_problem(response, 412, "PRECONDITION_FAILED", version=1)
        assert problem["current"]["name"] == "Chat"
        assert problem["yours"]["name"] == "Talk"


class TestTrouble:
    def test_what_nobody_foresaw_is_500_with_the_request_id_and_nothing_else(self, admin, caplog):
        with mock.patch.object(Features, "listing", side_effect=RuntimeError("secret of the house")):
            response = admin.get("/api/features")

        problem = assert_problem(response, 500, "INTERNAL_ERROR")
        assert problem.keys() == MEMBERS
        assert "secret" not in response.content.decode()
        assert "secret of the house" in caplog.text

    def test_a_database_that_is_away_is_503(self, admin):
        with mock.patch("flags.changes.kill", side_effect=OperationalError("could not connect to 10.0.0.7")):
            response = admin.post(f"{FLAGS}/api_access/kill", {"reason": "abuse"}, content_type="application/json")

        assert_problem(response, 503, "UNAVAILABLE")
        assert response["Retry-After"].isdecimal()
        assert "10.0.0.7" not in response.content.decode()

    def test_so_is_one_that_goes_before_anybody_is_known(self):
        client = Client(
            headers={"authorization": "Bearer hg_s_aaaaaaaaaaaa_" + "b" * 43}, raise_request_exception=False
        )
        with mock.patch("tenants.tokens.verify", side_effect=OperationalError("could not connect to 10.0.0.7")):
            response = client.get("/api/features")

        assert_problem(response, 503, "UNAVAILABLE")


class TestCodes:
    """Codes are promises: each stands in the documentation, and nothing else does."""

    def test_all_are_documented_and_all_documented_exist(self):
        text = Path(settings.BASE_DIR, "docs/api.md").read_text()
        documented = set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE))

        assert documented == codes_in_source()

    def test_those_of_features_are_documented_by_their_rule(self):
        assert "| `<KEY>_DISABLED` |" in Path(settings.BASE_DIR, "docs/api.md").read_text()


def codes_in_source() -> set[str]:
    """Return every code that the API can say: named `code`, or in a place where a problem takes one.

    That is in its own modules, and in all that these rest on; what only other doors use is none of its.
    """
    reached: set[str] = set()
    ahead = {name for name in MODULES if door_of(name) == "flags.api"} | {"config.errors", "tenants.middleware"}
    while ahead:
        reached |= ahead
        ahead = {found for name in ahead for found in ours(name) if found in MODULES} - reached
    nodes = (node for name in reached for node in ast.walk(TREES[name]))
    return {text for node in nodes for text in _codes(node) if re.fullmatch(r"[A-Z]+(_[A-Z]+)*", text)}


def _codes(node: ast.AST) -> list[str]:
    if isinstance(node, ast.keyword) and node.arg == "code":
        return _texts(node.value)
    if isinstance(node, ast.Assign):
        named = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
        named |= {name.attr for name in ast.walk(node) if isinstance(name, ast.Attribute)}
        return _texts(node.value) if named & {"code"} else []
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "OWN_WORDS":
        return _texts(node.value) if node.value else []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        place = {"describe": 2, "answer": 2, "BadToken": 1}.get(node.func.id)
        return [] if place is None or len(node.args) <= place else _texts(node.args[place])
    return []


def _texts(node: ast.AST) -> list[str]:
    return [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant) and isinstance(inner.value, str)]
