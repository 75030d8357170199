"""What processes share: rules and companies as read, in Django's cache, under the versions they were read at.

The cache is not trusted. Each value says what it is and is signed, so that what another program on the same server
copied, forged or garbled is a miss; and whatever a cache provokes is a miss, too.
"""

import json
import logging
import random

from django.conf import settings
from django.core import signing
from django.core.cache import cache

logger = logging.getLogger(__name__)

# Raise this when the meaning of a filed text changes: a rolling upgrade has old and new code on one cache.
FORMAT = 2

_signer = signing.Signer(salt="flags.sharedcache")


def name(kind: str, scope: str, version: int) -> str:
    """Return the key of an entry: `rules`, or a `company` with its id as scope."""
    return f"flags:{FORMAT}:{kind}:{scope}:{version}"


def put(kind: str, scope: str, version: int, text: str | None) -> None:
    """Share a text. Nothing is shared of what does not exist, or has no version."""
    if text is None or not version:
        return
    value = _signer.sign(json.dumps([kind, scope, version, text]))
    # Spread over a tenth of the time, so that what was filed together does not expire together.
    timeout = settings.FLAGS_CACHE_SECONDS * (1 - random.random() / 10)  # noqa: S311
    try:
        cache.set(name(kind, scope, version), value, timeout)
    except Exception as error:  # the database has answered; that stands
        logger.warning("cache failed error=%s", type(error).__name__)


def get(kind: str, scope: str, version: int) -> str | None:
    """Return the text that was shared under these names, or None."""
    if not version:
        return None
    try:
        value = cache.get(name(kind, scope, version))
    except Exception as error:  # a miss, like any other
        logger.warning("cache failed error=%s", type(error).__name__)
        return None
    if value is None:
        return None
    try:
        *found, text = json.loads(_signer.unsign(value))
    except (signing.BadSignature, ValueError, TypeError, AttributeError):
        found, text = [], None
    if found != [kind, scope, version] or not isinstance(text, str):
        logger.warning("cache entry refused kind=%s scope=%s", kind, scope)
        return None
    return text
