"""The WSGI callable, for the server that runs the project."""

import os

from django.core.wsgi import get_wsgi_application

from config import startup

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()
startup.refuse_what_is_unsafe()
