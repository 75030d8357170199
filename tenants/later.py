"""Functions that load when they are first called: a process that only serves never pays for what commands need."""

from collections.abc import Callable
from functools import cache
from typing import Any

from django.utils.module_loading import import_string


@cache
def later(path: str) -> Callable[..., Any]:
    """Return a function that imports the one at this dotted path when it is called, and calls it with what it got.

    For what Django calls by itself, and rarely: checks, and receivers of `post_migrate`. Connect it with `weak=False`.
    It is the same function each time, so that what is registered twice is there once.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        return import_string(path)(*args, **kwargs)

    return call
