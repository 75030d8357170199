"""`release`: bring a flag from channel to channel, through its gates, and back, from a shell or a script."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from flags import outbox, releases, rollbacks, standing
from flags.evaluation import OverrideFact
from flags.exceptions import ChangeRefused, Missing
from flags.impact import Impact, Proposed, companies_gaining, impact
from flags.management import door, releasereport
from flags.management.tables import facts, table
from flags.models import Flag
from flags.releasemodels import Promotion
from tenants.models import ReleaseChannel

NOWHERE = "nowhere"
STEPS_SHOWN = 20
# Verbs whose impact can be looked at first.
REHEARSED = ("promote", "rollback")


class Command(BaseCommand):
    help = (
        "Starts, promotes and rolls back releases, and signs their gates off. Every change is recorded in the history. "
        "Exits with 0 when done, 1 when refused, 2 when the command line made no sense."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        subparsers = parser.add_subparsers(dest="verb", required=True, metavar="verb")

        def verb(name: str, does: str, *, changing: bool = True, key: bool = True) -> CommandParser:
            sub = subparsers.add_parser(name, help=does, description=f"{does}.")
            if key:
                sub.add_argument("key", help="The flag's key, such as trip_management.")
            sub.add_argument("--json", action="store_true", help="Print JSON instead of words.")
            if changing:
                sub.add_argument("--reason", default="", metavar="TEXT", help="Why. Kept in the history.")
                sub.add_argument(
                    "--as", dest="actor", metavar="EMAIL", help="A super admin; Headgate itself if left out."
                )
            if name in REHEARSED:
                sub.add_argument("--dry-run", action="store_true", help="Say for whom it would change, and do nothing.")
            return sub

        status = verb("status", "Show where releases stand, or one with its history", changing=False, key=False)
        status.add_argument("key", nargs="?", help="The flag's key; all releases under way if left out.")
        verb("gates", "Show the gates before a flag's next channel", changing=False)
        verb("start", "Start a release: on in the first channel, off in every later one")
        sign_off = verb("sign-off", "Give one's word that a gate holds")
        sign_off.add_argument("gate", help="The gate's title, or its id.")
        sign_off.add_argument("--link", default="", metavar="URL", help="Where the evidence is.")
        promote = verb("promote", "Let a flag into its next channel, if its gates hold")
        promote.add_argument("--force", action="store_true", help="Go past open gates; needs --as and --reason.")
        promote.add_argument(
            "--percentage", type=door.percentage, default=100, metavar="N", help="Only for N %% of its companies."
        )
        promote.add_argument("--tell", action="store_true", help="Write to the admins of the companies that gain it.")
        rollback = verb("rollback", "Take a flag back to a channel, or from companies; needs --reason")
        where = rollback.add_mutually_exclusive_group(required=True)
        where.add_argument("--to", metavar="CHANNEL", help=f"Switch every later channel off; {NOWHERE} for all.")
        where.add_argument("--company", action="append", metavar="C", help="Off for this company; may be repeated.")
        where.add_argument("--everybody", action="store_true", help="Off for every company that has it.")
        verb("pause", "Hold a release where it is; its soak stands still")
        verb("resume", "Let a release go on")
        verb("finish", "End a release that has reached the last channel")
        undo = verb("undo", "Bring back the overrides that a rollback of companies replaced, as one", key=False)
        undo.add_argument("batch", type=UUID, help="The id that the rollback printed.")

    def handle(self, *args: Any, **options: Any) -> None:
        verb = options["verb"]
        with door.at_the_command_line(f"release {verb}") as request_id:
            self.request_id, self.json = request_id, options["json"]
            getattr(self, f"_{verb.replace('-', '_')}")(options)

    # Reading

    def _status(self, options: dict[str, Any]) -> None:
        if options["key"]:
            self._status_of(door.find_flag(options["key"]))
            return
        found = standing.standings(standing.under_way())
        if self.json:
            self._print_json([releasereport.release_json(one) for one in found])
        elif found:
            self.stdout.write(
                table(("KEY", "CHANNEL", "SINCE", "GATES", "NEXT"), map(releasereport.status_line, found))
            )
        else:
            self.stdout.write("No release is under way.")

    def _status_of(self, flag: Flag) -> None:
        """Say where a flag's release stands, and every step of all it ever had: what was forced is said for ever."""
        found, steps = standing.of(flag.key), list(Promotion.objects.filter(release__flag=flag)[:STEPS_SHOWN])
        if found is None and not steps:
            raise _no_release(flag)
        if self.json:
            release = {"key": flag.key} if found is None else releasereport.release_json(found)
            self._print_json({**release, "history": list(map(releasereport.step_json, steps))})
            return
        if found is None:
            self.stdout.write(f"No release of {flag.key} is under way.\n")
        else:
            self.stdout.write(facts(releasereport.release_facts(found)))
            self._print_gates(found)
        self.stdout.write(
            "\n" + table(("AT", "STEP", "FROM", "TO", "BY", "REASON"), map(releasereport.step_line, steps))
        )

    def _gates(self, options: dict[str, Any]) -> None:
        found = _standing(options["key"])
        if self.json:
            self._print_json([releasereport.gate_json(state) for state in found.gates])
        elif found.gates:
            self._print_gates(found)
        else:
            self.stdout.write(f"No gate stands before {found.flag.key}.")

    def _print_gates(self, found: standing.Standing) -> None:
        if found.gates:
            headings = ("STATE", f"GATE BEFORE {found.following}".upper(), "GROUNDS", "ID TO SIGN OFF")
            self.stdout.write("\n" + table(headings, map(releasereport.gate_line, found.gates)))

    # Changing

    def _start(self, options: dict[str, Any]) -> None:
        flag = door.find_flag(options["key"])
        releases.start(flag.key, **self._witness(options))
        self._report(flag, f"The release of {flag.key} has begun.")

    def _sign_off(self, options: dict[str, Any]) -> None:
        found = _standing(options["key"])
        gate = _gate(found, options["gate"])
        actor, note = door.find_actor(options["actor"]), options["reason"]
        releases.sign_off(found.flag.key, gate, actor=actor, note=note, link=options["link"])
        self._report(found.flag, "The gate is signed off.")

    def _promote(self, options: dict[str, Any]) -> None:
        found = _standing(options["key"])
        percentage = options["percentage"]
        foretold = impact(found.promotion(percentage)) if found.following is not None else None
        if options["dry_run"] and foretold is not None:
            gaining = companies_gaining(found.promotion(percentage)) if options["tell"] else []
            told = outbox.preview(found.flag, gaining) if options["tell"] else None
            self._foretell(found.flag, foretold, **releasereport.preview_json(told))
            if not self.json:
                self.stdout.write(f"{found.flag.key} {found.when}.")
                for line in releasereport.preview_words(told):
                    self.stdout.write(line)
            return
        releases.promote(
            found.flag.key,
            force=options["force"],
            percentage=percentage,
            tell=options["tell"],
            seen=found.release.channel_id,
            **self._witness(options),
        )
        assert foretold is not None
        self._report(found.flag, *releasereport.impact_words(found.flag.key, foretold, "Turns"))

    def _rollback(self, options: dict[str, Any]) -> None:
        flag = door.find_flag(options["key"])
        act, foretold = self._channel_rollback(flag, options) if options["to"] else self._taking(flag, options)
        if options["dry_run"]:
            self._foretell(flag, foretold)
            return
        outcome = act()
        words = releasereport.impact_words(flag.key, foretold, "Turns")
        if isinstance(outcome, rollbacks.Outcome):
            self._report(flag, *words, f"`release undo {outcome.batch}` takes this back.", batch=outcome.batch)
        else:
            self._report(flag, *words)

    def _channel_rollback(self, flag: Flag, options: dict[str, Any]) -> tuple[Callable[[], Any], Impact]:
        channels = {channel.slug: channel for channel in ReleaseChannel.objects.order_by("rank")}
        to = None if options["to"] == NOWHERE else options["to"]
        if to is not None and to not in channels:
            raise Missing(f"There is no release channel {to!r}. Choose from {', '.join(channels)}, or {NOWHERE}.")
        proposed = standing.rollback(flag.key, channels.values(), channels[to] if to else None)
        return lambda: releases.roll_back(flag.key, to, **self._witness(options)), impact(proposed)

    def _taking(self, flag: Flag, options: dict[str, Any]) -> tuple[Callable[[], Any], Impact]:
        off = OverrideFact(False)
        if options["everybody"]:
            companies, proposed = None, Proposed(flag.key, for_all=off)
        else:
            companies = [door.find_company(name) for name in options["company"]]
            proposed = Proposed(flag.key, overrides={company.pk: off for company in companies})
        return (
            lambda: rollbacks.roll_back_companies(flag.key, companies, **self._witness(options)),
            impact(proposed),
        )

    def _pause(self, options: dict[str, Any]) -> None:
        flag = door.find_flag(options["key"])
        releases.pause(flag.key, **self._witness(options))
        self._report(flag, f"The release of {flag.key} is paused.")

    def _resume(self, options: dict[str, Any]) -> None:
        flag = door.find_flag(options["key"])
        releases.resume(flag.key, **self._witness(options))
        self._report(flag, f"The release of {flag.key} goes on.")

    def _finish(self, options: dict[str, Any]) -> None:
        flag = door.find_flag(options["key"])
        releases.finish(flag.key, **self._witness(options))
        self._report(flag, f"The release of {flag.key} has ended.")

    def _undo(self, options: dict[str, Any]) -> None:
        outcome = rollbacks.undo_batch(options["batch"], **self._witness(options))
        if self.json:
            self._print_json({"batch": outcome.batch, "changed": outcome.changed, "unchanged": outcome.unchanged})
            return
        self.stdout.write(f"Overrides brought back: {outcome.changed}.")
        if outcome.unchanged:
            self.stdout.write(f"Left alone, because somebody changed them since: {outcome.unchanged}.")

    def _witness(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"actor": door.find_actor(options["actor"]), "reason": options["reason"]}

    # Saying what came of it

    def _foretell(self, flag: Flag, foretold: Impact, **more: Any) -> None:
        if self.json:
            self._print_json({"dry_run": True, "impact": releasereport.impact_json(foretold), **more})
        else:
            for words in releasereport.impact_words(flag.key, foretold, "Would turn"):
                self.stdout.write(words)

    def _report(self, flag: Flag, *sentences: str, **more: Any) -> None:
        changed = door.has_changed(self.request_id)
        found = standing.of(flag.key)
        if self.json:
            release = None if found is None else releasereport.release_json(found)
            self._print_json({"changed": changed, "release": release, **more})
            return
        if not changed:
            self.stdout.write("Nothing changed.")
        for sentence in sentences:
            self.stdout.write(sentence)
        if found is not None:
            self.stdout.write(f"{flag.key} is in {found.release.channel}; it {found.when}.")

    def _print_json(self, what: Any) -> None:
        self.stdout.write(json.dumps(what, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False))


def _standing(key: str) -> standing.Standing:
    flag = door.find_flag(key)
    found = standing.of(flag.key)
    if found is None:
        raise _no_release(flag)
    return found


def _no_release(flag: Flag) -> ChangeRefused:
    return ChangeRefused(f"No release of {flag.key!r} is under way. `release start {flag.key}` starts one.")


def _gate(found: standing.Standing, text: str) -> UUID:
    """Return the id of the gate so named: by its id, its title, or the beginning of just one title."""
    wanted = text.strip().casefold()
    named = [state.gate for state in found.gates if wanted in (str(state.gate.pk), state.gate.title.casefold())]
    begun = [state.gate for state in found.gates if state.gate.title.casefold().startswith(wanted)]
    if len(named or begun) != 1:
        titles = "; ".join(f"“{state.gate.title}”" for state in found.gates if state.is_by_hand) or "none"
        raise Missing(f"{found.flag.name} has no such gate ahead: {text!r}. To be signed off: {titles}.")
    return (named or begun)[0].pk
