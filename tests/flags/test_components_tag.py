"""Drawing a component once: the same picture as including it, and never a stale or unescaped one."""

import pytest
from django.template import Context, Template

from flags.channels import ChannelState
from flags.templatetags import components


@pytest.fixture(autouse=True)
def _nothing_drawn():
    components._draw.cache_clear()


def shown(markup: str, **facts) -> str:
    return " ".join(Template("{% load components %}" + markup).render(Context(facts)).split())


RAIL = [ChannelState("internal", "Internal", True, 100), ChannelState("pilot", "Pilot", None, 100)]


@pytest.mark.parametrize(
    ("drawn", "included"),
    [
        (
            '{% draw "components/_rail.html" stages=stages %}',
            '{% include "components/_rail.html" with stages=stages only %}',
        ),
        (
            '{% draw "components/_icon.html" name="check" %}',
            '{% include "components/_icon.html" with name="check" only %}',
        ),
        (
            '{% draw "components/_person.html" name=name %}',
            '{% include "components/_person.html" with name=name only %}',
        ),
    ],
)
def test_it_looks_like_including(drawn, included):
    facts = {"stages": RAIL, "name": "Ana <Ruiz>"}
    assert shown(drawn, **facts) == shown(included, **facts)


def test_the_same_is_drawn_once_and_another_anew():
    for percentage in (10, 10, 20, 10):
        stages = [ChannelState("pilot", "Pilot", True, percentage)]
        assert f">{percentage}" in shown('{% draw "components/_rail.html" stages=stages %}', stages=stages)
    assert components._draw.cache_info().misses == 2


def test_while_one_works_on_a_component_it_is_drawn_each_time(settings):
    settings.DEBUG = True
    shown('{% draw "components/_icon.html" name="check" %}')
    assert components._draw.cache_info().misses == 0


def test_what_people_typed_is_text():
    assert "<b>" not in shown('{% draw "components/_person.html" name=name %}', name="<b>Ana</b>")
