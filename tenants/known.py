"""API tokens that this process knows, good and bad, for as long as nothing about any token has changed.

Finding out whose token it is takes a transaction and a few queries. What came of it stands as long as the version of
all tokens does, which triggers bump inside the writer's transaction: with every token that is made, changed or revoked,
and with whatever is known of the company it is bound to. So reading that version is enough to know who asks, as of now.
What ends a token by itself, its time, is looked at each time.
"""

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256

from tenants import forking, tokens, told
from tenants.models import ApiToken
from tenants.principal import Principal

GOOD_KEPT = 10_000
BAD_KEPT = 10_000
IDS_KEPT = 100_000
"""So many tokens there may be for this process to know all of them by their public ids."""


@dataclass(frozen=True, slots=True)
class Found:
    """Whose token it was at a version of all tokens; nobody's, where it was revoked or is over."""

    version: int
    principal: Principal


_lock = forking.Lock()
_good: OrderedDict[bytes, Found] = OrderedDict()
_bad: OrderedDict[bytes, None] = OrderedDict()
_ids: tuple[int, frozenset[str]] = (0, frozenset())


def versions_now(found: Found | None) -> told.Versions:
    """Read the present version of all tokens. A context manager. Raises django.db.Error when the database is away.

    For a token of which nothing is known it is read exactly, whatever the freshness: it may have been made just now.
    """
    company = found.principal.company if found is not None else None
    return told.versions(company.pk if company is not None else None, exactly=found is None)


def find(credential: str) -> Found | None:
    """Return what this process knows of a token, at whatever version that was."""
    return _good.get(_name(credential))


def holds(found: Found, version: int | None) -> bool:
    """Say whether that is so now: nothing about tokens has changed since, and its time is not over."""
    token = found.principal.token
    return found.version == version and (token is None or tokens.is_good(token))


def is_bad(credential: str) -> bool:
    """Say, without any database, whether this was never a token, and so never will be: they are made by chance."""
    return tokens.PATTERN.fullmatch(credential) is None or _name(credential) in _bad


def is_unknown(credential: str, version: int | None) -> bool:
    """Say whether no token at this version has the public id of this one. Remembers it, then."""
    match = tokens.PATTERN.fullmatch(credential)
    at, ids = _ids
    if match is None or not version or version != at or match[2] in ids:
        return False
    _put(_bad, _name(credential), None, BAD_KEPT)
    return True


def remember(credential: str, principal: Principal, version: int | None) -> None:
    """Keep in mind whose token this is. `version` was read before the database was asked."""
    if version:
        _put(_good, _name(credential), Found(version, principal), GOOD_KEPT)


def learn_ids(version: int | None) -> None:
    """Read all public ids, if these are not known yet at this version and not too many. Reads as whoever is bound."""
    global _ids
    if not version or _ids[0] == version:
        return
    ids = list(ApiToken.objects.order_by().values_list("public_id", flat=True)[: IDS_KEPT + 1])
    if len(ids) <= IDS_KEPT:
        _ids = (version, frozenset(ids))


def clear() -> None:
    """Forget everything. For tests."""
    global _ids
    with _lock:
        _good.clear()
        _bad.clear()
        _ids = (0, frozenset())


def _put(kept: OrderedDict, name: bytes, value: object, most: int) -> None:
    with _lock:
        kept[name] = value
        kept.move_to_end(name)
        if len(kept) > most:
            kept.popitem(last=False)


def _name(credential: str) -> bytes:
    return sha256(credential.encode()).digest()
