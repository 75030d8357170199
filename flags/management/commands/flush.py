"""`flush`, for a database whose history is append-only."""

from django.core.management.commands.flush import Command as DjangoFlush
from django.db import connections

from flags import triggers


class Command(DjangoFlush):
    """Django's `flush`, with the triggers out of its way while it works.

    History refuses to be erased and deleted keys are remembered for ever: both are done by triggers, and both would
    stand against emptying the database on purpose. TransactionTestCase does just that after each test. The triggers are
    put back whatever happens, also when the caller keeps `post_migrate` from being sent, which would have done it.
    """

    def handle(self, **options) -> None:
        database = options["database"]
        if options["interactive"] and not self._is_meant(database):
            self.stdout.write("Nothing was erased.")
            return
        triggers.remove_history_guard(connections[database])
        try:
            super().handle(**{**options, "interactive": False})
        finally:
            triggers.after_migrate(using=database)

    def _is_meant(self, database: str) -> bool:
        """Ask before the guard is down: a question may stand unanswered for a long time."""
        name = connections[database].settings_dict["NAME"]
        answer = input(
            f"This erases every row of the database {name!r}: flags, companies, people and the whole history.\n"
            "It cannot be undone. Type 'yes' to go on: "
        )
        return answer.strip() == "yes"
