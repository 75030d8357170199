"""The stylesheet keeps its promises: contrast in light and dark, and a definition for whatever it refers to."""

import re
from pathlib import Path

import pytest
from django.conf import settings

CSS = (Path(settings.BASE_DIR) / "static/css/app.css").read_text()
COLOURS = {
    name: {"light": light, "dark": dark}
    for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", CSS)
}
SURFACES = ["canvas", "sunken", "raised", "hover"]
TEXT = [(ink, surface) for ink in ("ink", "ink-2", "ink-3", "accent", "danger", "on", "warn") for surface in SURFACES]
TONES = [(tone, f"{tone}-soft") for tone in ("on", "off", "danger", "warn", "plum", "accent")]
CONTROLS = [
    (part, surface)
    for part in ("line-control", "focus", "off-solid", "on-solid", "danger-solid")
    for surface in ("canvas", "raised", "sunken")
]


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "surface"), TEXT + TONES + [("ink-2", "pressed"), ("ink", "pressed")])
def test_text_can_be_read(ink, surface, scheme):
    assert contrast(COLOURS[ink][scheme], COLOURS[surface][scheme]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("surface", ["accent-solid", "accent-solid-hover", "danger-solid", "danger-solid-hover"])
def test_white_can_be_read_on_buttons(surface, scheme):
    assert contrast("#ffffff", COLOURS[surface][scheme]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("part", "surface"), CONTROLS)
def test_controls_can_be_told_from_what_is_behind_them(part, surface, scheme):
    assert contrast(COLOURS[part][scheme], COLOURS[surface][scheme]) >= 3


def test_every_property_that_is_used_is_defined():
    used = set(re.findall(r"var\((--[\w-]+)\)", CSS))
    defined = set(re.findall(r"(--[\w-]+):", CSS))
    assert used - defined == set()


def test_every_rule_stands_in_a_layer():
    outside = re.sub(r"@layer \w+ \{.*?\n\}", "", CSS, flags=re.DOTALL)
    outside = re.sub(r"/\*.*?\*/", "", outside, flags=re.DOTALL)
    assert outside.strip() == "@layer reset, tokens, base, layout, components, utilities;"


def test_reduced_motion_is_respected():
    assert "prefers-reduced-motion: reduce" in CSS


def test_nothing_is_fetched():
    assert "url(" not in CSS
    assert "@import" not in CSS
