"""`demo`: a database with companies, people and flags to try everything on, and a server in front of it."""

import json
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from flags import demo
from flags.management import door
from flags.management.tables import table
from tenants import roles


class Command(BaseCommand):
    help = (
        "Migrates the database, fills it with a demonstration, prints the sign-ins and serves. "
        "Run again, it changes nothing and says the same."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="Where to listen (127.0.0.1).")
        parser.add_argument("--port", type=int, default=8000, help="On which port (8000).")
        parser.add_argument("--no-serve", action="store_true", help="Prepare the database and end.")
        parser.add_argument("--json", action="store_true", help="Print the sign-ins as JSON, and nothing else.")
        parser.add_argument("--force", action="store_true", help="Also where the database holds data of others.")

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        if connection.vendor == "postgresql" and roles.usable(connection) != set(roles.ROLES):
            raise CommandError(f"The roles of row-level security are missing. {roles.HOW_TO_CREATE}")
        with door.at_the_command_line("demo"):
            if not options["force"]:
                _refuse_to_mix()
            built = demo.build()
        if options["json"]:
            accounts = [asdict(account) for account in built.accounts]
            self.stdout.write(json.dumps({"accounts": accounts, "tokens": {"server": built.token}}, indent=2))
        else:
            self._print(built, f"http://{options['host']}:{options['port']}/")
        if not options["no_serve"]:
            self.stdout.flush()
            call_command("runserver", f"{options['host']}:{options['port']}", use_reloader=False, skip_checks=True)

    def _print(self, built: demo.Demo, url: str) -> None:
        write, accounts = self.stdout.write, built.accounts
        write("A demonstration was made.\n\n" if built.made else "The demonstration is there already.\n\n")
        rows = [(one.email, one.role.replace("_", " "), one.company) for one in accounts]
        write(table(("EMAIL", "ROLE", "COMPANY"), rows))
        if accounts:
            write(f"\nPassword for everybody: {self.style.SUCCESS(accounts[0].password)}")
        write(f"Token for programs:     {self.style.SUCCESS(built.token)}")
        write(
            f"\nWatch a gate open: sign in at {url} as a super admin, and as a company's admin in a second browser at\n"
            f"{url}billing/. Turn on Billing System in the first, and load the page again in the second."
        )


def _refuse_to_mix() -> None:
    """Keep the demonstration, whose passwords anybody with the secret key knows, out of somebody's real data."""
    if settings.DEBUG or demo.is_there():
        return
    others = demo.others()
    if others:
        raise CommandError(
            f"The database {connection.settings_dict['NAME']!r} holds {others} companies and people that no "
            "demonstration made. Use an empty database, or --force if you mean it."
        )
