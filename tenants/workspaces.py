"""Which of a person's companies a request is about (seed 003). One of them is home; the others need a feature to be on.

Membership is read on each request, so that ending it ends access at once, whatever a token or a session remembers.
Whether the feature is on is not known here: whoever knows says so to tenants.told.
"""

from dataclasses import replace
from uuid import UUID

from django.http import HttpRequest

from tenants import told
from tenants.models import Company, Membership, User
from tenants.principal import Principal
from tenants.rls import acting_as_system

HEADER = "X-Workspace-Id"
PARAMETER = "workspace"
ACTIVE = "active_workspace"
"""The session's key for the id of the workspace somebody chose in the browser."""

DISABLED = "MULTI_WORKSPACE_DISABLED"


class WorkspaceRefused(Exception):
    """A company was named that this person may not work in now. `code` is stable; nothing says whether it exists."""

    def __init__(self, detail: str, *, code: str, status: int = 403) -> None:
        super().__init__(detail)
        self.code, self.detail, self.status = code, detail, status


def may_switch(user: User, home: Company | None) -> bool:
    """Say whether a person may work in companies other than their home now."""
    return home is not None and told.is_allowed_outside(user, home)


def memberships(user: User) -> list[Membership]:
    """Return every active company a person belongs to, home first. Reads as whoever is bound."""
    mine = Membership.objects.filter(user=user, company__is_active=True).select_related("company")
    return list(mine.order_by("-is_home", "company__name"))


def enter(request: HttpRequest, who: Principal) -> Principal:
    """Return the principal in the workspace that the request names, or that was chosen earlier; else at home.

    Only people have workspaces. Raises WorkspaceRefused for a company named now that is not to be had; one remembered
    from earlier that is no longer to be had is quietly home again.
    """
    if who.user is None or who.viewing_as is not None:
        return who
    named = _named(request)
    if named is not None and who.user.is_superuser:
        return who  # Whom a super admin may speak for is for the doors to say; they need not belong there.
    if named is not None:
        return _enter_named(who, named)
    remembered = _remembered(request, who)
    if remembered is None or (who.company is not None and remembered == who.company.pk):
        return who
    if not may_switch(who.user, who.company):
        return who
    there = next((mine for mine in memberships(who.user) if mine.company_id == remembered), None)
    return who if there is None else _in(who, there)


def is_named(request: HttpRequest, who: Principal) -> bool:
    """Say whether a person names, right or wrong, the workspace that this request is about."""
    return who.user is not None and (PARAMETER in request.GET or HEADER in request.headers)


def _in(who: Principal, membership: Membership) -> Principal:
    return replace(who, company=membership.company, role=membership.role, home=who.company)


def _named(request: HttpRequest) -> str | None:
    names = {
        name.strip() for name in (*request.GET.getlist(PARAMETER), request.headers.get(HEADER, "")) if name.strip()
    }
    if len(names) > 1:
        raise WorkspaceRefused(
            f"{HEADER} and `{PARAMETER}` name different workspaces. Name one, once.",
            code="WORKSPACE_AMBIGUOUS",
            status=400,
        )
    return names.pop() if names else None


def _remembered(request: HttpRequest, who: Principal) -> UUID | None:
    text = who.claims.get("activeWorkspaceId") if who.credential == "jwt" else request.session.get(ACTIVE)
    try:
        return UUID(str(text)) if text else None
    except ValueError:
        return None


def is_called(company: Company, name: str) -> bool:
    """Say whether this is a company's slug or id, written in any of the ways an id is."""
    if name == company.slug:
        return True
    try:
        return UUID(name) == company.pk
    except ValueError:
        return False


def _enter_named(who: Principal, name: str) -> Principal:
    assert who.user is not None
    if who.company is not None and is_called(who.company, name):
        return who
    if who.company is not None and not may_switch(who.user, who.company):
        raise WorkspaceRefused("Working in several companies is off for you. Leave the workspace out.", code=DISABLED)
    there = next((mine for mine in memberships(who.user) if is_called(mine.company, name)), None)
    if there is None:
        raise WorkspaceRefused("You are no member of that company.", code="NOT_A_MEMBER")
    return _in(who, there)


def open_to(who: Principal) -> list[Membership]:
    """Return the companies somebody may work in now, home first: all theirs while the feature is on, else none.

    For the switcher, which is hidden where there is nothing to switch (seed 003).
    """
    if who.user is None or who.viewing_as is not None or not may_switch(who.user, who.home or who.company):
        return []
    with acting_as_system("list a person's own companies"):
        return memberships(who.user)


def find(who: Principal, name: str) -> Membership:
    """Return the membership of somebody in the company so called. Raises WorkspaceRefused, as entering it would."""
    if who.user is None or not may_switch(who.user, who.home or who.company):
        raise WorkspaceRefused("Working in several companies is off for you.", code=DISABLED)
    with acting_as_system("find one of a person's companies"):
        mine = memberships(who.user)
    there = next((one for one in mine if is_called(one.company, name)), None)
    if there is None:
        raise WorkspaceRefused("You are no member of that company.", code="NOT_A_MEMBER")
    return there
