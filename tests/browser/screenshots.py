"""Photographs of every page: light, dark, 320 pixels wide, and the pages of an installation in which nothing is yet.

    python -m tests.browser.screenshots [NAME…] [--out screenshots] [--readme]

It makes a demonstration and an empty installation of its own, beside the database that DATABASE_URL names, and goes
through the list in `pages.py`. NAMEs choose among it. `--readme` makes the pictures of the README instead.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import django

from tests.browser import pages, serving
from tests.browser.pages import ANA, TALBI, Page

WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 320, "height": 640}
LOOKS = (("light", "light", WIDE), ("dark", "dark", WIDE), ("narrow", "light", NARROW))
README = {
    "flags": (
        800,
        Page("flags", ("console:flag_list",), query="?q=category:operations", opens=("#default-driver_chat",)),
    ),
    "releases": (600, Page("releases", ("console:release_board",))),
    "inspector": (
        1140,
        Page(
            "inspector",
            ("console:inspector",),
            query=f"?company={TALBI}&flag=trip_management&open=0:trip_management",
        ),
    ),
}
EMPTY = tuple(
    page
    for page in pages.PAGES
    if page.name in {"overview", "flags", "releases", "history", "tokens", "companies", "inspector", "isolation"}
)
PASSWORD = "only-for-screenshots"


@contextmanager
def demonstration(folder: Path) -> Iterator[serving.DemoServer]:
    """Serve a demonstration."""
    with serving.demonstration(folder) as (database, printed), serving.serving(database, printed) as server:
        yield server


@contextmanager
def nothing_yet(folder: Path) -> Iterator[serving.DemoServer]:
    """Serve an installation with one super admin and nothing else."""
    with serving.database_of_its_own(folder) as database:
        serving.manage(database, "migrate", "--verbosity", "0")
        os.environ["DJANGO_SUPERUSER_PASSWORD"] = PASSWORD
        serving.manage(database, "createsuperuser", "--noinput", "--email", ANA)
        ana = {"email": ANA, "password": PASSWORD, "role": "super_admin", "company": None}
        with serving.serving(database, {"accounts": [ana], "tokens": {"server": ""}}) as server:
            yield server


class Photographer:
    """Takes pictures of the pages of one server, as whoever each page is for."""

    def __init__(self, browser, server: serving.DemoServer, out: Path) -> None:
        self.browser, self.server, self.out = browser, server, out
        self.looking: dict[str, object] = {}

    def page_of(self, email: str):
        """Return a browser page in which this person is signed in; the same one each time."""
        if email not in self.looking:
            context = self.browser.new_context(base_url=self.server.url, reduced_motion="reduce")
            context.set_default_timeout(60_000)
            self.looking[email] = context.new_page()
            if account := self.server.person(email):
                self.looking[email].goto("/login/")
                serving.sign_in(self.looking[email], account)
        return self.looking[email]

    def take(self, page: Page, *, suffix: str = "", looks: Iterable = LOOKS) -> None:
        """Take one page in each look."""
        shown = self.page_of(page.who)
        for look, scheme, size in looks:
            shown.emulate_media(color_scheme=scheme)
            shown.set_viewport_size(WIDE if page.opens else size)
            page.open_in(shown)
            shown.set_viewport_size(size)
            shown.evaluate("scrollTo(0, 0)")  # What sticks to an edge would lie over the middle of the whole page.
            shown.wait_for_timeout(100)
            shown.screenshot(path=self.out / f"{page.name}{suffix}-{look}.png", full_page=True)


def take_all(out: Path, names: list[str]) -> None:
    """Take every page of the demonstration, and what an empty installation shows."""
    wanted = [page for page in pages.ALL if not names or page.name in names]
    empty = [page for page in EMPTY if not names or page.name in names]
    with tempfile.TemporaryDirectory() as folder, serving.chromium() as browser:
        with demonstration(Path(folder)) as server:
            photographer = Photographer(browser, server, out)
            for number, page in enumerate(wanted, 1):
                print(f"{number}/{len(wanted)} {page.name}", flush=True)
                photographer.take(page)
        (empty_folder := Path(folder) / "empty").mkdir()
        with nothing_yet(empty_folder) as server:
            photographer = Photographer(browser, server, out)
            for page in empty:
                print(f"empty {page.name}", flush=True)
                photographer.take(page, suffix="-empty")


def take_for_readme(out: Path) -> None:
    """Take the pictures of the README, small enough to be kept."""
    with tempfile.TemporaryDirectory() as folder, serving.chromium() as browser, demonstration(Path(folder)) as server:
        photographer = Photographer(browser, server, out)
        shown = photographer.page_of(ANA)
        for name, (height, page) in README.items():
            shown.set_viewport_size(WIDE | {"height": height})
            page.open_in(shown)
            shown.wait_for_timeout(300)
            shown.screenshot(path=out / f"{name}.png")
            make_smaller(out / f"{name}.png")


def make_smaller(picture: Path) -> None:
    """Reduce a picture to 128 colours, which screens of text do not show; left as it is without ImageMagick."""
    if convert := shutil.which("convert"):
        reduced = ["-strip", "+dither", "-colors", "128", "-define", "png:compression-level=9"]
        subprocess.run([convert, picture, *reduced, f"PNG8:{picture}"], check=True)


def main(arguments: list[str] | None = None) -> int:
    """Take the pictures that the command line asks for. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.screenshots", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="pages to take, as pages.py calls them (all)")
    parser.add_argument("--out", type=Path, help="the folder they go to (screenshots, or docs/images)")
    parser.add_argument("--readme", action="store_true", help="make the pictures of the README instead")
    asked = parser.parse_args(arguments)
    unknown = set(asked.names) - {page.name for page in pages.ALL}
    if unknown:
        parser.error(f"No page is called {', '.join(sorted(unknown))}; see tests/browser/pages.py.")
    out = asked.out or serving.ROOT / ("docs/images" if asked.readme else "screenshots")
    out.mkdir(parents=True, exist_ok=True)
    if asked.readme:
        take_for_readme(out)
    else:
        take_all(out, asked.names)
    print(f"They are in {out}.")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_DEBUG", "true")
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.browser.settings"
    django.setup()  # For the addresses of the pages.
    sys.exit(main())
