"""`manage.py audit_tenants`: prove that companies are kept apart."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from flags import auditruns
from flags.audits import run_audit
from flags.isolation import MODES
from flags.management import door
from flags.management.tables import table
from flags.releasemodels import IsolationAudit


class Command(BaseCommand):
    """Audit tenant isolation, store the run, and fail where a wall has a hole."""

    help = (
        "Audits tenant isolation: the schema with its policies, the data behind them, and live attempts to get from "
        "one company to another, in a transaction that is rolled back. Exits with 1 if anything is an error."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--mode", choices=MODES, default="both", help="what to look at (both)")
        parser.add_argument("--company", metavar="SLUG", help="look at the data of one company only")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, **options: Any) -> None:
        with door.at_the_command_line("audit tenant isolation"):
            company = door.find_company(options["company"]) if options["company"] else None
            run = run_audit(options["mode"], actor=None, company=company)
            report = auditruns.as_json(run)
        if options["json"]:
            self.stdout.write(json.dumps(report, indent=2, ensure_ascii=False))
        else:
            self._print(run, report)
        if not run.passed:
            raise CommandError(f"Not isolated: {report['counts']['error']} errors.", returncode=door.REFUSED)

    def _print(self, run: IsolationAudit, report: dict[str, Any]) -> None:
        rows = [
            (finding["severity"], finding["check"], finding["message"], finding["remedy"])
            for _, findings in auditruns.by_severity(run)
            for finding in findings
        ]
        if rows:
            self.stdout.write(table(("SEVERITY", "CHECK", "FOUND", "REMEDY"), rows) + "\n\n")
        counts = ", ".join(f"{count} {severity}" for severity, count in report["counts"].items())
        self.stdout.write(f"{run.checks} checks: {counts}.")
        if (previous := report["since_last"]["previous"]) is not None:
            appeared, gone = (len(report["since_last"][name]) for name in ("appeared", "gone"))
            self.stdout.write(f"Since the last run at {previous['at']}: {appeared} more, {gone} fewer.")
        for part in run.skipped:
            self.stdout.write(f"Left out: {part}")
        if not run.complete:
            self.stdout.write("This run is not complete, so it opens no gate.")
