"""The published description: whole, valid, true to the views, and readable without the net."""

from pathlib import Path

import pytest
import yaml
from django.conf import settings
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from flags.api.docs import document
from flags.api.examples import REQUESTS, RESPONSES
from tests.flags.api.test_access import WHO

FILE = Path(settings.BASE_DIR, "docs", "openapi.yaml")
OPERATIONS = {
    operation["operationId"]: operation for methods in document()["paths"].values() for operation in methods.values()
}
HOW = "python manage.py spectacular --file docs/openapi.yaml"


def test_the_file_in_the_repository_says_what_the_code_does():
    assert yaml.safe_load(FILE.read_text()) == document(), (
        f"The API has changed. Run `{HOW}` and look at the difference."
    )


def test_it_is_openapi_3_1_and_valid():
    assert document()["openapi"] == "3.1.0"
    validate_schema(document())


def test_every_call_of_the_api_is_in_it():
    called = {f"{method}_{name}" for name, methods in WHO.items() for method in methods}

    assert called - OPERATIONS.keys() == set()
    assert OPERATIONS.keys() - called == {"post_single", "post_bulk"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_call_says_what_it_does_and_how_it_may_refuse(name):
    operation = OPERATIONS[name]

    assert operation["summary"]
    assert operation["tags"] != ["Other"]
    assert {"400", "401", "429", "500"} <= operation["responses"].keys()
    done = [answer for status, answer in operation["responses"].items() if status in ("200", "201")]
    assert done or "204" in operation["responses"]
    assert all(answer["content"] for answer in done)


def validator(schema: dict) -> Draft202012Validator:
    registry = Registry().with_resource("urn:api", Resource.from_contents(document(), DRAFT202012))
    text = yaml.safe_load(yaml.safe_dump(schema).replace("'#/", "'urn:api#/").replace(" #/", " urn:api#/"))
    return Draft202012Validator(text, registry=registry)


@pytest.mark.parametrize("name", REQUESTS)
def test_each_example_of_a_call_is_a_valid_one(name):
    for content in OPERATIONS[name]["requestBody"]["content"].values():
        validator(content["schema"]).validate(REQUESTS[name])


@pytest.mark.parametrize("name", RESPONSES)
def test_each_example_of_an_answer_is_a_valid_one(name):
    status, body = RESPONSES[name]
    for content in OPERATIONS[name]["responses"][str(status)]["content"].values():
        validator(content["schema"]).validate(body)


def test_it_is_served_to_anybody_as_json_or_yaml(client):
    answer = client.get("/api/schema")

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert answer.json() == document()
    as_yaml = client.get("/api/schema", headers={"accept": "application/yaml"})
    assert yaml.safe_load(as_yaml.content) == document()
    assert client.get("/api/schema", headers={"accept": "image/png"}).json()["code"] == "NOT_ACCEPTABLE"


def test_it_is_read_offline_under_a_policy_of_its_own(client):
    page = client.get("/api/docs/")
    text = page.content.decode()

    assert page.status_code == 200
    assert "http" not in text.replace("http-equiv", "")
    assert "<script>" not in text
    assert "<style" not in text
    policy = page["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "unsafe" not in client.get("/login/")["Content-Security-Policy"]
    script = client.get("/api/docs/?script")
    assert script["Content-Type"].startswith("application/javascript")
    assert "SwaggerUIBundle" in script.content.decode()


def test_the_page_refuses_like_the_rest(client):
    assert client.post("/api/docs/").json()["code"] == "METHOD_NOT_ALLOWED"
