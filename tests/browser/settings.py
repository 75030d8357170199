"""The settings of the demonstration, with a few more addresses (see tests/browser/urls.py), quick passwords and files
that browsers keep, as they do everywhere but on the machine of whoever changes them."""

from config.settings import *  # noqa: F403

# People sign in by the hundred, and how their passwords are kept is tried elsewhere.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *PASSWORD_HASHERS]  # noqa: F405
ROOT_URLCONF = "tests.browser.urls"

WHITENOISE_AUTOREFRESH = False
WHITENOISE_MAX_AGE = 3600  # Seconds.
