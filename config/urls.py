"""The map of the site."""

from django.urls import include, path, re_path

from config import health, metrics
from flags.api import errors

handler400 = "config.errors.bad_request"
handler403 = "config.errors.permission_denied"
handler404 = "config.errors.page_not_found"
handler500 = "config.errors.server_error"

urlpatterns = [
    # First what is asked most often, and by machines.
    path("api/", include("flags.api.urls")),
    path("ofrep/v1/", include("flags.api.ofrepurls")),
    path("", include("tenants.urls")),
    path("super-admin/", include("flags.console.urls")),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
    path("", include("flags.company.urls")),
    # Last of all: whatever else is asked of the API is told so in its own words.
    re_path(r"^(?:api|ofrep)(?:/|$)", errors.route_not_found),
]
