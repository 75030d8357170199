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
