"""Who is asking, in one value: a person or a program, in a company or in none."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from tenants import jwt, rls, tokens
from tenants.models import ApiToken, Company, Membership, Role, User

VIEWING_AS = "viewing_as"
"""The session's key for the id of the company through whose eyes a super admin looks."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking. Made once per request, from rows read for that request.

    `company` is home or the workspace one is in, or what a token is bound to; None while it is inactive. `home` is set
    while one is in another workspace. `role` is the one held in `company`, empty for none and for tokens. `viewing_as`
    is set while a super admin looks through a company's eyes. `credential` is how we know: "session", "jwt", "token",
    or "" for nobody. `claims` are those of the JWT.
    """

    user: User | None = None
    company: Company | None = None
    role: str = ""
    token: ApiToken | None = None
    viewing_as: Company | None = None
    credential: str = ""
    home: Company | None = None
    claims: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_anonymous(self) -> bool:
        """Nobody we know."""
        return self.user is None and self.token is None

    @property
    def is_super_admin(self) -> bool:
        """A super admin, as such: not while viewing as a company, and never a token."""
        return self.user is not None and self.user.is_active and self.user.is_superuser and self.viewing_as is None

    @property
    def actor(self) -> User | ApiToken | None:
        """Who makes the changes of this request."""
        return self.token or self.user

    @property
    def kind(self) -> str:
        """One word for logs and metrics: anonymous, user, server or client."""
        return self.token.kind if self.token is not None else "user" if self.user is not None else "anonymous"

    def binding(self) -> rls.Binding:
        """Return on whose behalf the database works for this principal."""
        if self.is_anonymous:
            return rls.NOBODY
        company_id = self.company.pk if self.company is not None else None
        user_id = self.user.pk if self.user is not None else None
        if self.is_super_admin:
            return rls.Binding(rls.CONSOLE_ROLE, user_id=user_id)
        if self.token is not None and self.token.company_id is None:
            return rls.Binding(rls.CONSOLE_ROLE, why=f"server key {self.token.name}")
        return rls.Binding(rls.TENANT_ROLE, company_id, user_id, self.role or self.kind)


ANONYMOUS = Principal()


def of_session(request: HttpRequest) -> Principal:
    """Return who is signed in. Reads the person and their home, in one query, as whoever is bound."""
    user = request.user
    if not user.is_authenticated:
        return ANONYMOUS
    user = getattr(user, "_wrapped", user)  # The person, not the promise of one.
    viewed = request.session.get(VIEWING_AS) if user.is_superuser else None
    company = _company(viewed) if viewed else None
    if company is not None:
        seen = company if company.is_active else None
        return Principal(user, seen, Role.ADMIN, viewing_as=company, credential="session")
    return _of_user(user, "session")


def of_credential(plain: str) -> Principal:
    """Return whose bearer credential this is. Raises BadCredential. Reads as whoever is bound."""
    if plain.startswith(tokens.PREFIX):
        token = tokens.verify(plain)
        company = token.company if token.company is not None and token.company.is_active else None
        return Principal(company=company, token=token, credential="token")
    claims = jwt.read(plain)
    return _of_user(jwt.person(claims), "jwt", claims)


def _of_user(user: User, credential: str, claims: dict[str, Any] | None = None) -> Principal:
    """Return a person who was read with their home. They are nowhere while that company is inactive."""
    home: Membership | None = None if user.home_id is None else user.home  # type: ignore[attr-defined]
    if home is None or not home.company.is_active:
        return Principal(user, credential=credential, claims=claims or {})
    return Principal(user, home.company, home.role, credential=credential, claims=claims or {})


def _company(company_id: object) -> Company | None:
    try:
        return Company.objects.filter(pk=UUID(str(company_id))).first()
    except ValueError:
        return None


def as_request_user(principal: Principal) -> User | AnonymousUser:
    """Return what `request.user` says for a bearer credential, whatever the session says."""
    return principal.user or AnonymousUser()
