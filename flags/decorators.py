"""Guard a view behind a feature: `@feature_required("billing_enabled")`.

It goes on function views, async views, class-based views, REST framework views and view sets; on a class or on one of
its methods. Where the feature is off, FeatureDisabled is raised, which every door answers with 403.
"""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views import View

from flags import registry, restframework
from flags.guards import AnyRequest, Guard, Otherwise

AView = TypeVar("AView", bound=Callable[..., Any])


def feature_required(key: str, otherwise: Otherwise = None) -> Callable[[AView], AView]:
    """Return a decorator that lets a view be called only where the feature is on for whoever asks.

    Where it is off, `otherwise` answers if given: a view, called with what the guarded one was called with, or the name
    of a URL to redirect to. If not, FeatureDisabled is raised. Whoever is not signed in is asked to sign in first.
    A key that no catalogue lists stops `manage.py check` (flags.E001).
    """
    declared = registry.caller()
    guard = Guard(key, otherwise)

    def decorate(view: AView) -> AView:
        registry.note_use(key, _place(view) or declared)
        if isinstance(view, type):
            return _guard_class(view, guard)
        return _guard_callable(view, guard)

    return decorate


def _place(view: Callable) -> str:
    module, name = getattr(view, "__module__", ""), getattr(view, "__qualname__", "")
    # `method_decorator` tries a decorator on a function of its own, whose name tells nobody anything.
    return f"{module}.{name}" if name and not module.startswith("django.") else ""


def _guard_callable(view: Callable, guard: Guard) -> Any:
    if iscoroutinefunction(view):

        @wraps(view)
        async def aguarded(*args, **kwargs):
            request, rest = _split(view, args)
            answer = await guard.aask(request, rest, kwargs)
            return await view(*args, **kwargs) if answer is None else answer

        return aguarded

    @wraps(view)
    def guarded(*args, **kwargs):
        request, rest = _split(view, args)
        answer = guard.ask(request, rest, kwargs)
        return view(*args, **kwargs) if answer is None else answer

    return guarded


def _split(view: Callable, args: tuple) -> tuple[AnyRequest, tuple]:
    """Return the request among a view's arguments, and those after it. A method has `self` before it."""
    for place, argument in enumerate(args[:2]):
        if isinstance(argument, HttpRequest) or restframework.is_request(argument):
            return argument, args[place + 1 :]
    raise TypeError(f"{_place(view)} is guarded by a feature but was called without a request. Guard the view instead.")


def _guard_class(cls: Any, guard: Guard) -> Any:
    if restframework.is_view(cls):
        initial = cls.initial

        @wraps(initial)
        def guarded_initial(self, request, *args, **kwargs):
            initial(self, request, *args, **kwargs)
            _ask_in_initial(self, guard, request, args, kwargs)

        cls.initial = guarded_initial
    elif issubclass(cls, View):
        dispatch = cls.dispatch

        @wraps(dispatch)
        def guarded_dispatch(self, request, *args, **kwargs):
            return _ask_and_dispatch(self, guard, partial(dispatch, self), request, args, kwargs)

        cls.dispatch = guarded_dispatch
    else:
        raise TypeError(f"{cls.__module__}.{cls.__qualname__} is no view, so no feature can guard it.")
    return cls


def _ask_and_dispatch(
    view: Any, guard: Guard, dispatch: Callable, request: HttpRequest, args: tuple, kwargs: dict
) -> Any:
    """Ask, then dispatch: at once, or as a coroutine where the view's handlers are coroutines."""
    if view.view_is_async:
        return _aask_and_dispatch(guard, dispatch, request, args, kwargs)
    answer = guard.ask(request, args, kwargs)
    return dispatch(request, *args, **kwargs) if answer is None else answer


async def _aask_and_dispatch(guard: Guard, dispatch: Callable, request: HttpRequest, args: tuple, kwargs: dict) -> Any:
    answer = await guard.aask(request, args, kwargs)
    return await dispatch(request, *args, **kwargs) if answer is None else answer


def _ask_in_initial(view: Any, guard: Guard, request: AnyRequest, args: tuple, kwargs: dict) -> None:
    """Ask at the end of REST framework's `initial`, the first moment at which it knows who asks."""
    answer = guard.ask(request, args, kwargs)
    if answer is not None:
        # The handler is looked up only after `initial`.
        setattr(view, str(request.method).lower(), lambda *args, **kwargs: answer)


class FeatureRequiredMixin:
    """Guard a class-based or REST framework view: `feature = "billing_enabled"`, and `otherwise` if wanted.

    Stands before the view among the bases. A subclass may name another feature, which then takes its place.
    """

    feature: str = ""
    otherwise: Otherwise = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "feature" in vars(cls):
            registry.note_use(cls.feature, f"{cls.__module__}.{cls.__qualname__}")

    def _guard(self) -> Guard:
        if not self.feature:
            raise ImproperlyConfigured(f"{type(self).__qualname__} names no feature. Set `feature` to its key.")
        # A function that stands on the class is a view, not a method of this one.
        return Guard(self.feature, vars(self).get("otherwise", type(self).otherwise))

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Ask, then go on as the view does. REST framework views ask in `initial`."""
        dispatch = super().dispatch  # type: ignore[misc]
        if restframework.is_view(type(self)):
            return dispatch(request, *args, **kwargs)
        return _ask_and_dispatch(self, self._guard(), dispatch, request, args, kwargs)

    def initial(self, request: AnyRequest, *args: Any, **kwargs: Any) -> None:
        """Go on as the REST framework view does, then ask."""
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        _ask_in_initial(self, self._guard(), request, args, kwargs)
