"""What the HTTP benchmark serves: Headgate with an empty view beside it, or that view alone (EMPTY_ONLY=1)."""

import os

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()
settings.ROOT_URLCONF = __name__
settings.API_RATE_LIMIT = "10000000/min"
settings.DEBUG = False
settings.ALLOWED_HOSTS = ["127.0.0.1"]
if os.environ.get("EMPTY_ONLY"):
    settings.MIDDLEWARE = []


def empty(request: HttpRequest) -> HttpResponse:
    """Do nothing."""
    return HttpResponse(b"{}", content_type="application/json")


urlpatterns = [path("empty", empty), path("", include("config.urls"))]
application = WSGIHandler()
