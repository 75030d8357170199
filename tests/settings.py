"""The settings as tests have them, for processes that a test starts: whoever names this module is a test."""

import pytest  # noqa: F401  config.settings looks whether it is there.

from config.settings import *  # noqa: F403
