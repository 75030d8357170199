"""Finds the feature keys that templates and code ask for by name, by reading the files. Runs nothing."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from django.apps import apps
from django.template import engines
from django.template.utils import get_app_template_dirs

from flags.features import Features
from flags.registry import Use

INSTALLED = {"site-packages", "dist-packages"}
# A project's tests may well ask for keys that are wrong on purpose.
NOT_SERVED = {"tests", "migrations"}

LOADS_TAGS = re.compile(r"{%-?\s*load\s[^%]*\bflags\b")
TAG = re.compile(r"""{%\s*feature\s+["']([^"']*)["']""")
EXPRESSION = re.compile(r"{%.*?%}|{{.*?}}")
IN_EXPRESSION = re.compile(r"(?<![\w.\"'])(?:request\.)?features\.([a-z]\w*)")
# What a template may say of any collection that happens to be called `features`.
NO_KEYS = set(dir(Features)) | set(dir(list))

QUESTIONS = {"get", "decide", "peek", "explain", "require", "is_internal"}
ASKING = {"is_enabled", "ais_enabled", "require_feature"}
WORTH_READING = re.compile(r"is_enabled|require_feature|features_for|request\.features")


def uses_in_templates() -> Iterator[Use]:
    """Find `{% feature "key" %}`, `{% if features.key %}` and `{{ features.key }}` in the project's own templates."""
    named = [folder for engine in engines.all() for folder in engine.template_dirs]
    for folder in dict.fromkeys(Path(str(folder)) for folder in (*named, *get_app_template_dirs("templates"))):
        if INSTALLED.isdisjoint(folder.parts):
            for path in sorted(path for kind in ("*.html", "*.txt") for path in folder.rglob(kind)):
                for key in keys_in_template(path.read_text(encoding="utf-8", errors="replace")):
                    yield Use(key, f"the template {path.relative_to(folder)}")


def keys_in_template(text: str) -> Iterator[str]:
    """Yield each key that a template's text names."""
    if LOADS_TAGS.search(text):
        yield from TAG.findall(text)
    for expression in EXPRESSION.findall(text):
        yield from (key for key in IN_EXPRESSION.findall(expression) if key not in NO_KEYS)


def uses_in_code() -> Iterator[Use]:
    """Find `is_enabled("key")`, `require_feature("key")`, and what is asked of `request.features` or `features_for(…)`.

    That is `…["key"]`, `….key` and `….decide("key")` with its like.
    """
    for config in apps.get_app_configs():
        folder = Path(config.path)
        if not INSTALLED.isdisjoint(folder.parts):
            continue
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            if NOT_SERVED.isdisjoint(parts):
                module = ".".join((config.name, *(part for part in parts if part != "__init__")))
                text = path.read_text(encoding="utf-8", errors="replace")
                for key, line in keys_in_code(text):
                    yield Use(key, f"{module}, line {line},")


def keys_in_code(text: str) -> Iterator[tuple[str, int]]:
    """Yield each key that a module's text names in an answer's place, with its line. Unreadable code names none."""
    if not WORTH_READING.search(text):
        return
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return  # Whoever imports it hears of it.
    asking = _imported(tree)
    for node in ast.walk(tree):
        named: ast.expr | None = None
        if isinstance(node, ast.Call) and node.args and _is_question(node.func, asking):
            named = node.args[0]
        elif isinstance(node, ast.Subscript) and _is_features(node.value, asking):
            named = node.slice
        elif isinstance(node, ast.Attribute) and node.attr not in NO_KEYS and _is_features(node.value, asking):
            yield node.attr, node.lineno
        if isinstance(named, ast.Constant) and isinstance(named.value, str):
            yield named.value, named.lineno


def _imported(tree: ast.AST) -> dict[str, str]:
    """Return the names under which a module knows what `flags.features` offers, each with its own name there."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "flags.features":
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "flags":
            for module in (alias.asname or alias.name for alias in node.names if alias.name == "features"):
                names |= {f"{module}.{name}": name for name in (*ASKING, "features_for")}
    return {name: original for name, original in names.items() if original in {*ASKING, "features_for"}}


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return f"{_name(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def _is_question(node: ast.expr, asking: dict[str, str]) -> bool:
    if isinstance(node, ast.Attribute) and node.attr in QUESTIONS and _is_features(node.value, asking):
        return True
    return asking.get(_name(node)) in ASKING


def _is_features(node: ast.expr, asking: dict[str, str]) -> bool:
    if isinstance(node, ast.Call):
        return asking.get(_name(node.func)) == "features_for"
    return _name(node) in ("request.features", "self.request.features")
