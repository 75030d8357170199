"""An installation whose other doors are left out. Used as ROOT_URLCONF."""

from django.urls import include, path

urlpatterns = [path("", include("tenants.urls"))]
