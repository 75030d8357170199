"""The ASGI callable, for the server that runs the project."""

import os

from django.core.asgi import get_asgi_application

from config import startup

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_asgi_application()
startup.refuse_what_is_unsafe()
