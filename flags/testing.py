"""Decide features in a test, in one line and without a database: `override_features(billing_enabled=True)`."""

from collections.abc import Mapping
from functools import wraps
from inspect import isfunction
from typing import Any, Self
from unittest import TestCase

from asgiref.sync import iscoroutinefunction

from flags import registry
from flags.features import forced, forget_here

_MISSING = object()


class override_features:
    """Answer these keys as said, for everybody, until the block, the test or the class of tests ends.

    A context manager and a decorator, for functions, coroutines, TestCases and plain classes of tests; keys by keyword,
    or in a dict. Other features answer as ever. Nested, the inner one wins, and what was before comes back. Raises
    KeyError, with a guess, for a key that no catalogue lists. It holds in the whole process: also in other threads,
    such as those of a live server.
    """

    def __init__(self, features: Mapping[str, bool] | None = None, /, **keys: bool) -> None:
        self.answers = {**(features or {}), **keys}
        self._before: list[dict[str, Any]] = []
        for key, enabled in self.answers.items():
            registry.feature(key)
            if not isinstance(enabled, bool):
                raise TypeError(f"{key} is overridden with {enabled!r}. A feature is True or False.")

    def __enter__(self) -> Self:
        self._before.append({key: forced.get(key, _MISSING) for key in self.answers})
        forced.update(self.answers)
        forget_here()
        return self

    def __exit__(self, *exception: object) -> None:
        for key, enabled in self._before.pop().items():
            if enabled is _MISSING:
                forced.pop(key, None)
            else:
                forced[key] = enabled
        forget_here()

    def __call__(self, decorated: Any) -> Any:
        if isinstance(decorated, type):
            return self._around_test_case(decorated) if issubclass(decorated, TestCase) else self._around(decorated)
        if iscoroutinefunction(decorated):

            @wraps(decorated)
            async def overridden(*args, **kwargs):
                with self:
                    return await decorated(*args, **kwargs)

        else:

            @wraps(decorated)
            def overridden(*args, **kwargs):
                with self:
                    return decorated(*args, **kwargs)

        return overridden

    def _around(self, cls: Any) -> Any:
        for name in dir(cls):
            if name.startswith("test") and isfunction(method := getattr(cls, name)):
                setattr(cls, name, self(method))
        return cls

    def _around_test_case(self, cls: Any) -> Any:
        # One dictionary along the line of classes, so that a subclass has the last word.
        cls.overridden_features = {**getattr(cls, "overridden_features", {}), **self.answers}
        set_up = cls.setUpClass.__func__

        def setUpClass(inner: Any) -> None:
            inner.enterClassContext(type(self)(inner.overridden_features))
            set_up(inner)

        cls.setUpClass = classmethod(setUpClass)
        return cls
