"""History in words: every verb has its sentence, and its fields read as old and new."""

import ast
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings

from flags.models import Change
from flags.sentences import PHRASES, Part, fields, sentence

END = "2027-03-03T09:30:00+00:00"


def change(verb: str, before: dict | None = None, after: dict | None = None, **more) -> Change:
    names = {
        "actor": "ana@example.com",
        "actor_name": "Ana Ruiz",
        "flag": "api_access",
        "flag_name": "API Access",
        "company_slug": "globex",
        "company_name": "Globex",
    }
    return Change(verb=verb, before=before or {}, after=after or {}, **{**names, **more})


ON, OFF = {"enabled": True}, {"enabled": False}


@pytest.mark.parametrize(
    ("verb", "before", "after", "deed"),
    [
        ("create_flag", {}, {"name": "API Access"}, "created API Access"),
        ("create_flag", {}, {"default_enabled": True}, "created API Access, on by default"),
        ("edit_flag", {"name": "A"}, {"name": "B"}, "changed the name of API Access"),
        (
            "edit_flag",
            {"name": "A", "requires": [], "owner": ""},
            {"name": "B", "requires": ["x"], "owner": "Bo"},
            "changed the name, owner and requirements of API Access",
        ),
        ("delete_flag", {"name": "A"}, {}, "deleted API Access"),
        ("set_default", {"default_enabled": False}, {"default_enabled": True}, "turned API Access on by default"),
        # The same answer, but an operator's from now on.
        (
            "set_default",
            {"default_source": "catalogue"},
            {"default_source": "operator"},
            "pinned the default of API Access",
        ),
        (
            "inherit_default",
            {"default_source": "operator", "default_enabled": True},
            {"default_source": "environment", "default_enabled": False},
            "let API Access follow the environment again, which says off",
        ),
        (
            "sync_default",
            {"default_enabled": False},
            {"default_enabled": True, "default_source": "environment"},
            "turned API Access on by default, as the environment says",
        ),
        (
            "set_channel",
            {"channel": "pilot"},
            {"channel": "pilot", "enabled": True, "percentage": 100},
            "turned API Access on for the pilot channel",
        ),
        (
            "set_channel",
            {"channel": "pilot", "percentage": 10},
            {"channel": "pilot", "enabled": True, "percentage": 25},
            "turned API Access on for 25 % of the pilot channel",
        ),
        (
            "set_channel",
            {"channel": "pilot", "enabled": True},
            {"channel": "pilot", "enabled": False, "percentage": 25},
            "turned API Access off for the pilot channel",
        ),
        (
            "remove_channel",
            {"channel": "pilot", "enabled": True},
            {},
            "let the pilot channel follow the default of API Access again",
        ),
        ("kill", {"killed": False}, {"killed": True}, "killed API Access"),
        ("revive", {"killed": True}, {"killed": False}, "revived API Access"),
        ("set_override", {}, ON | {"paused": False}, "turned API Access on for Globex"),
        ("set_override", ON, OFF, "turned API Access off for Globex"),
        (
            "set_override",
            ON | {"expires_at": END},
            ON | {"expires_at": None},
            "kept API Access on for Globex, without an end",
        ),
        ("set_override", ON | {"paused": False}, ON | {"paused": True}, "paused the override of API Access for Globex"),
        (
            "set_override",
            ON | {"paused": True},
            ON | {"paused": False},
            "resumed the override of API Access for Globex",
        ),
        (
            "set_override",
            ON | {"reason": "a"},
            ON | {"reason": "b"},
            "changed the reason why API Access is on for Globex",
        ),
        ("remove_override", ON, {}, "removed the override of API Access for Globex"),
        ("set_opt_in", {}, ON, "switched API Access on at Globex"),
        ("remove_opt_in", ON, {}, "took back the choice of API Access at Globex"),
        ("grant", {}, ON | {"user": "dan@x.org"}, "granted API Access to dan@x.org at Globex"),
        ("grant", {}, OFF | {"user": "dan@x.org"}, "denied API Access to dan@x.org at Globex"),
        (
            "grant",
            ON | {"user": "dan@x.org", "expires_at": None},
            ON | {"user": "dan@x.org", "expires_at": END},
            "changed the grant of API Access to dan@x.org at Globex until 2027-03-03 09:30 UTC",
        ),
        ("revoke", ON | {"user": "dan@x.org"}, {}, "revoked the grant of API Access to dan@x.org at Globex"),
        ("move_company", {"channel": "general"}, {"channel": "pilot"}, "moved Globex from general to pilot"),
        (
            "move_company",
            {"channel": "general", "plan": "starter"},
            {"channel": "pilot", "plan": "pro"},
            "moved Globex from general to pilot and from starter to pro",
        ),
        ("edit_company", {"is_active": True}, {"is_active": False}, "deactivated Globex"),
        ("edit_company", {"name": "Old"}, {"name": "Globex"}, "renamed Globex to Globex"),
        ("add_member", {}, {"user": "dan@x.org", "role": "admin"}, "added dan@x.org to Globex as admin"),
        ("set_role", {"user": "d@x", "role": "admin"}, {"user": "d@x", "role": "member"}, "made d@x member at Globex"),
        ("remove_member", {"user": "dan@x.org", "role": "admin"}, {}, "removed dan@x.org from Globex"),
        ("create_token", {}, {"name": "deploy"}, "made the token deploy"),
        ("revoke_token", {"name": "deploy"}, {}, "revoked the token deploy"),
        ("view_as", {"viewing": False}, {"viewing": True}, "began viewing as Globex"),
    ],
)
def test_each_verb_reads_as_a_sentence(verb, before, after, deed):
    assert sentence(change(verb, before, after)).deed == deed


