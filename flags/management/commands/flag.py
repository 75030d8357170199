"""`flag`: see and steer flags from a shell or a script, by the same verbs as every other door."""

import json
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from flags import archiving, changes, companyfeatures, overview
from flags.evaluation import OverrideFact
from flags.features import features_for
from flags.impact import Proposed, impact
from flags.management import door, flagreport, releasereport
from flags.management.flagreport import on_off
from flags.management.tables import facts, table
from flags.models import Flag, Override
from flags.overview import FlagRow
from tenants.models import Company, Membership

STATES = ("overridden", "archived", *overview.STATES)
INHERIT = "inherit"
OVERRIDES_SHOWN = 50
KEPT = "with all its settings kept"


class Command(BaseCommand):
    help = (
        "Lists, shows, explains and changes flags. Every change is recorded in the history. "
        "Exits with 0 when done, 1 when refused, 2 when the command line made no sense."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        subparsers = parser.add_subparsers(dest="verb", required=True, metavar="verb")

        def verb(name: str, does: str, *, changing: bool = True, key: bool = True) -> CommandParser:
            sub = subparsers.add_parser(name, help=does, description=f"{does}.")
            if key:
                sub.add_argument("key", help="The flag's key, such as billing_enabled.")
            sub.add_argument("--json", action="store_true", help="Print JSON instead of words.")
            if changing:
                sub.add_argument("--reason", default="", metavar="TEXT", help="Why. Kept in the history.")
                sub.add_argument(
                    "--as", dest="actor", metavar="EMAIL", help="A super admin; Headgate itself if left out."
                )
                sub.add_argument("--dry-run", action="store_true", help="Say for whom it would change, and do nothing.")
            return sub

        listing = verb("list", "List flags", changing=False, key=False)
        listing.add_argument("--q", default="", metavar="TEXT", help="Text in the name, key or description.")
        listing.add_argument("--category", default="", help="Only this category.")
        listing.add_argument("--state", default="", choices=STATES, help="Only flags in this state.")
        verb("show", "Show one flag with its channels and overrides", changing=False)
        default = verb("default", "Turn a flag on or off by default, or let it inherit again")
        default.add_argument("answer", choices=("on", "off", INHERIT))
        override = verb("override", "Give one company its own answer")
        override.add_argument("company", help="The company's slug or UUID.")
        override.add_argument("enabled", type=door.on_or_off, metavar="on|off")
        override.add_argument("--until", type=door.moment, metavar="MOMENT", help="When it ends: 2027-03-03, in UTC.")
        reset = verb("reset", "Take a company's own answer away; it inherits again")
        reset.add_argument("company", help="The company's slug or UUID.")
        verb("kill", "Turn a flag off for everybody at once, keeping all its settings; needs --reason")
        verb("revive", "Take a kill back, with the state before it; needs --reason")
        verb("archive", "Put a flag away: it answers its last default from then on")
        verb("restore", "Bring an archived flag back, with everything that was stored")
        explain = verb(
            "explain", "Say what a company or a person gets, and by which of the twelve rules", changing=False
        )
        explain.add_argument("--company", help="The company's slug or UUID.")
        explain.add_argument("--user", metavar="EMAIL", help="A person; at home unless --company names another.")

    def handle(self, *args: Any, **options: Any) -> None:
        with door.at_the_command_line(f"flag {options['verb']}") as request_id:
            self.request_id, self.json = request_id, options["json"]
            getattr(self, f"_{options['verb']}")(options)

    # Reading

    def _list(self, options: dict[str, Any]) -> None:
        wanted = {name: options[name] for name in ("q", "category", "state")}
        found = overview.by_category(overview.find_flags(**wanted, internal=True))
        rows = overview.flag_rows(found.prefetch_related("requires"))
        if self.json:
            self._print_json([flagreport.flag_json(row) for row in rows])
        elif rows:
            channels = [state.slug.upper() for state in rows[0].channels]
            headings = ("KEY", "NAME", "CATEGORY", "DEFAULT", *channels, "OVERRIDES", "NOTES")
            self.stdout.write(table(headings, map(flagreport.list_line, rows)))
        else:
            self.stdout.write("No flag matches.")

    def _show(self, options: dict[str, Any]) -> None:
        row = _flag_row(options["key"])
        if self.json:
            self._print_json(flagreport.flag_json(row))
            return
        self.stdout.write(facts(flagreport.flag_facts(row)))
        overrides = Override.objects.filter(flag=row.flag).select_related("company")[:OVERRIDES_SHOWN]
        if overrides:
            lines = map(flagreport.override_line, overrides)
            self.stdout.write("\n" + table(("COMPANY", "ANSWER", "UNTIL", "REASON"), lines))
        if row.overrides > OVERRIDES_SHOWN:
            self.stdout.write(f"… and {row.overrides - OVERRIDES_SHOWN} more.")

    def _explain(self, options: dict[str, Any]) -> None:
        key = door.find_flag(options["key"]).key
        user = door.find_person(options["user"]) if options["user"] else None
        company = door.find_company(options["company"]) if options["company"] else None
        if company is None and user is not None:
            home = Membership.objects.home_of(user)
            company = home.company if home is not None else None
        decision, ladder = features_for(user, company).explain(key)
        if self.json:
            self._print_json(flagreport.ladder_json(decision, ladder, company, user))
            return
        who = " at ".join(str(one) for one in (user, company) if one is not None) or "somebody without a company"
        self.stdout.write(f"{key} is {on_off(decision.enabled)} for {who}: {decision.reason}.\n\n")
        self.stdout.write(table(("RULE", "NAME", "SAYS", "OUTCOME"), map(flagreport.step_line, ladder)))

    # Changing

    def _default(self, options: dict[str, Any]) -> None:
        flag = door.find_flag(options["key"])
        key = flag.key
        if options["answer"] == INHERIT:
            proposed = Proposed(key, rules={"default_enabled": flag.inherited_enabled})
            self._switch(proposed, options, lambda witness: changes.inherit_default(key, **witness), _default_words)
        else:
            enabled = door.on_or_off(options["answer"])
            proposed = Proposed(key, rules={"default_enabled": enabled})
            self._switch(
                proposed, options, lambda witness: changes.set_default(key, enabled, **witness), _default_words
            )

    def _kill(self, options: dict[str, Any]) -> None:
        key = door.find_flag(options["key"]).key
        proposed, sentence = Proposed(key, rules={"killed": True}), f"{key} is killed: off for everybody, {KEPT}."
        self._switch(proposed, options, lambda witness: changes.kill(key, **witness), lambda flag: sentence)

    def _revive(self, options: dict[str, Any]) -> None:
        key = door.find_flag(options["key"]).key
        proposed, sentence = Proposed(key, rules={"killed": False}), f"{key} is not killed: its settings decide."
        self._switch(proposed, options, lambda witness: changes.revive(key, **witness), lambda flag: sentence)

    def _archive(self, options: dict[str, Any]) -> None:
        key = door.find_flag(options["key"]).key
        self._switch(
            Proposed(key, rules={"archived": True}),
            options,
            lambda witness: archiving.archive(key, **witness),
            lambda flag: f"{key} is archived: it answers {on_off(flag.default_enabled)} for everybody.",
        )

    def _restore(self, options: dict[str, Any]) -> None:
        key = door.find_flag(options["key"]).key
        proposed, sentence = Proposed(key, rules={"archived": False}), f"{key} is not archived: its settings decide."
        self._switch(proposed, options, lambda witness: archiving.restore(key, **witness), lambda flag: sentence)

    def _override(self, options: dict[str, Any]) -> None:
        key, company = door.find_flag(options["key"]).key, door.find_company(options["company"])
        if options["dry_run"]:
            self._foretell(Proposed(key, overrides={company.pk: OverrideFact(options["enabled"], options["until"])}))
            return
        override = changes.set_override(
            company, key, options["enabled"], expires_at=options["until"], **self._witness(options)
        )
        until = f" until {flagreport.moment(override.expires_at)}" if override.expires_at else ""
        self._report_feature(
            key, company, f"The override of {key} for {company} says {on_off(override.enabled)}{until}."
        )

    def _reset(self, options: dict[str, Any]) -> None:
        key, company = door.find_flag(options["key"]).key, door.find_company(options["company"])
        if options["dry_run"]:
            self._foretell(Proposed(key, overrides={company.pk: None}))
            return
        changes.remove_override(company, key, **self._witness(options))
        self._report_feature(key, company, f"{company} has no override of {key}.")

    def _switch(
        self,
        proposed: Proposed,
        options: dict[str, Any],
        act: Callable[[dict[str, Any]], Any],
        sentence: Callable[[Flag], str],
    ) -> None:
        """Change a whole flag and say for whom its answer changed, or with --dry-run for whom it would."""
        if options["dry_run"]:
            self._foretell(proposed)
            return
        foretold = impact(proposed)
        act(self._witness(options))
        row = _flag_row(proposed.key)
        self._report({"flag": flagreport.flag_json(row)}, sentence(row.flag))
        if not self.json and door.has_changed(self.request_id):
            for words in releasereport.impact_words(proposed.key, foretold, "Turns"):
                self.stdout.write(words)

    def _witness(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"actor": door.find_actor(options["actor"]), "reason": options["reason"]}

    # Saying what came of it

    def _foretell(self, proposed: Proposed) -> None:
        foretold = impact(proposed)
        if self.json:
            self._print_json({"dry_run": True, "impact": releasereport.impact_json(foretold)})
            return
        for words in releasereport.impact_words(proposed.key, foretold, "Would turn"):
            self.stdout.write(words)

    def _report_feature(self, key: str, company: Company, sentence: str) -> None:
        (row,) = companyfeatures.feature_rows(company, internal=True, flags=[door.find_flag(key)])
        gets = f"{on_off(row.decision.enabled)} ({row.decision.reason})"
        self._report({"feature": flagreport.feature_json(row, company)}, f"{sentence} It gets {gets}.")

    def _report(self, facts: dict[str, Any], sentence: str) -> None:
        changed = door.has_changed(self.request_id)
        if self.json:
            self._print_json({"changed": changed, **facts})
        else:
            self.stdout.write(sentence if changed else f"Nothing changed. {sentence}")

    def _print_json(self, what: Any) -> None:
        self.stdout.write(json.dumps(what, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False))


def _default_words(flag: Flag) -> str:
    return f"{flag.key} is {on_off(flag.default_enabled)} by default ({flag.default_source})."


def _flag_row(key: str) -> FlagRow:
    return overview.flag_rows([door.find_flag(key)])[0]
