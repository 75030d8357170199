"""`load_scale`: many flags, companies, overrides, people and lines of history, to measure on."""

import json
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from flags import demo, loadscale
from flags.management import door

WIDTH = 30
WHAT = ("flags", "companies", "overrides", "people", "history")
WORDS = {"history": "lines of history"}


class Command(BaseCommand):
    help = (
        "Adds flags, companies, overrides, people and history in bulk until there are so many of each, to measure on. "
        "Run again, it adds what is missing. Not for a database whose data matters: nothing takes the rows away again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--flags", type=door.count, default=1_000, metavar="N", help="How many flags (1,000).")
        parser.add_argument(
            "--companies", type=door.count, default=100_000, metavar="N", help="How many companies (100,000)."
        )
        parser.add_argument(
            "--overrides", type=door.count, default=1_000_000, metavar="N", help="How many overrides (1,000,000)."
        )
        parser.add_argument(
            "--people", type=door.count, default=100_000, metavar="N", help="How many people (100,000)."
        )
        parser.add_argument(
            "--history", type=door.count, default=1_000_000, metavar="N", help="How many lines of history (1,000,000)."
        )
        parser.add_argument("--json", action="store_true", help="Print the counts as JSON.")
        parser.add_argument("--force", action="store_true", help="Also where the database holds data of others.")

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()
        wanted = {name: options[name] for name in WHAT}
        if not (options["force"] or settings.DEBUG):
            self._refuse_to_mix()
        with door.refusing():
            added = loadscale.load(**wanted, tell=self._tell)
        there, seconds = loadscale.counts(), time.monotonic() - started
        if options["json"]:
            self.stdout.write(json.dumps({"counts": there, "added": added, "seconds": round(seconds, 1)}))
        else:
            parts = (f"{number:,} {WORDS.get(what, what)} ({added[what]:,} new)" for what, number in there.items())
            self.stdout.write(f"{', '.join(parts)}, in {seconds:.1f} s.")

    def _refuse_to_mix(self) -> None:
        with door.at_the_command_line("see whose data this is"):
            others = demo.others() - loadscale.loaded_companies() - loadscale.loaded_people()
        if others:
            raise CommandError(
                f"The database {connection.settings_dict['NAME']!r} holds {others} companies and people that were "
                "not made to measure on. Use another database, or --force if you mean it."
            )

    def _tell(self, what: str, done: int, total: int) -> None:
        bar = "#" * (WIDTH * done // total)
        line = f"{what:<10} [{bar:<{WIDTH}}] {done:>9,} / {total:,}"
        ending = "\n" if done >= total else ""
        if self.stderr.isatty():
            self.stderr.write(f"\r{line}", ending=ending)
        else:
            self.stderr.write(line)
        self.stderr.flush()
