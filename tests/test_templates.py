"""What holds for every template: nothing inline, nothing from elsewhere, nothing that does not exist."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template.loader import get_template

BASE = Path(settings.BASE_DIR)
FOLDER = BASE / "templates"
SOURCES = {str(path.relative_to(FOLDER)): path.read_text() for path in sorted(FOLDER.rglob("*.html"))}
MARKUP = {
    name: re.sub(r"{% comment %}.*?{% endcomment %}", "", source, flags=re.DOTALL) for name, source in SOURCES.items()
}
CSS = (BASE / "static/css/app.css").read_text()
SCRIPT = (BASE / "static/js/app.js").read_text()
ICONS = set(re.findall(r'<symbol id="([\w-]+)"', (BASE / "static/icons.svg").read_text()))

every_template = pytest.mark.parametrize("name", SOURCES)


@every_template
def test_it_compiles(name):
    get_template(name)


@every_template
@pytest.mark.parametrize(
    "forbidden",
    [
        r"\sstyle\s*=",
        r"<style",
        r"\son\w+\s*=",
        r"hx-on",
        r"hx-\w+=[\"']js:",
        r"javascript:",
        r"<script(?![^>]*\ssrc=)",
        r"(?:src|href|action)=[\"'](?:https?:)?//",
    ],
)
def test_nothing_is_inline_or_from_another_host(name, forbidden):
    assert not re.search(forbidden, MARKUP[name])


@every_template
def test_every_icon_is_in_the_sprite(name):
    markup = MARKUP[name]
    names = re.findall(r'icons(?:\.svg"? %}| }})#([\w-]+)', markup)
    names += re.findall(r'_icon\.html" with name="([\w-]+)"', markup)
    names += re.findall(r'(?:_badge|_empty|_nav_item)\.html"[^%]*icon="([\w-]+)"', markup)
    names += re.findall(r'{% button [^%]*icon="([\w-]+)"', markup)
    assert set(names) - ICONS == set()


# Drawn again for each row of a long list, where a component of its own for each would be felt.
ROWS = re.compile(r"_rows?\.html$|_list\.html$|_flag_channels\.html$|_channel_companies\.html$")


@pytest.mark.parametrize("name", [name for name in SOURCES if not ROWS.search(name)])
def test_what_submits_a_form_is_drawn_by_the_button(name):
    by_hand = [found for found in re.findall(r"<button\b[^>]*", MARKUP[name]) if 'class="button' in found]
    special = re.compile(r'type="button"|aria-label=|formnovalidate')
    assert name == "components/_button.html" or [found for found in by_hand if not special.search(found)] == []


@pytest.mark.parametrize("name", [name for name in SOURCES if not ROWS.search(name)])
def test_what_is_a_table_to_look_at_is_drawn_by_the_table(name):
    assert name == "components/_table.html" or 'class="table ' not in MARKUP[name]


def classes_of(markup: str) -> tuple[set[str], set[str]]:
    """Return the classes that markup names, and the beginnings of those of which a template fills in the rest."""
    words = set(re.findall(r"{% block page_class %}([\w-]+){% endblock %}", markup))
    beginnings = set()
    for value in re.findall(r'\sclass="((?:{%.*?%}|{{.*?}}|[^"])*)"', markup, flags=re.DOTALL):
        beginnings.update(re.findall(r"([\w-]+-){[{%]", value))
        plain = re.sub(r"{{.*?}}", "\0", re.sub(r"{%.*?%}", " ", value))
        words.update(word for word in plain.split() if "\0" not in word and not word.endswith("-"))
    return words, beginnings


@every_template
def test_every_class_is_in_the_stylesheet(name):
    classes, _ = classes_of(MARKUP[name])
    missing = {word for word in classes if not re.search(rf"\.{re.escape(word)}(?![\w-])", CSS)}
    assert missing == set()


def test_every_class_of_the_stylesheet_is_used():
    words, beginnings = classes_of("\n".join(MARKUP.values()))
    words |= {"htmx-request"}  # htmx sets it.
    for script in (BASE / "static/js").glob("*.js"):
        words |= set(re.findall(r"[\w-]+", script.read_text()))
    rules = re.sub(r'/\*.*?\*/|"[^"]*"', "", CSS, flags=re.DOTALL)
    selectors = re.findall(r"([^{};]+){", rules)
    classes = {word for selector in selectors for word in re.findall(r"\.([a-z][\w-]*)", selector)}
    unused = {word for word in classes - words if not word.startswith(tuple(beginnings))}
    assert unused == set(), "Nothing has these classes any more."


def test_every_toast_that_the_script_shows_has_its_words():
    kinds = set(re.findall(r'kind="([\w-]+)"', SOURCES["components/_toast_templates.html"]))
    shown = set(re.findall(r'toast\("([\w-]+)"\)', SCRIPT)) | set(re.findall(r'\d{3}: "(\d{3})"', SCRIPT))
    assert shown
    assert shown <= kinds


@pytest.mark.parametrize("page", ["400.html", "405.html", "500.html", "503.html"])
def test_error_pages_need_no_context(page):
    assert "<h1>" in get_template(page).render()


def test_a_switched_off_feature_is_named_with_its_reason():
    feature = {"name": "API Access", "description": "REST API", "key": "api_access"}
    page = get_template("403.html").render({"feature": feature, "reason": "plan"})
    assert "API Access is not available to you" in page
    assert "Not part of the plan your company has" in page
    assert "api_access" not in page


def test_an_internal_feature_is_not_named():
    page = get_template("403.html").render({})
    assert "You may not open this page" in page
    assert "For support" not in page
