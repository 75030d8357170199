"""`provision_company`: a company with channel, plan, first admins and overrides, in one transaction (seed 000)."""

import json
import sys
from pathlib import Path
from typing import Any

import yaml
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from flags.exceptions import ChangeRefused
from flags.management import door
from flags.provisioning import Admin, Preset, Provisioned, provision

FIELDS = {"slug", "name", "channel", "plan", "admins", "overrides", "reason"}
USAGE = 2


class Command(BaseCommand):
    help = (
        "Makes a company with its channel, plan, first admins and overrides; doing it again adds what is missing. "
        "Takes one company from the command line, or any number from a JSON or YAML file: all or nothing. "
        "Exits with 0 when done, 1 when refused, 2 for bad usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", nargs="?", help="Its slug, such as acme-inc. Left out where --file is given.")
        parser.add_argument("name", nargs="?", help="Its name.")
        parser.add_argument("--channel", help="Its release channel; general if left out.")
        parser.add_argument("--plan", help="Its plan; starter if left out.")
        parser.add_argument(
            "--admin", action="append", default=[], metavar="EMAIL[=NAME]", help="Who runs it. May be repeated."
        )
        parser.add_argument(
            "--override",
            action="append",
            default=[],
            metavar="KEY=on|off",
            help="An answer of its own. May be repeated.",
        )
        parser.add_argument("--file", metavar="PATH", help="A JSON or YAML file: one company, or a list. - is stdin.")
        parser.add_argument("--reason", default="", metavar="TEXT", help="Why. Kept in the history.")
        parser.add_argument("--as", dest="actor", metavar="EMAIL", help="In whose name: a super admin's.")
        parser.add_argument("--dry-run", action="store_true", help="Say what would be done, and do nothing.")
        parser.add_argument("--json", action="store_true", help="Print JSON instead of words.")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = _from_file(options["file"]) if options["file"] else [_from_line(options)]
        done: list[tuple[dict[str, Any], Provisioned]] = []
        with door.at_the_command_line("provision companies"), transaction.atomic():
            actor = door.find_actor(options["actor"])
            for number, entry in enumerate(wanted, start=1):
                try:
                    done.append((entry, _provision(entry, actor, options["reason"])))
                except ChangeRefused as refusal:
                    refusal.detail = _placed(refusal, number, len(wanted), entry)
                    raise
            if options["dry_run"]:
                transaction.set_rollback(True)
        self._report(done, options)

    def _report(self, done: list[tuple[dict[str, Any], Provisioned]], options: dict[str, Any]) -> None:
        rows = [
            {
                "slug": entry["slug"],
                "is_new": found.is_new,
                "admins_added": found.admins_added,
                "overrides_added": found.overrides_added,
            }
            for entry, found in done
        ]
        if options["json"]:
            self.stdout.write(json.dumps({"dry_run": options["dry_run"], "companies": rows}, indent=2))
            return
        for row in rows:
            if options["dry_run"]:
                what = "would be made" if row["is_new"] else "is there"
                self.stdout.write(
                    f"{row['slug']} {what}; {row['admins_added']} admins and {row['overrides_added']} overrides to add."
                )
            else:
                what = "made" if row["is_new"] else "was there"
                self.stdout.write(
                    f"{row['slug']} {what}; added {row['admins_added']} admins and {row['overrides_added']} overrides."
                )


def _placed(refusal: ChangeRefused, number: int, count: int, entry: dict[str, Any]) -> str:
    """Return the refusal's sentence with the place it speaks of: which company, and which of its lines."""
    where = f"Company {number} ({entry.get('slug', 'without a slug')})" if count > 1 else ""
    if "of" in refusal.extra:
        line = f"{refusal.extra['of']}[{refusal.extra['index']}]"
        where = f"{where}, {line}" if where else line
    return f"{where}: {refusal.detail}" if where else refusal.detail


def _provision(entry: dict[str, Any], actor: Any, reason: str) -> Provisioned:
    return provision(
        entry["slug"],
        entry["name"],
        actor=actor,
        channel=entry.get("channel"),
        plan=entry.get("plan"),
        admins=[Admin(admin["email"], admin.get("name", "")) for admin in entry.get("admins", [])],
        overrides=[
            Preset(
                override["key"],
                override["enabled"],
                override.get("reason", ""),
                door.moment(str(override["expires_at"])) if override.get("expires_at") else None,
            )
            for override in entry.get("overrides", [])
        ],
        reason=entry.get("reason") or reason,
    )


def _from_line(options: dict[str, Any]) -> dict[str, Any]:
    if not options["slug"] or not options["name"]:
        raise CommandError("Name the company: a slug and a name, or a file with --file.", returncode=USAGE)
    overrides = []
    for text in options["override"]:
        key, _, answer = text.partition("=")
        if answer not in ("on", "off"):
            raise CommandError(f"--override {text}: write KEY=on or KEY=off.", returncode=USAGE)
        overrides.append({"key": key, "enabled": answer == "on"})
    admins = [dict(zip(("email", "name"), text.partition("=")[::2], strict=True)) for text in options["admin"]]
    entry = {"slug": options["slug"], "name": options["name"], "admins": admins, "overrides": overrides}
    return entry | {name: options[name] for name in ("channel", "plan") if options[name]}


def _from_file(path: str) -> list[dict[str, Any]]:
    """Return the companies of a file, checked for their shape. Raises CommandError that names the bad place."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        # JSON is YAML, as far as such a file goes.
        found = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}.", returncode=USAGE) from error
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f" line {place.line + 1}" if place is not None else ""
        raise CommandError(f"{path}{where} is neither JSON nor YAML.", returncode=USAGE) from error
    entries = found if isinstance(found, list) else [found]
    if not entries:
        raise CommandError(f"{path} names no company.", returncode=USAGE)
    for number, entry in enumerate(entries, start=1):
        problem = _problem(entry)
        if problem:
            raise CommandError(f"{path}, company {number}: {problem}", returncode=USAGE)
    return entries


def _problem(entry: Any) -> str:
    """Return what is wrong with the shape of one company, or nothing."""
    if not isinstance(entry, dict):
        return "is no object with slug and name."
    unknown = sorted(set(map(str, entry)) - FIELDS)
    if unknown:
        return f"knows no field {unknown[0]!r}. Fields are {', '.join(sorted(FIELDS))}."
    for name in ("slug", "name"):
        if not isinstance(entry.get(name), str) or not entry[name].strip():
            return f"lacks its {name}."
    for name, needed in (("admins", {"email": str}), ("overrides", {"key": str, "enabled": bool})):
        rows = entry.get(name, [])
        if not isinstance(rows, list):
            return f"{name} is no list."
        for index, row in enumerate(rows):
            for field, kind in needed.items():
                if not isinstance(row, dict) or not isinstance(row.get(field), kind):
                    return f"{name}[{index}] lacks {field}, which is {'true or false' if kind is bool else 'text'}."
    return ""
