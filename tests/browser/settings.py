"""The settings of the demonstration, with a few more addresses: see tests/browser/urls.py."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "tests.browser.urls"
