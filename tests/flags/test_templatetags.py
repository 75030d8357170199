"""{% feature "key" %} and {{ features.key }}, with a request and without."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.template import Context, RequestContext, Template, TemplateSyntaxError
from django.template.loader import render_to_string

from flags.features import evaluation_scope, features_for
from tests.factories import OverrideFactory

PAGE = Template('{% load flags %}{% feature "billing_enabled" %}on{% else %}off{% endfeature %}')


def test_what_follows_else_is_shown_where_the_feature_is_off(override_features):
    override_features(billing_enabled=True)
    assert PAGE.render(Context()) == "on"
    override_features(billing_enabled=False)
    assert PAGE.render(Context()) == "off"


def test_without_else_there_is_nothing_where_the_feature_is_off(override_features):
    override_features(billing_enabled=False)
    page = Template('{% load flags %}[{% feature "billing_enabled" %}on{% endfeature %}]')
    assert page.render(Context()) == "[]"


def test_tags_nest_with_each_other_and_with_conditions(override_features):
    override_features(billing_enabled=True, api_access=False)
    page = Template(
        "{% load flags %}"
        '{% feature "billing_enabled" %}{% if yes %}a{% else %}b{% endif %}'
        '{% feature "api_access" %}c{% else %}d{% endfeature %}{% else %}e{% endfeature %}'
    )
    assert page.render(Context({"yes": False})) == "bd"


def test_the_key_may_come_from_a_variable(override_features):
    override_features(billing_enabled=True, api_access=False)
    page = Template("{% load flags %}{% for key in keys %}{% feature key %}1{% else %}0{% endfeature %}{% endfor %}")
    assert page.render(Context({"keys": ["billing_enabled", "api_access"]})) == "10"


@pytest.mark.parametrize("tag", ["{% feature %}", '{% feature "a" "b" %}'])
def test_a_tag_names_one_feature(tag):
    with pytest.raises(TemplateSyntaxError, match="Name one feature"):
        Template("{% load flags %}" + tag + "{% endfeature %}")


def test_a_tag_that_is_not_closed_is_refused():
    with pytest.raises(TemplateSyntaxError, match="Unclosed tag"):
        Template('{% load flags %}{% feature "billing_enabled" %}on')


@pytest.fixture
def on(acme):
    """Billing is on for Acme only."""
    OverrideFactory(company=acme, flag_id="billing_enabled", flag=None, enabled=True)


def test_without_a_request_the_scope_answers(on, acme, globex):
    with evaluation_scope(company=acme):
        assert PAGE.render(Context()) == "on"
    with evaluation_scope(company=globex):
        assert PAGE.render(Context()) == "off"


@pytest.mark.django_db
def test_without_anything_nobody_is_asked_for():
    assert PAGE.render(Context()) == "off"


def test_a_request_answers_for_whoever_it_comes_from(on, acme, globex, rf):
    request = rf.get("/")
    request.features = features_for(None, acme)
    with evaluation_scope(company=globex):
        assert PAGE.render(Context({"request": request})) == "on"
        assert PAGE.render(RequestContext(request)) == "on"


def test_features_given_to_a_template_come_first(on, acme, globex, rf):
    request = rf.get("/")
    request.features = features_for(None, globex)
    assert PAGE.render(Context({"request": request, "features": features_for(None, acme)})) == "on"


def test_another_variable_that_is_called_features_is_none_of_ours(on, acme):
    with evaluation_scope(company=acme):
        assert PAGE.render(Context({"features": ["a", "list"]})) == "on"


def test_every_template_can_ask_by_name(override_features, rf, settings, tmp_path):
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    (tmp_path / "page.html").write_text("{% if features.billing_enabled %}on{% else %}off{% endif %}")
    request = rf.get("/")
    request.user = AnonymousUser()
    override_features(billing_enabled=True)
    assert render_to_string("page.html", request=request) == "on"
    override_features(billing_enabled=False)
    assert render_to_string("page.html", request=request) == "off"
