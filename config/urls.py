"""The map of the site."""

from django.urls import include, path

from config import health

urlpatterns = [
    path("", include("tenants.urls")),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
