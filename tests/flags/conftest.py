"""What tests of flags share besides the cast."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.test.utils import modify_settings

from flags import registry
from flags.catalogue import FEATURES, Feature


@pytest.fixture
def noted_apart() -> Iterator[None]:
    """Keys that this test asks for, typos among them, are forgotten afterwards."""
    with registry.noting_apart():
        yield


@pytest.fixture
def another_app(tmp_path: Path, monkeypatch) -> Iterator[Callable[..., Path]]:
    """Return a function that installs an application `invoices` with these files, by name; it returns its folder."""
    entered = []

    def install(**files: str) -> Path:
        folder = tmp_path / "invoices"
        folder.mkdir()
        (folder / "__init__.py").touch()
        for name, text in files.items():
            (folder / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        installed = modify_settings(INSTALLED_APPS={"append": "invoices"})
        installed.enable()
        entered.append(installed)
        registry.reload()
        return folder

    yield install
    for installed in entered:
        installed.disable()
    for name in [name for name in sys.modules if name.split(".")[0] == "invoices"]:
        del sys.modules[name]
    registry.reload()


@pytest.fixture
def lists(monkeypatch) -> Callable[..., None]:
    """Return a function that makes the catalogues list these features besides ours."""

    def listing(*features: Feature) -> None:
        known = {feature.key: feature for feature in (*FEATURES, *features)}
        monkeypatch.setattr(registry, "catalogue", lambda: known)

    return listing
