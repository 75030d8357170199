"""Who may import whom, read from the code itself. A new module says here what it is; the rest follows.

Doors parse, call and render: they never write, and never know each other. What is read never depends on what writes.
Deciding is pure. The core of tenants knows nothing of flags.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

BASE = Path(settings.BASE_DIR)
OURS = ("flags", "tenants", "config")

# What each module of flags is. Sub-packages that are doors, and everything in tenants, need no line here.
KINDS = {
    "pure": [
        "answers",
        "catalogue",
        "demodata",
        "evaluation",
        "querytext",
    ],
    "data": [
        "batchmodels",
        "callmodels",
        "exceptions",
        "keyset",
        "models",
        "releasemodels",
        "viewmodels",
    ],
    "ground": [
        "announcements",
        "guardedcache",
        "listening",
        "loading",
        "placing",
        "policies",
        "postgrestriggers",
        "registry",
        "resolution",
        "setwise",
        "sharedcache",
        "snapshots",
        "sqlanswers",
        "sqlitetriggers",
        "tallies",
        "tracked",
        "triggers",
        "usage",
        "versions",
        "watching",
    ],
    "read": [
        "auditruns",
        "channels",
        "decorators",
        "details",
        "evidence",
        "features",
        "gates",
        "guards",
        "impact",
        "integrations",
        "isolation",
        "isolationdata",
        "isolationfindings",
        "isolationprobes",
        "isolationschema",
        "permissions",
        "requests",
        "restframework",
        "scanning",
        "staleness",
        "standing",
        "testing",
    ],
    "page": [
        "board",
        "bulkimpact",
        "channelcompanies",
        "companyfeatures",
        "companyimpact",
        "companynews",
        "releasenews",
        "finding",
        "flagpage",
        "history",
        "inspector",
        "overview",
        "palette",
        "roster",
        "sentences",
        "summary",
    ],
    "write": [
        "apitokens",
        "archiving",
        "audits",
        "bulk",
        "bulkdeeds",
        "bulkmoves",
        "bulkoverrides",
        "changes",
        "companies",
        "demo",
        "gatekeeping",
        "gatetemplates",
        "grants",
        "idempotency",
        "loadpeople",
        "loadscale",
        "loadwriting",
        "lostanswers",
        "manyoverrides",
        "optins",
        "orgsettings",
        "outbox",
        "overridefiles",
        "overrides",
        "provisioning",
        "recording",
        "rehearsal",
        "releases",
        "repeating",
        "reverting",
        "revisions",
        "rollbacks",
        "savedviews",
        "sync",
        "undoimpact",
    ],
    "wiring": [
        "apps",
        "checks",
        "context_processors",
        "middleware",
        "openfeature",
        "pytest_plugin",
        "signals",
        "spans",
    ],
}
# A kind may import its own and these. Wiring may import everything but doors.
BELOW = {
    "pure": (),
    "data": (),
    "ground": ("pure", "data"),
    "read": ("pure", "data", "ground"),
    "write": ("pure", "data", "ground", "read"),
    # Read models of pages are for pages: a change must not rest on them.
    "page": ("pure", "data", "ground", "read"),
    "wiring": ("pure", "data", "ground", "read", "page", "write"),
    "door": ("pure", "data", "read", "page", "write"),
}
# How changes are made is their own business; a door calls a verb.
INSIDE_CHANGES = {"recording", "overrides", "optins", "grants", "manyoverrides"}

DOORS = ("flags.console", "flags.company", "flags.api", "flags.management")
EXCEPTIONS = {
    ("flags.api.errors", "flags.recording"),  # The longest reason there may be, said in the schema.
    ("flags.management.commands.flush", "flags.triggers"),  # Lifts the guard of history to empty a database.
}
# The five public names stand in these; tenants' doors may use them like any other application.
PUBLIC = {"flags.decorators", "flags.features", "flags.testing"}

WRITES = {
    *("save", "create", "update", "delete", "bulk_create", "bulk_update", "get_or_create", "update_or_create"),
    *("asave", "acreate", "aupdate", "adelete", "abulk_create", "abulk_update", "aget_or_create", "aupdate_or_create"),
    *("create_user", "create_superuser", "select_for_update", "cursor", "execute", "raw"),
}
NO_WRITE = {("flags/api/errors.py", "found.update")}  # A dictionary.


def modules() -> dict[str, Path]:
    """Return every module of ours, by its full name."""
    paths = (path for app in OURS for path in (BASE / app).rglob("*.py") if "migrations" not in path.parts)
    return {_name(path): path for path in paths}


def _name(path: Path) -> str:
    return ".".join(path.relative_to(BASE).with_suffix("").parts).removesuffix(".__init__")


MODULES = modules()
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}


def imports(name: str) -> Iterator[str]:
    """Yield the modules that one imports, wherever in it: ours by full name, others by their first."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively."
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module)


def ours(name: str) -> set[str]:
    return {found for found in imports(name) if found.split(".")[0] in OURS and found != name}


def door_of(name: str) -> str | None:
    return next((door for door in DOORS if name == door or name.startswith(f"{door}.")), None)


PLACES = {f"flags.{module}": kind for kind, names in KINDS.items() for module in names}


