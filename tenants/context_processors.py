"""{{ workspaces }} in every template: where else the person could work. Costs nothing where no template asks."""

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from tenants.principal import ANONYMOUS
from tenants.workspaces import open_to


def workspaces(request: HttpRequest) -> dict[str, object]:
    """Return the memberships that the switcher shows; empty while the feature is off."""
    who = getattr(request, "principal", ANONYMOUS)
    return {"workspaces": SimpleLazyObject(lambda: open_to(who))}
