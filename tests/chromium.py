"""Where Debian puts Chromium; the package of it that has no windows does the same in two thirds of the time."""

from pathlib import Path

PLACES = (Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium"))
CHROMIUM = next((place for place in PLACES if place.exists()), PLACES[-1])
