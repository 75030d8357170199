"""How the protocol is asked, and its published schema, its contradictions resolved, to hold answers against."""

from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

BULK = "/ofrep/v1/evaluate/flags"
DOCUMENT = Path(__file__).parents[2] / "protocols" / "ofrep" / "openapi.yaml"


def relaxed() -> dict:
    """Return the document, so changed that its own examples are valid."""
    document = yaml.safe_load(DOCUMENT.read_text())
    schemas = document["components"]["schemas"]
    # Any object is a "code default" as it stands, so that every value matches twice.
    schemas["codeDefaultFlag"]["not"] = {"required": ["value"]}
    # A whole number is both an integer and a float.
    for schema in schemas.values():
        for branch in (schema, *schema.get("allOf", ())):
            if "oneOf" in branch:
                branch["oneOf"] = [one for one in branch["oneOf"] if not one.get("$ref", "").endswith("/integerFlag")]
    # Reasons are open (the protocol's own examples say DEFAULT), and a failure in a list may say FLAG_NOT_FOUND.
    for schema in schemas.values():
        for branch in (schema, *schema.get("allOf", ())):
            branch.get("properties", {}).get("reason", {}).pop("enum", None)
    return document


def validator(name: str) -> Draft202012Validator:
    """Return a validator of one of the protocol's schemas."""
    registry = Registry().with_resource("urn:ofrep", Resource.from_contents(relaxed(), DRAFT202012))
    return Draft202012Validator({"$ref": f"urn:ofrep#/components/schemas/{name}"}, registry=registry)


def single(client, key, context=None, **kwargs):
    """Ask for one flag."""
    body = {"context": context or {}}
    return client.post(f"{BULK}/{key}", body, content_type="application/json", **kwargs)


def bulk(client, context=None, **kwargs):
    """Ask for all flags."""
    return client.post(BULK, {"context": context or {}}, content_type="application/json", **kwargs)


def values(response) -> dict:
    """Return, by key, what an answer with all flags says of each."""
    return {flag["key"]: flag["value"] for flag in response.json()["flags"]}