def test_who_until_and_why_complete_it():
    said = sentence(change("set_override", {}, ON | {"expires_at": END}, reason="contract 881"))
    assert said.until == datetime(2027, 3, 3, 9, 30, tzinfo=UTC)
    assert said.text == "Ana Ruiz turned API Access on for Globex until 2027-03-03 09:30 UTC — contract 881"
    assert (said.tone, said.icon) == ("on", "check")


def test_its_parts_say_what_can_be_linked():
    said = sentence(change("set_override", {}, ON))
    assert said.parts == (
        Part("text", "turned "),
        Part("flag", "API Access", "api_access"),
        Part("text", " on for "),
        Part("company", "Globex", "globex"),
    )


def test_braces_in_names_are_only_text():
    said = sentence(change("create_token", {}, {"name": "{flag} {0}"}, flag_name="{company}"))
    assert said.deed == "made the token {flag} {0}"
    assert sentence(change("kill", flag_name="{company}")).deed == "killed {company}"


def test_a_verb_nobody_has_words_for_still_reads():
    assert sentence(change("polish_flag")).deed == "polish flag API Access for Globex"
    assert sentence(change("polish_all", flag="", company_slug="")).deed == "polish all"


def test_every_verb_that_is_recorded_has_its_sentence():
    recorded = set(_recorded_verbs())
    assert {"kill", "set_override", "promote", "create_token"} <= recorded
    assert recorded - set(PHRASES) == set()


def _recorded_verbs():
    """Yield every verb given to `record` or `line`, or kept in a variable called verb on the way there."""
    for path in [*Path(settings.BASE_DIR, "flags").glob("*.py"), *Path(settings.BASE_DIR, "tenants").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            said: list[ast.AST] = []
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("record", "line"):
                said = node.args[:1]
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "verb":
                value = node.value
                said = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
            for text in said:
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    yield text.value


def test_fields_read_as_words_and_leave_out_what_stayed():
    before = {
        "enabled": True,
        "channel": "pilot",
        "percentage": 10,
        "metadata": {},
        "is_internal": False,
        "requires": [],
    }
    after = {"enabled": False, "channel": "pilot", "percentage": 20, "metadata": {"a": 1}, "is_internal": True}
    found = {
        field.name: (field.old, field.new) for field in fields(change("x", before, after | {"requires": ["a", "b"]}))
    }
    assert found == {
        "answer": ("on", "off"),
        "percentage": ("10 %", "20 %"),
        "metadata": ("none", '{"a": 1}'),
        "internal": ("no", "yes"),
        "requirements": ("none", "a, b"),
    }


def test_a_moment_stays_a_moment_so_that_a_page_can_show_it_as_one():
    [field] = fields(change("set_override", {"expires_at": None}, {"expires_at": END}))
    assert (field.name, field.old, field.new) == ("until", "none", datetime(2027, 3, 3, 9, 30, tzinfo=UTC))
