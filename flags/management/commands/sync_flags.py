"""`sync_flags`: bring the catalogues into the database."""

import json
from dataclasses import asdict

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, Error, connections

from flags.sync import SyncReport, sync_flags
from tenants import provenance

POSTPONED = 2
"""The exit code when flags wait for something. 0: every flag of the catalogues is there. 1: nothing was done."""

LINES = (
    ("created", "Created"),
    ("updated_default", "Default follows the environment or the catalogue"),
    ("retired", "Deleted once, and stays deleted"),
)


class Command(BaseCommand):
    help = (
        "Adds the flags of the catalogues that the database lacks, and updates the defaults that no operator has set. "
        "Runs after every migrate as well. Exits with 0 when all are there, 2 when some have to wait, 1 on failure."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print the report as JSON.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, choices=tuple(connections), help="Which database.")

    def handle(self, *args, **options) -> None:
        via = provenance.via.set("command")
        try:
            report = sync_flags(options["database"])
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        except Error as error:
            raise CommandError(f"The database refused: {str(error).strip()}. Has `migrate` been run?") from error
        finally:
            provenance.via.reset(via)
        if options["json"]:
            self.stdout.write(json.dumps(asdict(report)))
        else:
            self._print(report)
        if report.postponed:
            raise CommandError("Some flags have to wait. Run `migrate`, then this again.", returncode=POSTPONED)

    def _print(self, report: SyncReport) -> None:
        for name, title in LINES:
            if keys := getattr(report, name):
                self.stdout.write(f"{title}: {', '.join(keys)}")
        for key, cause in report.postponed.items():
            self.stdout.write(f"Waits for the {cause}: {key}")
        self.stdout.write(f"Unchanged: {len(report.unchanged)}")
