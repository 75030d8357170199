"""`send_mail`: send what waits in the outbox. Run it every minute; twice at a time does no harm."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from flags import outbox
from flags.management import door


class Command(BaseCommand):
    help = "Sends the messages that wait in the outbox, each of them once. Exits with 1 if some could not be sent."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--again",
            action="store_true",
            help="Also send what another process began to send and never finished. It may arrive twice.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with door.refusing():
            done = outbox.send_waiting(again=options["again"])
        if done.sent:
            self.stdout.write(f"Sent {done.sent} message{'' if done.sent == 1 else 's'}.")
        elif not done.failed and not done.stuck:
            self.stdout.write("Nothing waits.")
        if done.stuck:
            self.stderr.write(
                f"{done.stuck} may or may not have arrived: whoever sent them did not finish. --again sends them again."
            )
        if done.failed:
            raise CommandError(
                f"{done.failed} could not be sent; they wait for the next time.", returncode=door.REFUSED
            )
