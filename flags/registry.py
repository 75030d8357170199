"""Which feature keys there are, and where code asks for them. What `check` compares, and what typed access rests on.

The known keys are those of `flags.catalogue` and of every installed application's own `features.py`.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import FrameType, MappingProxyType

from django.apps import apps
from django.utils.module_loading import module_has_submodule

from flags.catalogue import FEATURES, Feature, guess

CATALOGUE = "flags.catalogue"


@dataclass(frozen=True, slots=True)
class Listing:
    """One entry of a catalogue, and the module that lists it."""

    feature: Feature
    module: str


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """A place in code or in a template that asks for a key."""

    key: str
    place: str


_uses: set[Use] = set()


@cache
def listings() -> tuple[Listing, ...]:
    """Return every entry of every catalogue, in the order of INSTALLED_APPS. Doubles are still among them.

    Raises TypeError where a catalogue holds something that is no Feature.
    """
    found = [(CATALOGUE, FEATURES)]
    for config in apps.get_app_configs():
        if module_has_submodule(config.module, "features"):
            name = f"{config.name}.features"
            # A module of that name may be about something else, as our own is.
            found.append((name, getattr(import_module(name), "FEATURES", [])))
    for module, features in found:
        for feature in features:
            if not isinstance(feature, Feature):
                raise TypeError(f"{module}.FEATURES holds {feature!r}. List flags.catalogue.Feature objects there.")
    return tuple(Listing(feature, module) for module, features in found for feature in features)


@cache
def catalogue() -> MappingProxyType[str, Feature]:
    """Return every known feature by key. Where a key is listed twice (flags.E002), the first stands."""
    known: dict[str, Feature] = {}
    for listing in listings():
        known.setdefault(listing.feature.key, listing.feature)
    return MappingProxyType(known)


def duplicates() -> dict[str, list[str]]:
    """Return the keys that are listed more than once, each with the modules that list it."""
    modules: dict[str, list[str]] = {}
    for listing in listings():
        modules.setdefault(listing.feature.key, []).append(listing.module)
    return {key: places for key, places in modules.items() if len(places) > 1}


def feature(key: str) -> Feature:
    """Return what the catalogues say of a key. Raises KeyError, with a guess, for one that none lists."""
    try:
        return catalogue()[key]
    except KeyError:
        raise KeyError(unknown(key)) from None


def unknown(key: str) -> str:
    """Say that no catalogue lists this key, and which was probably meant."""
    near = guess(key, list(catalogue()))
    return f"{key!r} is in no catalogue.{f' Did you mean {near!r}?' if near else ''}"


def reload() -> None:
    """Read the catalogues again, after INSTALLED_APPS has changed. For tests."""
    listings.cache_clear()
    catalogue.cache_clear()


# Where keys are used


def note_use(key: str, place: str) -> None:
    """Remember that `place` asks for `key`, so that `check` can name it should the key be unknown."""
    if not isinstance(key, str):
        raise TypeError(f"{place} names the feature {key!r}. A key is text, such as 'billing_enabled'.")
    _uses.add(Use(key, place))


def uses() -> list[Use]:
    """Return every use noted so far, in order."""
    return sorted(_uses)


def check_keys(*keys: str) -> None:
    """Declare keys that a module asks for in ways `check` cannot see, such as keys from a table or a variable.

    A typo among them stops `manage.py check` (flags.E001). Call it at the top of the module.
    """
    place = caller()
    for key in keys:
        note_use(key, place)


def key(name: str) -> str:
    """Declare one key and return it: `BILLING = key("billing_enabled")`. From there on a typo is a NameError."""
    note_use(name, caller())
    return name


def caller(depth: int = 2) -> str:
    """Name the place that called our caller: `module.Class`, or the module for its top level."""
    frame: FrameType = sys._getframe(depth)
    module, name = frame.f_globals.get("__name__", "?"), frame.f_code.co_qualname
    return module if name == "<module>" else f"{module}.{name}"


@contextmanager
def noting_apart() -> Iterator[None]:
    """Forget at the end what was noted inside. For tests, whose typos are on purpose."""
    before = set(_uses)
    try:
        yield
    finally:
        _uses.clear()
        _uses.update(before)
