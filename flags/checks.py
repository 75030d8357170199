"""What `manage.py check` says about flags: keys nobody listed, catalogues that contradict, triggers that are gone."""

import re
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module

from django.conf import settings
from django.core.cache import InvalidCacheBackendError, caches
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from flags import isolationschema, registry, triggers
from flags.features import Features
from flags.models import KEY_PATTERN, Flag
from flags.scanning import uses_in_code, uses_in_templates
from flags.sync import environment_default
from tenants import roles

MIDDLEWARE = "flags.middleware.FeaturesMiddleware"
KNOWS_WHO = "tenants.middleware.TenantMiddleware"
UNPICKLING_NOTHING_FOREIGN = {
    "flags.guardedcache.GuardedRedisCache",  # JSON.
    "django.core.cache.backends.locmem.LocMemCache",  # Unpickles what this very process has pickled.
    "django.core.cache.backends.dummy.DummyCache",
}
CATEGORY = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def check_used_keys(app_configs: object = None, **kwargs: object) -> list[CheckMessage]:
    """flags.E001: code or a template asks for a key that is in no catalogue."""
    if getattr(settings, "ROOT_URLCONF", None):
        import_module(settings.ROOT_URLCONF)  # Views note the keys they ask for when they are imported.
    known = registry.catalogue()
    return [
        Error(
            f"{use.place} asks for the feature {use.key!r}, which is in no catalogue.{_guess(use.key)}",
            hint="Correct the key, or list it in flags/catalogue.py or in your application's features.py.",
            id="flags.E001",
        )
        for use in sorted({*registry.uses(), *uses_in_templates(), *uses_in_code()})
        if use.key not in known
    ]


def _guess(key: str) -> str:
    return registry.unknown(key).partition(".")[2]


def check_catalogues(app_configs: object = None, **kwargs: object) -> list[CheckMessage]:
    """flags.E002: a key listed twice. flags.E003: an entry that cannot become a flag. flags.E005: a bad variable."""
    messages: list[CheckMessage] = [
        Error(
            f"The feature {key!r} is listed by {' and by '.join(modules)}.",
            hint="Keep one of the entries: a key means one thing.",
            id="flags.E002",
        )
        for key, modules in registry.duplicates().items()
    ]
    for listing in registry.listings():
        messages += [
            Error(f"{listing.module} lists {listing.feature.key!r}, {fault}", hint=hint, id="flags.E003")
            for fault, hint in _faults(listing)
        ]
    for key in registry.catalogue():
        try:
            environment_default(key)
        except ImproperlyConfigured as error:
            messages.append(Error(str(error), id="flags.E005"))
    return messages


def _faults(listing: registry.Listing) -> Iterator[tuple[str, str]]:
    """Yield each reason why an entry cannot become a flag, as the end of a sentence, with the way out."""
    feature, known = listing.feature, registry.catalogue()
    if not isinstance(feature.key, str) or not re.match(KEY_PATTERN, feature.key):
        yield "which is no key.", "A key is 2 to 63 lower-case letters, digits and underscores; a letter comes first."
    elif feature.key in dir(Features):
        yield "which is a word that every mapping has.", "Call it otherwise: `features.<key>` would not ask for it."
    longest = Flag._meta.get_field("name").max_length or 0
    if not 0 < len(feature.name.strip()) <= longest:
        yield "whose name is empty or too long.", f"Give it a name of at most {longest} characters."
    if not CATEGORY.fullmatch(feature.category):
        yield f"in the category {feature.category!r}.", "A category is one lower-case word of at most 40 characters."
    if len(dict(feature.channels)) < len(feature.channels):
        yield "which answers twice for a channel.", "Give each channel one answer."
    for required in feature.requires:
        if required not in known:
            yield (
                f"which requires {required!r}, which is in no catalogue.{_guess(required)}",
                "List that as well, or take it out of `requires`.",
            )
        elif feature.key in _required_by(required):
            yield f"which requires {required!r} and so, in the end, itself.", "Break the circle."


