"""The fixture `override_features`, as other projects get it."""

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

from flags import features
from flags.features import is_enabled

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_the_fixture_decides_until_the_test_ends(override_features):
    override_features(api_access=True)
    override_features({"white_label": True}, api_access=False)
    assert not is_enabled("api_access")
    assert is_enabled("white_label")


def test_nothing_is_left_for_the_next_test():
    assert features.forced == {}


def test_pytest_finds_the_plugin_of_an_installed_headgate():
    points = tomllib.loads(PYPROJECT.read_text())["project"]["entry-points"]["pytest11"]
    (plugin,) = (EntryPoint(name, value, "pytest11").load() for name, value in points.items())
    assert plugin.override_features.name == "override_features"
    # pytest knows plugins by name, and refuses a module that comes under two.
    assert list(points) == [plugin.__name__]
