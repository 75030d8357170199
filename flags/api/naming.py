"""How a call names a company: by UUID or slug, in one place, and one it may speak for."""

import re
from contextlib import nullcontext
from typing import Any
from uuid import UUID

from django.http import HttpRequest

from flags.exceptions import Invalid, Missing, NotAllowed
from tenants import rls
from tenants.models import Company
from tenants.principal import Principal
from tenants.workspaces import HEADER, PARAMETER

SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
IN_QUERY = (PARAMETER, "company")


def no_company(name: str) -> Missing:
    """Return the one answer to a company that is unknown or somebody else's."""
    return Missing(f"There is no company {name[:100]!r}.", code="COMPANY_NOT_FOUND")


def foreign_company() -> NotAllowed:
    """Return the one answer to a token that names a company it is not bound to, there or not."""
    return NotAllowed("This token is bound to a company and may name no other, nor all.", code="TOKEN_COMPANY_MISMATCH")


def lookup(name: str) -> dict[str, Any] | None:
    """Return how to look a company up by its UUID or slug, or None for what can be neither."""
    try:
        return {"pk": UUID(name)} if len(name) in (32, 36) else _by_slug(name)
    except ValueError:
        return _by_slug(name)


def _by_slug(name: str) -> dict[str, Any] | None:
    return {"slug": name} if len(name) <= 80 and SLUG.fullmatch(name) else None


def is_company(company: Company, name: str) -> bool:
    """Say whether this is how somebody would name the company."""
    wanted = lookup(name)
    return wanted is not None and all(getattr(company, field) == value for field, value in wanted.items())


def find_company(name: str, principal: Principal) -> Company:
    """Return the company so named, inactive ones too. Raises Missing, also for what a bound token may not see."""
    token = principal.token
    if token is not None and token.company_id is not None:
        # A key whose company is inactive finds nothing: to others it is as if it were not there either.
        if principal.company is None or not is_company(principal.company, name):
            raise no_company(name)
        return principal.company
    wanted = lookup(name)
    found = None
    if wanted is not None:
        # A key that is known by heart is bound to nobody, and speaks for every company.
        is_unbound = token is not None and rls.current() == rls.NOBODY
        with rls.acting_as_system("find the company a server key names") if is_unbound else nullcontext():
            found = Company.objects.filter(**wanted).first()
    if found is None:
        raise no_company(name)
    return found


def named_company(name: str, principal: Principal, field: str) -> Company:
    """Return the company that a body names. A bound token may name only its own (403); unknown ones are Invalid."""
    token = principal.token
    if token is not None and token.company is not None and not is_company(token.company, name):
        raise foreign_company()
    try:
        return find_company(name, principal)
    except Missing as error:
        raise Invalid(error.detail, code="COMPANY_NOT_FOUND", errors={field: ["No such company."]}) from error


def named_beside(request: HttpRequest) -> set[str]:
    """Return every company that a call names in its header or its query, besides its address and its body."""
    found = {name.strip() for field in IN_QUERY for name in request.GET.getlist(field)}
    return (found | {request.headers.get(HEADER, "").strip()}) - {""}


def stay_within(request: HttpRequest, principal: Principal) -> None:
    """Raise NotAllowed where a bound token names another company, wherever: also where nobody would look for one."""
    token = principal.token
    if token is None or token.company is None:
        return
    if any(not is_company(token.company, name) for name in named_beside(request)):
        raise foreign_company()


def agree(request: HttpRequest, company: Company) -> None:
    """Raise Invalid where a call is about one company and names another beside it: one of the two is a mistake."""
    if any(not is_company(company, name) for name in named_beside(request)):
        raise Invalid(
            f"This call is about another company than {HEADER} or `{PARAMETER}` names. Name one, once.",
            code="WORKSPACE_AMBIGUOUS",
        )
