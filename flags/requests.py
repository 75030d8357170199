"""What a request is once the middleware has been there. For the type checker; at run time it is Django's own."""

from django.http import HttpRequest as DjangoRequest
from django_htmx.middleware import HtmxDetails

from flags.features import Features
from tenants.credentials import BadCredential
from tenants.principal import Principal
from tenants.workspaces import WorkspaceRefused


class HttpRequest(DjangoRequest):
    """A request with who asks, what they may use, and how they ask."""

    principal: Principal
    credential_error: BadCredential | None
    workspace_error: WorkspaceRefused | None
    features: Features
    htmx: HtmxDetails
    request_id: str
