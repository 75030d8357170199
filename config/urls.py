"""The map of the site."""

from django.urls import include, path, re_path

from config import health
from flags.api import errors

urlpatterns = [
    path("", include("tenants.urls")),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("api/", include("flags.api.urls")),
    # Last of all: whatever else is asked of the API is told so in its own words.
    re_path(r"^(?:api|ofrep)(?:/|$)", errors.route_not_found),
]
