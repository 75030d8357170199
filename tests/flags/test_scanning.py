"""Keys are found where templates and code name them, and nowhere else."""

import pytest

from flags.scanning import keys_in_code, keys_in_template, uses_in_code, uses_in_templates


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ('{% load flags %}{% feature "api_access" %}a{% endfeature %}', ["api_access"]),
        ("{% load i18n flags %}{% feature 'api_access' %}a{% endfeature %}", ["api_access"]),
        # Without our library the tag is somebody else's.
        ('{% load other %}{% feature "api_access" %}', []),
        ("{% load flags %}{% feature key %}a{% endfeature %}", []),
        (
            "{% if features.api_access %}a{% elif request.features.white_label %}b{% endif %}",
            ["api_access", "white_label"],
        ),
        ("{% if not features.api_access and x %}", ["api_access"]),
        ('{{ features.api_access|yesno:"on,off" }}', ["api_access"]),
        ("{% include 'a.html' with on=features.api_access %}", ["api_access"]),
        # Any collection may be called `features`.
        ("{% if features.items %}{{ features.count }}{{ features.0 }}{% endif %}", []),
        ("{% for feature in features %}{{ feature.name }}{% endfor %}", []),
        ("{{ company.features.api_access }}{% if my_features.api_access %}", []),
        ('{% include "features.html" %}{% url "features.list" %}', []),
        ("Say features.api_access in a condition.", []),
    ],
)
def test_keys_in_a_template(text, keys):
    assert list(keys_in_template(text)) == keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("from flags.features import is_enabled\nif is_enabled('api_access'): pass", [("api_access", 2)]),
        ("from flags.features import ais_enabled as on\nasync def f():\n return await on('a_b')", [("a_b", 3)]),
        ("from flags.features import require_feature\nrequire_feature('a_b', )", [("a_b", 2)]),
        ("from flags import features\nfeatures.is_enabled('a_b', user=None)", [("a_b", 2)]),
        ("from flags import features as f\nf.features_for(u, c)['a_b']", [("a_b", 2)]),
        ("from flags.features import features_for\nfeatures_for(u, c)['a_b']", [("a_b", 2)]),
        ("def view(request):\n    return request.features['a_b']", [("a_b", 2)]),
        ("class V:\n    def get(self):\n        return self.request.features['a_b']", [("a_b", 3)]),
        ("def view(request):\n    return request.features.a_b", [("a_b", 2)]),
        ("from flags.features import features_for\nfeatures_for(u, c).a_b", [("a_b", 2)]),
        ("def view(request):\n    request.features.require('a_b')", [("a_b", 2)]),
        ("def view(request):\n    return request.features.get('a_b') or request.features.stale", [("a_b", 2)]),
        # Not ours, or not to be known before it runs.
        ("from other import is_enabled\nis_enabled('a_b')", []),
        ("def is_enabled(x): pass\nis_enabled('a_b')", []),
        ("from flags.features import is_enabled\nis_enabled(key)\nis_enabled()", []),
        ("from flags.features import features_for\nfeatures_for('a_b')", []),
        ("request.features[key]\nrequest.features[0]", []),
        ("geojson.features['geometry']", []),
        ("is_enabled(", []),
    ],
)
def test_keys_in_code(text, keys):
    assert list(keys_in_code(text)) == keys


def test_an_applications_files_are_read_but_not_its_tests_and_migrations(another_app):
    asks = "def view(request):\n    return request.features['a_b']\n"
    folder = another_app(views=asks, __init__=asks)
    for unserved in ("tests", "migrations"):
        (folder / unserved).mkdir()
        (folder / unserved / "test_views.py").write_text(asks)
    (folder / "doors").mkdir()
    (folder / "doors" / "__init__.py").write_text(asks)
    assert [use.place for use in uses_in_code() if use.key == "a_b"] == [
        "invoices, line 2,",
        "invoices.doors, line 2,",
        "invoices.views, line 2,",
    ]


def test_templates_of_the_project_and_of_its_applications_are_read(another_app, settings, tmp_path):
    folder = another_app()
    for place, name in ((tmp_path / "project", "page.html"), (folder / "templates" / "invoices", "mail.txt")):
        place.mkdir(parents=True)
        (place / name).write_text("{{ features.a_b }}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [*settings.TEMPLATES[0]["DIRS"], tmp_path / "project"]}]
    found = {use.place for use in uses_in_templates() if use.key == "a_b"}
    assert found == {"the template page.html", "the template invoices/mail.txt"}


def test_templates_of_installed_packages_are_not_read(settings, tmp_path):
    folder = tmp_path / "site-packages" / "templates"
    folder.mkdir(parents=True)
    (folder / "page.html").write_text("{{ features.a_b }}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [folder]}]
    assert "a_b" not in {use.key for use in uses_in_templates()}
