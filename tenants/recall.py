"""Who was known a while ago, for when the database is away: whoever asks for features is not to be turned away.

Only what this process has itself found good, and only until the database is back. Nothing here widens what a
credential may do: whatever needs the database still fails, and checks answer with the last state.
"""

from collections import OrderedDict
from hashlib import sha256
from time import monotonic

from tenants import forking, jwt, tokens
from tenants.credentials import BadCredential
from tenants.principal import Principal

REMEMBERED = 10_000
REMEMBER_SECONDS = 60 * 60

_lock = forking.Lock()
_known: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()


def remember(credential: str, principal: Principal) -> None:
    """Keep in mind whose credential this is, found in the database just now."""
    name = _name(credential)
    with _lock:
        _known[name] = (monotonic(), principal)
        _known.move_to_end(name)
        if len(_known) > REMEMBERED:
            _known.popitem(last=False)


def forget(credential: str) -> None:
    """The database knows this credential to be bad."""
    with _lock:
        _known.pop(_name(credential), None)


def recall(credential: str) -> Principal | None:
    """Return whose credential this was within the last hour, unless its own time is over by now."""
    at, principal = _known.get(_name(credential), (0.0, None))
    if principal is None or monotonic() - at > REMEMBER_SECONDS:
        return None
    if principal.token is not None:
        return principal if tokens.is_good(principal.token) else None
    if principal.credential == "session":
        return principal
    try:
        jwt.read(credential)
    except BadCredential:
        return None
    return principal


def clear() -> None:
    """Forget everybody. For tests."""
    with _lock:
        _known.clear()


def _name(credential: str) -> bytes:
    return sha256(credential.encode()).digest()
