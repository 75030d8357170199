"""`api_token`: keys for programs, made, listed and revoked."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from flags import apitokens
from flags.management import door
from flags.management.flagreport import moment
from flags.management.tables import table
from tenants import tokens
from tenants.models import ApiToken

EVALUATE = "evaluate"


class Command(BaseCommand):
    help = "Makes, lists and revokes API tokens. Exits with 0 when done, 1 when refused, 2 for bad usage."

    def add_arguments(self, parser: CommandParser) -> None:
        subparsers = parser.add_subparsers(dest="verb", required=True, metavar="verb")

        def verb(name: str, does: str) -> CommandParser:
            sub = subparsers.add_parser(name, help=does, description=f"{does}.")
            sub.add_argument("--json", action="store_true", help="Print JSON instead of words.")
            return sub

        create = verb("create", "Make a token and print it; it is never shown again")
        create.add_argument("name", help="What it is for.")
        create.add_argument("--kind", choices=ApiToken.Kind.values, default=ApiToken.Kind.SERVER.value)
        create.add_argument(
            "--scope",
            action="append",
            dest="scopes",
            choices=tokens.SCOPES,
            help=f"May be repeated; {EVALUATE} if left out.",
        )
        create.add_argument("--company", help="The slug or UUID of the company it is bound to.")
        create.add_argument("--until", type=door.moment, metavar="MOMENT", help="When it ends: 2027-03-03, in UTC.")
        create.add_argument("--as", dest="actor", metavar="EMAIL", help="In whose name: a super admin's.")
        listing = verb("list", "List the tokens that work")
        listing.add_argument("--all", action="store_true", help="Also those that are revoked or expired.")
        revoke = verb("revoke", "End a token at once")
        revoke.add_argument("id", help="Its id as `list` shows it, or its UUID.")
        revoke.add_argument("--reason", default="", metavar="TEXT", help="Why. Kept in the history.")
        revoke.add_argument("--as", dest="actor", metavar="EMAIL", help="In whose name: a super admin's.")

    def handle(self, *args: Any, **options: Any) -> None:
        with door.at_the_command_line(f"api_token {options['verb']}"):
            getattr(self, f"_{options['verb']}")(options)

    def _create(self, options: dict[str, Any]) -> None:
        token, secret = apitokens.create_token(
            options["name"],
            actor=door.find_actor(options["actor"]),
            kind=options["kind"],
            scopes=options["scopes"] or (EVALUATE,),
            company=door.find_company(options["company"]) if options["company"] else None,
            expires_at=options["until"],
        )
        if options["json"]:
            self._print_json({**_as_json(token), "secret": secret})
        else:
            # The token alone is on stdout, so that a script can catch it.
            self.stderr.write(f"{token} may {', '.join(token.scopes)}. Keep the token: it is never shown again.")
            self.stdout.write(secret)

    def _list(self, options: dict[str, Any]) -> None:
        found = [
            token for token in ApiToken.objects.select_related("company") if options["all"] or tokens.is_good(token)
        ]
        if options["json"]:
            self._print_json([_as_json(token) for token in found])
        elif found:
            headings = ("ID", "NAME", "KIND", "COMPANY", "SCOPES", "LAST USED", "UNTIL", "STATE")
            self.stdout.write(table(headings, map(_as_line, found)))
        else:
            self.stdout.write("There is no token.")

    def _revoke(self, options: dict[str, Any]) -> None:
        token = door.find_token(options["id"])
        actor = door.find_actor(options["actor"])
        changed = apitokens.revoke_token(token, actor=actor, reason=options["reason"])
        if options["json"]:
            token.refresh_from_db()
            self._print_json({"changed": changed, "token": _as_json(token)})
        else:
            self.stdout.write(f"{token} is revoked." if changed else f"Nothing changed. {token} is revoked.")

    def _print_json(self, what: Any) -> None:
        self.stdout.write(json.dumps(what, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False))


def _state(token: ApiToken) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "good" if tokens.is_good(token) else "expired"


def _as_json(token: ApiToken) -> dict[str, Any]:
    return {
        "id": token.pk,
        "public_id": token.public_id,
        "name": token.name,
        "kind": token.kind,
        "company": token.company.slug if token.company is not None else None,
        "scopes": token.scopes,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
        "revoked_at": token.revoked_at,
    }


def _as_line(token: ApiToken) -> tuple[object, ...]:
    return (
        token.public_id,
        token.name,
        token.kind,
        token.company.slug if token.company is not None else None,
        " ".join(token.scopes),
        moment(token.last_used_at),
        moment(token.expires_at),
        _state(token),
    )
