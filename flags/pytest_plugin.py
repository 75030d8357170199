"""For pytest: the fixture `override_features`. It is there wherever Headgate is installed.

Elsewhere, say `pytest_plugins = ["flags.pytest_plugin"]` in the topmost conftest.py.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest


@pytest.fixture
def override_features() -> Iterator[Callable[..., None]]:
    """Return a function that decides features until the test ends: `override_features(billing_enabled=True)`."""
    # Models cannot be imported while pytest is still loading its plugins.
    from flags import testing

    with ExitStack() as stack:

        def override(features: dict[str, bool] | None = None, /, **keys: bool) -> None:
            stack.enter_context(testing.override_features(features, **keys))

        yield override