def _required_by(key: str) -> set[str]:
    """Return the key with all it requires, directly or through others."""
    found: set[str] = set()
    waiting = [key]
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            listed = registry.catalogue().get(name)
            waiting.extend(listed.requires if listed else ())
    return found


def check_middleware(app_configs: object = None, **kwargs: object) -> list[CheckMessage]:
    """flags.E006: no request would have features, or all would be asked before anybody knows who asks."""
    order = list(settings.MIDDLEWARE)
    if MIDDLEWARE in order and KNOWS_WHO in order[: order.index(MIDDLEWARE)]:
        return []
    return [
        Error(
            f"{MIDDLEWARE} is missing from MIDDLEWARE, or stands before {KNOWS_WHO}; so every feature would be off.",
            hint=f"Put it right after {KNOWS_WHO}.",
            id="flags.E006",
        )
    ]


def check_triggers(
    app_configs: object = None, databases: Sequence[str] | None = None, **kwargs: object
) -> list[CheckMessage]:
    """flags.E004: a database trigger is gone, so changes may go unseen or history may be rewritten."""
    if sys.argv[1:2] == ["migrate"]:
        return []  # It is the remedy, and must not be refused for what it cures.
    messages: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if "flags_version" not in connection.introspection.table_names():
            continue
        if missing := triggers.missing(connection):
            messages.append(
                Error(
                    f"The database {alias!r} lacks the triggers {', '.join(missing)}.",
                    hint="Run `manage.py migrate`: it puts them back.",
                    id="flags.E004",
                )
            )
    return messages


WALLS = {
    "unclassified": "flags.E008",
    "rls_off": "flags.E007",
    "rls_not_forced": "flags.E007",
    "policy_missing": "flags.E007",
    "policy_unknown": "flags.E007",
}


def check_isolation(
    app_configs: object = None, databases: Sequence[str] | None = None, **kwargs: object
) -> list[CheckMessage]:
    """flags.E007: a wall between companies is down. flags.E008: a table with a company that nobody classified."""
    if sys.argv[1:2] == ["migrate"]:
        return []  # It is the remedy, and must not be refused for what it cures.
    messages: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if "flags_version" not in connection.introspection.table_names() or not roles.ready(connection):
            continue  # Nothing to keep apart yet; or tenants.E002 says what is missing.
        messages += [
            Error(f"{finding.message} (database {alias!r})", hint=finding.remedy, id=WALLS[finding.check])
            for finding in isolationschema.missing_walls(alias)
            if finding.check in WALLS
        ]
    return messages


def check_caches(app_configs: object = None, **kwargs: object) -> list[CheckMessage]:
    """flags.E009, or W001 while debugging: a cache that may unpickle what others have written.

    Whoever can write to its server, file or table can run code here. Nobody can see from outside what a cache does with
    what it reads, so all are refused but those that are known to be harmless.
    """
    messages: list[CheckMessage] = []
    for alias in settings.CACHES:
        try:
            cache = caches[alias]
        except (ImportError, InvalidCacheBackendError):
            continue  # Django says so itself, and better.
        if f"{type(cache).__module__}.{type(cache).__qualname__}" not in UNPICKLING_NOTHING_FOREIGN:
            messages.append(
                (Warning if settings.DEBUG else Error)(
                    f"The cache {alias!r} ({type(cache).__name__}) may unpickle what others have written: "
                    "whoever can write to its server, file or table can run code here.",
                    hint="Use flags.guardedcache.GuardedRedisCache (CACHE_URL=redis://…), or the cache in this process "
                    "(CACHE_URL=locmemcache://). If yours is known to be harmless, name flags.E009 in "
                    "SILENCED_SYSTEM_CHECKS.",
                    id="flags.W001" if settings.DEBUG else "flags.E009",
                )
            )
    return messages