def kind_of(name: str) -> str:
    if door_of(name):
        return "door"
    return PLACES.get(name, "wiring" if name.startswith("flags.templatetags") else "unplaced")


FLAGS = sorted(name for name in MODULES if name.startswith("flags.") and TREES[name].body)
IN_DOORS = [name for name in FLAGS if kind_of(name) == "door"]


def test_every_module_has_its_place():
    unplaced = [name for name in FLAGS if kind_of(name) == "unplaced"]
    assert unplaced == [], "Say in KINDS what they are."
    assert [name for name in PLACES if name not in MODULES] == [], "These are gone."


@pytest.mark.parametrize("name", [name for name in FLAGS if kind_of(name) != "unplaced"])
def test_it_imports_only_what_lies_below(name):
    kind = kind_of(name)
    allowed = {kind, *BELOW[kind], "unplaced"}
    wrong = {
        found
        for found in ours(name)
        if found.startswith("flags.") and kind_of(found) not in allowed and (name, found) not in EXCEPTIONS
    }
    assert wrong == set()


@pytest.mark.parametrize("name", IN_DOORS)
def test_doors_do_not_know_each_other_nor_how_changes_are_made(name):
    found = ours(name)
    others = {other for other in found if door_of(other) and door_of(other) != door_of(name)}
    inside = {f"flags.{module}" for module in INSIDE_CHANGES} & found
    assert others == set()
    assert {(name, module) for module in inside} <= EXCEPTIONS


@pytest.mark.parametrize("name", [name for name in FLAGS if kind_of(name) == "pure"])
def test_deciding_needs_the_standard_library_alone(name):
    foreign = {found for found in imports(name) if found.split(".")[0] not in sys.stdlib_module_names}
    assert {found for found in foreign if kind_of(found) != "pure"} == set()


@pytest.mark.parametrize(
    "name",
    [
        "flags.models",
        "flags.releasemodels",
        "flags.callmodels",
        "flags.batchmodels",
        "flags.viewmodels",
        "tenants.models",
    ],
)
def test_models_know_only_models(name):
    assert {found for found in ours(name) if not found.endswith("models")} == set()


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.startswith("tenants.")))
def test_tenants_know_nothing_of_flags(name):
    assert {found for found in ours(name) if found.startswith("flags")} - PUBLIC == set()


def test_nothing_imports_in_a_circle():
    seen: dict[str, int] = {}

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " → ".join([*way[way.index(name) :], name])
        if name not in seen:
            for found in sorted(ours(name) & MODULES.keys()):
                visit(found, (*way, name))
            seen[name] = 1

    for name in MODULES:
        visit(name, ())


@pytest.mark.parametrize("name", IN_DOORS)
def test_doors_never_write(name):
    path = str(MODULES[name].relative_to(BASE))
    calls = {ast.unparse(node.func) for node in ast.walk(TREES[name]) if _is_write(node)}
    assert {call for call in calls if (path, call) not in NO_WRITE} == set()


def _is_write(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES


# Several transactions of an operator's, and a question that is asked until it is answered.
NEVER_REPEATED = {("flags.loadscale", name) for name in ("load", "_load_flags", "_load_companies", "_load_overrides")}
NEVER_REPEATED |= {("flags.loadpeople", "load_people"), ("flags.loadpeople", "load_history")}
NEVER_REPEATED |= {("flags.lostanswers", "was_saved")}


@pytest.mark.parametrize("name", FLAGS)
def test_whatever_takes_the_writers_lock_is_repeated_after_a_deadlock(name):
    functions = [node for node in ast.walk(TREES[name]) if isinstance(node, ast.FunctionDef)]
    writers = [one for one in functions if any(_takes_the_lock(node) for node in ast.walk(one))]
    forgotten = {(name, one.name) for one in writers if "verb" not in map(ast.unparse, one.decorator_list)}
    assert forgotten - NEVER_REPEATED == set()


def _takes_the_lock(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "writing"


@pytest.mark.parametrize(
    ("code", "is_caught"),
    [
        ("flag.save()", True),
        ("Flag.objects.filter(key=key).update(name='x')", True),
        ("await Flag.objects.acreate()", True),
        ("changes.set_default(key, True, actor=actor)", False),
    ],
)
def test_a_write_is_known_when_it_is_seen(code, is_caught):
    tree = ast.parse(f"async def view():\n    {code}")
    assert any(_is_write(node) for node in ast.walk(tree)) == is_caught


@pytest.mark.parametrize("name", sorted(MODULES))
def test_packages_are_empty_and_imports_stand_at_the_top(name):
    if MODULES[name].name == "__init__.py":
        assert MODULES[name].read_text() == ""
    # Applications and plug-ins start before the models are there.
    if name not in ("flags.apps", "tenants.apps", "flags.pytest_plugin"):
        inner = [node for body in TREES[name].body if not isinstance(body, ast.If) for node in ast.walk(body)]
        late = [node.lineno for node in inner if isinstance(node, ast.Import | ast.ImportFrom) and node.col_offset]
        assert late == []


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_module_is_named_for_nothing_in_particular(name):
    assert name.split(".")[-1] not in {"services", "helpers", "utils", "common", "misc", "util", "helper"}
