"""What the components say: the words are part of the contract, because state is text before it is colour."""

import re

import pytest
from django import forms
from django.template import Context, Template
from django.template.loader import render_to_string

from flags.evaluation import Reason


def words(component: str, **context: object) -> str:
    """The component's text, as a screen reader would get it."""
    markup = render_to_string(f"components/{component}.html", context)
    return " ".join(re.sub(r"<[^>]+>", " ", markup).split())


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_a_sentence(reason, enabled):
    sentence = words("_reason", reason=str(reason), enabled=enabled)
    assert sentence.endswith(".")
    assert sentence != reason


@pytest.mark.parametrize(
    ("context", "text"),
    [
        ({"enabled": True}, "On"),
        ({"enabled": False}, "Off"),
        ({"enabled": None}, "Not set"),
        ({"enabled": True, "killed": True}, "Killed"),
        ({"enabled": True, "text": "On until 3 Mar"}, "On until 3 Mar"),
    ],
)
def test_state_is_text(context, text):
    assert words("_state", **context) == text


def test_a_switch_tells_its_position_and_submits():
    markup = render_to_string("components/_switch.html", {"enabled": True, "label": "Trip Management"})
    assert 'type="submit"' in markup
    assert 'aria-checked="true"' in markup
    assert 'aria-label="Trip Management"' in markup


@pytest.mark.parametrize(
    ("stage", "text"),
    [
        ({"enabled": True, "percentage": None, "soak_fraction": None}, "pilot : on"),
        ({"enabled": True, "percentage": 100, "soak_fraction": None}, "pilot : on"),
        ({"enabled": True, "percentage": 25, "soak_fraction": None}, "pilot : on for 25&#8239;%"),
        ({"enabled": True, "percentage": 0, "soak_fraction": None}, "pilot : on for 0&#8239;%"),
        ({"enabled": True, "percentage": 100, "soak_fraction": 0.5}, "pilot : on , soaked 50 %"),
        ({"enabled": False, "percentage": 25, "soak_fraction": None}, "pilot : off"),
        ({"enabled": None, "percentage": None, "soak_fraction": None}, "pilot : follows the default"),
    ],
)
def test_a_rail_says_what_each_stage_does(stage, text):
    assert words("_rail", stages=[{"slug": "pilot", "name": "pilot", **stage}]) == text


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        (
            {"gains": 4, "loses": 0, "stay_off": 3},
            "Turns API Access on for 4 of 128 companies; 3 overrides stay off.",
        ),
        ({"gains": 0, "loses": 1, "stay_on": 1}, "Turns API Access off for 1 of 128 companies; 1 override stays on."),
        ({"gains": 2, "loses": 5}, "Turns API Access on for 2 and off for 5 of 128 companies."),
        ({"gains": 0, "loses": 0}, "Changes nothing for any company today."),
    ],
)
def test_impact_is_a_sentence(numbers, sentence):
    context = {"name": "API Access", "total": 128, "kept": 10, "stay_on": 0, "stay_off": 0, **numbers}
    markup = render_to_string("components/_impact.html", context)
    line = re.search(r'impact-line">(.*?)</p>', markup, flags=re.DOTALL)[1]
    assert re.sub(r"<[^>]+>", "", line) == sentence


def test_a_ladder_marks_the_step_that_decided():
    steps = [
        {"number": 1, "title": "Killed", "outcome": "passed", "text": "Nobody pulled it"},
        {
            "number": 2,
            "title": "Override",
            "outcome": "decided",
            "text": "On",
            "link": "/here",
            "link_text": "Fix",
        },
        {"number": 3, "title": "Default", "outcome": "not_reached", "text": "Would say off"},
    ]
    markup = render_to_string("components/_ladder.html", {"steps": steps, "enabled": True})
    assert markup.count('aria-current="step"') == 1
    assert "Decided:" in markup
    assert "Not reached:" in markup
    assert '<a class="end" href="/here">Fix</a>' in markup


def drawn(markup: str, **context: object) -> str:
    return Template("{% load components %}" + markup).render(Context(context))


def test_a_button_submits_and_says_what_it_does():
    button = '{% button "danger" "" icon="kill" name="to" value=to id="go" %} Kill {{ name }} {% endbutton %}'
    markup = drawn(button, to="", name="<b>")
    assert markup.startswith('<button type="submit" class="button button-danger" id="go" name="to" value="">')
    assert "icons.svg#kill" in markup
    assert markup.endswith("</svg>Kill &lt;b&gt;</button>")


def test_a_button_that_leads_somewhere_is_a_link():
    markup = drawn("{% button url=url %}Go{% endbutton %}", url='/?a=1&b="')
    assert markup == '<a class="button" href="/?a=1&amp;b=&quot;">Go</a>'


def test_a_table_can_be_scrolled_to_and_names_its_columns():
    people = '{% table "People of "|add:name "Person" name actions=True %}<tbody></tbody>{% endtable %}'
    markup = drawn(people, name="<b>")
    assert 'role="region" aria-label="People of &lt;b&gt;" tabindex="0"' in markup
    assert re.findall(r'<th scope="col">(.*?)</th>', markup) == [
        "Person",
        "&lt;b&gt;",
        '<span class="visually-hidden">Actions</span>',
    ]
    assert "<thead>" not in drawn('{% table "Answers" %}<tbody></tbody>{% endtable %}')


@pytest.mark.parametrize(
    ("context", "text"),
    [
        ({"name": "Owner", "value": "Ana"}, "Owner Ana : leave out"),
        ({"value": "Globex"}, "Globex : leave out"),
    ],
)
def test_a_chip_says_what_its_link_leaves_out(context, text):
    assert words("_chip", remove_url="?", **context) == text


def test_a_sparkline_has_a_table_or_else_words():
    line = {"points": "0,1 1,2", "label": "9 evaluations"}
    assert 'role="img" aria-label="9 evaluations"' in render_to_string("components/_sparkline.html", line)
    assert words("_sparkline", **line) == ""
    assert words("_sparkline", rows=[("1 Nov", 9)], **line) == "9 evaluations 1 Nov 9"


class _Form(forms.Form):
    key = forms.SlugField(help_text="Permanent.")


def test_a_field_ties_help_and_errors_to_the_input():
    markup = render_to_string("components/_field.html", {"field": _Form({"key": "no spaces"})["key"]})
    described_by = re.search(r'aria-describedby="([^"]+)"', markup)[1].split()
    assert described_by == ["id_key_helptext", "id_key_error"]
    assert all(f'id="{target}"' in markup for target in described_by)
    assert 'aria-invalid="true"' in markup


def test_text_is_escaped():
    assert "<b>" not in render_to_string("components/_toast.html", {"text": "<b>", "level": "info"})
    assert "<b>" not in render_to_string("components/_reason.html", {"reason": "override", "company": "<b>"})
