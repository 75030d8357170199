"""API tokens that this process knows, good and bad, for as long as nothing about any token has changed.

Finding out whose token it is takes a transaction and a few queries. What came of it stands as long as the version of
all tokens does, which triggers bump inside the writer's transaction: with every token that is made, changed or revoked,
and with whatever is known of the company it is bound to. So reading that version is enough to know who asks, as of now.
What ends a token by itself, its time, is looked at each time.
"""

from collections import OrderedDict
from contextlib import nullcontext
from dataclasses import dataclass
from hashlib import sha256
from time import monotonic

from tenants import forking, tokens, told
from tenants.models import ApiToken
from tenants.principal import Principal

GOOD_KEPT = 10_000
BAD_KEPT = 10_000
IDS_KEPT = 100_000
"""So many tokens there may be for this process to know all of them by their public ids."""
SECONDS_OF_TOO_MANY = 60.0
"""How long nobody counts again after there were more."""
STRANGERS_EACH_SECOND = 50
"""So many unknown tokens are judged exactly. More are a flood, judged by what was read for the last of these."""


class ReadBefore(nullcontext):
    """The version of all tokens as it was at some moment of the last second."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.tokens: int | None = tokens

    def __enter__(self) -> "ReadBefore":
        return self


@dataclass(frozen=True, slots=True)
class Strangers:
    """How many unknown tokens there were since a moment, and the version of all tokens that was read for the last."""

    since: float = float("-inf")
    seen: int = 0
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Whose token it was at a version of all tokens; nobody's, where it was revoked or is over."""

    version: int
    principal: Principal


_lock = forking.Lock()
_good: OrderedDict[bytes, Found] = OrderedDict()
_bad: OrderedDict[bytes, None] = OrderedDict()
_ids: tuple[int, frozenset[str]] = (0, frozenset())
_too_many_until = float("-inf")
_strangers = Strangers()


def versions_now(found: Found | None) -> told.Versions:
    """Read the present version of all tokens. A context manager. Raises django.db.Error when the database is away.

    For a token of which nothing is known it is read exactly, whatever the freshness: it may have been made just now.
    In a flood of such tokens it is the one read within the last second.
    """
    if found is None:
        return _versions_for_a_stranger()
    company = found.principal.company
    return told.versions(company.pk if company is not None else None, exactly=False)


def _versions_for_a_stranger() -> told.Versions:
    global _strangers
    so_far, now = _strangers, monotonic()
    if now - so_far.since >= 1:
        so_far = Strangers(since=now)
    elif so_far.seen >= STRANGERS_EACH_SECOND and so_far.version:
        return ReadBefore(so_far.version)
    versions = told.versions(None, exactly=True)
    _strangers = Strangers(so_far.since, so_far.seen + 1, versions.tokens)
    return versions


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


def is_unknown(credential: str, versions: told.Versions) -> bool:
    """Say whether no token at this version has the public id of this one. Remembers it, where that is so now."""
    match = tokens.PATTERN.fullmatch(credential)
    at, ids = _ids
    if match is None or not versions.tokens or versions.tokens != at or match[2] in ids:
        return False
    if not isinstance(versions, ReadBefore):
        _put(_bad, _name(credential), None, BAD_KEPT)
    return True


def remember(credential: str, principal: Principal, version: int | None) -> None:
    """Keep in mind whose token this is. `version` was read before the database was asked."""
    if version:
        _put(_good, _name(credential), Found(version, principal), GOOD_KEPT)


def learn_ids(version: int | None) -> None:
    """Read all public ids, if these are not known yet at this version and not too many. Reads as whoever is bound."""
    global _ids, _too_many_until
    if not version or _ids[0] == version or monotonic() < _too_many_until:
        return
    ids = list(ApiToken.objects.order_by().values_list("public_id", flat=True)[: IDS_KEPT + 1])
    if len(ids) <= IDS_KEPT:
        _ids = (version, frozenset(ids))
    else:
        _too_many_until = monotonic() + SECONDS_OF_TOO_MANY


def clear() -> None:
    """Forget everything. For tests."""
    global _ids, _too_many_until, _strangers
    with _lock:
        _good.clear()
        _bad.clear()
        _ids, _too_many_until, _strangers = (0, frozenset()), float("-inf"), Strangers()


def _put(kept: OrderedDict, name: bytes, value: object, most: int) -> None:
    with _lock:
        kept[name] = value
        kept.move_to_end(name)
        if len(kept) > most:
            kept.popitem(last=False)


def _name(credential: str) -> bytes:
    return sha256(credential.encode()).digest()
