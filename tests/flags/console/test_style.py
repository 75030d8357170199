"""The style page: every component, in development only."""

import re
from pathlib import Path

import pytest
from django.conf import settings as project

pytestmark = pytest.mark.django_db
PAGE = "/super-admin/style/"
COMPONENTS = {path.stem for path in (Path(project.BASE_DIR) / "templates" / "components").glob("_*.html")}


def test_it_does_not_exist_in_production(sign_in, alice):
    assert sign_in(alice).get(PAGE).status_code == 404


def test_it_is_for_super_admins(sign_in, bob, client, settings):
    settings.DEBUG = True
    assert sign_in(bob).get(PAGE).status_code == 403
    assert client.get(PAGE).status_code == 302


def test_it_shows_what_there_is(sign_in, alice, settings):
    settings.DEBUG = True
    response = sign_in(alice).get(PAGE)
    used = {template.name.split("/")[-1].removesuffix(".html") for template in response.templates if template.name}
    assert {"_switch", "_rail", "_ladder", "_impact", "_drawer", "_dialog", "_field", "_sparkline"} <= used & COMPONENTS
    markup = response.content.decode()
    sprite = re.findall(r'<symbol id="([\w-]+)"', (Path(project.BASE_DIR) / "static" / "icons.svg").read_text())
    assert [name for name in sprite if f"#{name}" not in markup] == []
    assert markup.count('aria-current="step"') == 1
    assert 'data-density="compact"' in sign_in(alice).get(PAGE, {"density": "compact"}).content.decode()


ELSEWHERE = {
    "_account": "stands at the foot of every page's sidebar",
    "_brand": "stands at the head of every page's sidebar",
    "_channel": "in the head of a company's pages, and in each row of their list",
    "_door_art": "the picture beside the form to sign in",
    "_keys": "stands around every page, opened by ?",
    "_messages": "stands around every page, with what just happened",
    "_nav_item": "stands in every page's sidebar",
    "_palette": "stands around every page, opened by Ctrl K",
    "_toast_templates": "stands around every page, for scripts",
    "_unsaved": "stands around every page, opened where something typed would be dropped",
    "_workspaces": "in the head of a company's pages, for who works in several",
}


def test_every_component_is_shown_or_stands_elsewhere_for_a_reason(sign_in, alice, settings):
    settings.DEBUG = True
    sources = [project.BASE_DIR / "templates" / "console" / name for name in ("style.html", "_style_dialog.html")]
    response = sign_in(alice).get(PAGE)
    used = {template.name.split("/")[-1].removesuffix(".html") for template in response.templates if template.name}
    assert COMPONENTS - used - ELSEWHERE.keys() == set(), "Show it on the style page, or say where it stands."
    assert ELSEWHERE.keys() - COMPONENTS == set(), "These are gone."
    shown = {name for name in ELSEWHERE if any(f"/{name}.html" in source.read_text() for source in sources)}
    assert shown == set(), "These are shown, and need no reason."


PARTS = ["_batch", "_release_card", "_release_gates", "_palette_results", "_search", "_filters", "_density"]


@pytest.mark.parametrize("part", PARTS)
def test_parts_of_pages_are_shown_by_their_own_templates(sign_in, alice, settings, part):
    settings.DEBUG = True
    response = sign_in(alice).get(PAGE)
    assert part in {
        template.name.split("/")[-1].removesuffix(".html") for template in response.templates if template.name
    }
