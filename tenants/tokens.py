"""API tokens: making and recognising them. Making and revoking *with history* is `flags.companies`.

A token reads `hg_<s|c>_<public id>_<secret>`: the kind (server, client), an id to find it by, and 256 random bits. Only
a SHA-256 of it is kept; for a random secret a fast digest is right, since there is nothing to guess.
"""

import logging
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import sha256

from django.db import Error as DatabaseError
from django.db import connection
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare, get_random_string

from tenants.credentials import BadCredential
from tenants.models import ApiToken, Company, User
from tenants.rls import acting_as_system

logger = logging.getLogger(__name__)

SCOPES = ("evaluate", "flags:read", "flags:write", "releases:write", "tenants:write", "audit:read")
CLIENT_SCOPES = ("evaluate",)
PREFIX = "hg_"
PATTERN = re.compile(r"hg_([sc])_([0-9A-Za-z]{12})_([0-9A-Za-z_-]{43})")
NOTE_USE_EVERY = timedelta(minutes=1)


def mint(
    *,
    name: str,
    kind: str,
    scopes: Sequence[str],
    company: Company | None = None,
    created_by: User | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """Make and store a token; returns the row and the token itself, which can never be read again.

    Raises ValueError for unknown scopes, and for a client key that is bound to no company or may do more than evaluate.
    """
    if set(scopes) - set(SCOPES):
        raise ValueError(f"Unknown scopes: {sorted(set(scopes) - set(SCOPES))}.")
    if kind == ApiToken.Kind.CLIENT and (company is None or set(scopes) - set(CLIENT_SCOPES)):
        raise ValueError("A client key is bound to a company and may evaluate, nothing else.")
    public_id = get_random_string(12)
    plain = f"{PREFIX}{kind[0]}_{public_id}_{secrets.token_urlsafe(32)}"
    token = ApiToken(
        name=name,
        kind=kind,
        public_id=public_id,
        digest=digest(plain),
        company=company,
        scopes=list(scopes),
        created_by=created_by,
        expires_at=expires_at,
    )
    token.save(force_insert=True)
    return token, plain


def digest(plain: str) -> str:
    """Return what is kept of a token."""
    return sha256(plain.encode()).hexdigest()


def verify(plain: str) -> ApiToken:
    """Return the token this is, with its company. Raises BadCredential, in the same words whatever is wrong with it.

    Reads as whoever is bound, which company people must not be: they may not read tokens.
    """
    match = PATTERN.fullmatch(plain)
    if match is None:
        raise BadCredential
    token = ApiToken.objects.select_related("company").filter(public_id=match[2]).first()
    matches = constant_time_compare(digest(plain), token.digest if token is not None else digest(""))
    if token is None or not matches or not is_good(token):
        raise BadCredential
    return token


def is_good(token: ApiToken) -> bool:
    """Say whether a token is neither revoked nor expired."""
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > timezone.now())


@contextmanager
def _not_waiting_for_a_file() -> Iterator[None]:
    """On SQLite, give up at once while somebody else writes: a check must not wait for a note."""
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        (patience,) = cursor.execute("pragma busy_timeout").fetchone()
        cursor.execute("pragma busy_timeout = 20")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"pragma busy_timeout = {int(patience)}")


def note_use(token: ApiToken) -> None:
    """Remember that a token was used just now, at most once a minute. Losing one such note is no reason to fail."""
    now = timezone.now()
    if token.last_used_at is not None and token.last_used_at > now - NOTE_USE_EVERY:
        return
    token.last_used_at = now  # Whoever knows this token by heart need not ask again within the minute.
    unnoted = Q(last_used_at=None) | Q(last_used_at__lte=now - NOTE_USE_EVERY)
    try:
        with acting_as_system("note that a token was used"), _not_waiting_for_a_file():
            ApiToken.objects.filter(unnoted, pk=token.pk).update(last_used_at=now)
    except DatabaseError as error:
        logger.warning("use of token not noted token=%s error=%s", token.public_id, type(error).__name__)
