"""What a person can set, run, call or be told is written down: in README.md or in docs/*.md."""

import re
from importlib import import_module

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import find_commands
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RegexPattern

from flags.evaluation import Reason

BASE = settings.BASE_DIR
APPS = ("tenants", "flags")
OURS = ("config.", "tenants.", "flags.")
DOCUMENTS = {path.name: path.read_text() for path in (BASE / "README.md", *sorted((BASE / "docs").glob("*.md")))}
DOCS = "\n".join(DOCUMENTS.values())
EXAMPLE = (BASE / ".env.example").read_text()

# PYTEST_VERSION is how pytest says that it is running; nobody sets it.
SETTINGS = sorted(
    set(re.findall(r"""env(?:\.\w+)?\(\s*["']([A-Z_]+)["']""", (BASE / "config" / "settings.py").read_text()))
    - {"PYTEST_VERSION"}
)
COMMANDS = sorted(
    name for label in APPS for name in find_commands(str(BASE / apps.get_app_config(label).name / "management"))
)


def routes(resolver=None, prefix="/"):
    """Yield every path of ours with its parameters as `<name>`, whatever converter they have."""
    for entry in (resolver or get_resolver()).url_patterns:
        path = prefix + re.sub(r"<\w+:", "<", str(entry.pattern)).removeprefix("^").removesuffix(r"\Z")
        if isinstance(entry.pattern, RegexPattern):
            continue  # What answers for everything else is no address of its own.
        if isinstance(entry, URLResolver):
            yield from routes(entry, path)
        elif isinstance(entry, URLPattern) and getattr(entry.callback, "__module__", "").startswith(OURS):
            yield path


def anonymous(path):
    """Names of parameters are for people; two paths are the same when their parameters stand in the same places."""
    return re.sub(r"<[^>]*>", "<>", path)


DOCUMENTED = {anonymous(path) for path in re.findall(r"/[\w\-./<>]*", DOCS)}


def pages_above(path):
    """Yield the path, and the pages a form or a fragment at this path belongs to."""
    parts = path.strip("/").split("/")
    yield path
    for length in range(len(parts) - 1, 1, -1):
        yield f"/{'/'.join(parts[:length])}/"


def is_documented(path):
    """An endpoint of the API stands for itself; what lies beneath a documented page is part of that page."""
    path = anonymous(path)
    is_endpoint = path.startswith(("/api/", "/ofrep/"))
    return not DOCUMENTED.isdisjoint([path] if is_endpoint else pages_above(path))


def mentions(text, name):
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)


def test_there_is_something_to_look_for():
    assert {"DJANGO_SECRET_KEY", "DATABASE_URL", "FLAGS_FRESHNESS"} <= set(SETTINGS)
    assert "sync_flags" in COMMANDS
    assert "/healthz" in set(routes())


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_in_the_example_with_a_reason(name):
    lines = EXAMPLE.splitlines()
    (at,) = [number for number, line in enumerate(lines) if re.match(rf"(# )?{name}=", line)]
    assert re.match(r"# \w.* ", lines[at - 1]), f"Say above {name} in .env.example what it is for."


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_documented(name):
    assert mentions(DOCS, name)


def test_the_example_names_nothing_that_is_not_read():
    named = set(re.findall(r"^(?:# )?([A-Z][A-Z_]+)=", EXAMPLE, re.MULTILINE))
    flags = {feature.key.upper() for feature in import_module("flags.catalogue").FEATURES}
    assert named <= set(SETTINGS) | flags


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name):
    assert mentions(DOCS, name)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_documented(reason):
    assert f"`{reason.value}`" in DOCS


@pytest.mark.parametrize("path", sorted(set(routes())))
def test_every_url_is_documented(path):
    assert is_documented(path)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_between_documents_lead_somewhere(name):
    folder = BASE if name == "README.md" else BASE / "docs"
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", DOCUMENTS[name])
    assert [link for link in links if not (folder / link).exists()] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_make_targets_that_are_mentioned_exist(name):
    targets = set(re.findall(r"^([a-z0-9]+):", (BASE / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z0-9]+)", DOCUMENTS[name])) <= targets
