"""What must never be served, by the settings alone: `check --deploy` says so, and config.startup refuses it."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

LOCAL_NAMES = {"localhost", ".localhost", "127.0.0.1", "[::1]", "::1", "testserver"}
SHORTEST_KEY = 50
FEWEST_CHARACTERS = 5
KNOWN_KEYS = ("django-insecure-", "known to everybody")
NEW_KEY = 'Make one: `python -c "import secrets; print(secrets.token_urlsafe(50))"`.'


def debug_is_for_this_machine(**_kwargs: Any) -> list[CheckMessage]:
    """tenants.E004: DEBUG while the site answers to names that others can reach."""
    public = [name for name in settings.ALLOWED_HOSTS if name not in LOCAL_NAMES]
    if not settings.DEBUG or not public:
        return []
    return [
        Error(
            f"DJANGO_DEBUG is on, and DJANGO_ALLOWED_HOSTS names {public[0]!r}: error pages would show settings and "
            "source to whoever asks.",
            hint="Set DJANGO_DEBUG=false, or leave only localhost and 127.0.0.1 in DJANGO_ALLOWED_HOSTS.",
            id="tenants.E004",
        )
    ]


def keys_are_secret(**_kwargs: Any) -> list[CheckMessage]:
    """tenants.E005: a key that is short, simple or known signs sessions and tokens."""
    if settings.DEBUG or getattr(settings, "LOCAL", False):
        return []
    keys = {"DJANGO_SECRET_KEY": settings.SECRET_KEY}
    keys |= {f"DJANGO_SECRET_KEY_FALLBACKS[{n}]": key for n, key in enumerate(settings.SECRET_KEY_FALLBACKS)}
    return [
        Error(f"{name} {fault}, so anybody may sign in as anybody.", hint=NEW_KEY, id="tenants.E005")
        for name, key in keys.items()
        if (fault := _fault_of(key))
    ]


def _fault_of(key: str) -> str:
    if key.startswith(KNOWN_KEYS):
        return "is one that everybody knows"
    if len(key) < SHORTEST_KEY:
        return f"is shorter than {SHORTEST_KEY} characters"
    return "repeats a few characters" if len(set(key)) < FEWEST_CHARACTERS else ""


def hosts_are_named(**_kwargs: Any) -> list[CheckMessage]:
    """tenants.E006: any host name is believed, and ends up in links, redirects and caches."""
    if settings.DEBUG or not {"*", ".*"} & set(settings.ALLOWED_HOSTS):
        return []
    return [
        Error(
            "DJANGO_ALLOWED_HOSTS is '*': whatever name a request gives ends up in links and redirects.",
            hint="Name the hosts of this site: DJANGO_ALLOWED_HOSTS=headgate.example.org.",
            id="tenants.E006",
        )
    ]
