"""How people are known to the API: short access tokens (JWT) and a chain of refresh tokens behind them.

An access token lives 15 minutes and ends early when its person is deactivated, changes their password or signs out:
the row of the person is read on each request anyway. A refresh token serves once; using a spent one again means that
somebody has copied it, and ends the whole chain.
"""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import jwt
from django.conf import settings
from django.db import transaction
from django.db.models import Exists
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from tenants.credentials import BadCredential
from tenants.models import Company, Membership, RefreshToken, User
from tenants.rls import acting_as_system

ISSUER = "headgate"
AUDIENCE = "headgate-api"
ALGORITHM = "HS256"
ACCESS_LIFETIME = timedelta(minutes=15)
REFRESH_LIFETIME = timedelta(days=14)
REQUIRED = ["iss", "aud", "sub", "iat", "exp", "jti", "sid", "pwd"]

Pair = dict[str, str]


class ExpiredToken(BadCredential):
    """An access token whose time is over. It was good once, so saying so gives nothing away."""

    code = "TOKEN_EXPIRED"
    detail = "This access token has expired. Refresh it, or sign in again."


class BadRefreshToken(BadCredential):
    """A refresh token that is unknown, expired, spent or ended."""

    code = "REFRESH_TOKEN_INVALID"
    detail = "This refresh token is unknown, expired or was used before. Sign in again."


def _key(secret: str) -> bytes:
    """Derive the signing key, so that nothing else that SECRET_KEY signs can pass for an access token."""
    return salted_hmac("tenants.jwt", "access token", secret=secret, algorithm="sha256").digest()


def _password_mark(user: User) -> str:
    """A short mark that changes with the password, and tells nothing of it."""
    return user.get_session_auth_hash()[:16]


def _has_password_mark(user: User, mark: str) -> bool:
    hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return any(constant_time_compare(known[:16], mark) for known in hashes)


def _digest(refresh_token: str) -> str:
    return sha256(refresh_token.encode()).hexdigest()


def access_token(user: User, company: Company | None, family: UUID, active_company: UUID | None = None) -> str:
    """Return an access token of one sign-in (`family`). `activeWorkspaceId` is claimed only where one is active."""
    now = datetime.now(UTC)
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(user.pk),
        "iat": now,
        "exp": now + ACCESS_LIFETIME,
        "jti": str(uuid4()),
        "sid": str(family),
        "pwd": _password_mark(user),
        "tenantId": str(company.pk) if company is not None else None,
    }
    if active_company is not None:
        claims["activeWorkspaceId"] = str(active_company)
    return jwt.encode(claims, _key(settings.SECRET_KEY), algorithm=ALGORITHM)


def _refresh_token(user: User, family: UUID, active_company: UUID | None) -> str:
    plain = f"{secrets.token_urlsafe(32)}.{_password_mark(user)}"
    RefreshToken.objects.create(
        family=family,
        user=user,
        digest=_digest(plain),
        active_company=active_company,
        expires_at=timezone.now() + REFRESH_LIFETIME,
    )
    return plain


def issue(user: User, company: Company | None, active_company: UUID | None = None) -> Pair:
    """Sign a person in: returns {"access", "refresh"}. Clears away what has expired of theirs."""
    family = uuid4()
    with acting_as_system("issue tokens to a person"), transaction.atomic():
        RefreshToken.objects.filter(user=user, expires_at__lt=timezone.now()).delete()
        refresh = _refresh_token(user, family, active_company)
    return {"access": access_token(user, company, family, active_company), "refresh": refresh}


def refresh(token: str, *, workspaces_on: Callable[[User, Company], bool] = lambda user, company: False) -> Pair:
    """Trade a refresh token for a new pair. Raises BadCredential, after ending the chain if the token was spent.

    The active workspace lives on only while its person is still a member of it and `workspaces_on(user, home)`, which
    knows whether the feature is on, says so.
    """
    with acting_as_system("refresh a person's tokens"), transaction.atomic():
        pair = _rotate(token, workspaces_on)
    if pair is None:
        raise BadRefreshToken
    return pair


def _rotate(token: str, workspaces_on: Callable[[User, Company], bool]) -> Pair | None:
    now = timezone.now()
    row = RefreshToken.objects.select_related("user").filter(digest=_digest(token)).first()
    if row is None or row.ended_at is not None or row.expires_at <= now:
        return None
    user = row.user
    # One statement decides who was first, so that two uses at once are one use and one theft.
    was_first = RefreshToken.objects.filter(pk=row.pk, spent_at=None, ended_at=None).update(spent_at=now)
    if not was_first or not user.is_active or not _has_password_mark(user, token.rpartition(".")[2]):
        end_family(row.family)
        return None
    membership = Membership.objects.home_of(user)
    home = membership.company if membership is not None else None
    active = row.active_company
    if active is not None and not (
        home is not None
        and Membership.objects.filter(user=user, company=active, company__is_active=True).exists()
        and workspaces_on(user, home)
    ):
        active = None
    return {
        "access": access_token(user, home, row.family, active),
        "refresh": _refresh_token(user, row.family, active),
    }


def activate(user: User, company: Company | None, family: UUID, active_company: UUID | None) -> str:
    """Make another workspace (or none) the active one of a sign-in: a fresh access token; refreshing keeps it."""
    with acting_as_system("choose a workspace"):
        RefreshToken.objects.filter(family=family, user=user, spent_at=None).update(active_company=active_company)
    return access_token(user, company, family, active_company)


def end(token: str) -> None:
    """Sign out: end the chain a refresh token belongs to, and with it its access tokens. Silent for unknown ones."""
    with acting_as_system("end a chain of tokens"):
        row = RefreshToken.objects.filter(digest=_digest(token)).first()
        if row is not None:
            end_family(row.family)


def end_family(family: UUID) -> None:
    """End one sign-in. Reads and writes as whoever is bound."""
    RefreshToken.objects.filter(family=family, ended_at=None).update(ended_at=timezone.now())


def read(access: str) -> dict[str, Any]:
    """Return the claims of an access token that is signed by us and still runs. Raises BadCredential. No database."""
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return jwt.decode(
                access,
                _key(secret),
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": REQUIRED},
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.ExpiredSignatureError as error:
            raise ExpiredToken from error
        except jwt.InvalidTokenError as error:
            raise BadCredential from error
    raise BadCredential


def person(claims: dict[str, Any]) -> User:
    """Return whose access token it is, with their home. Reads as whoever is bound.

    Raises BadCredential once they are gone, inactive, signed out or have a new password.
    """
    ended = RefreshToken.objects.filter(family=claims["sid"], ended_at__isnull=False)
    user = User.objects.with_home().filter(pk=claims["sub"], is_active=True).annotate(signed_out=Exists(ended)).first()
    if user is None or user.signed_out or not _has_password_mark(user, claims["pwd"]):
        raise BadCredential
    return user
