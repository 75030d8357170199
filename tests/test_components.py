"""What the components say: the words are part of the contract, because state is text before it is colour."""

import re

import pytest
from django import forms
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
