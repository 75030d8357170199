"""What all commands share: who works, how a change is recorded, how a refusal is said, and what may be named."""

import uuid
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

from django.core.management.base import CommandError
from django.db import DatabaseError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from flags.catalogue import guess
from flags.exceptions import ChangeRefused, Missing
from flags.models import Change, Flag
from tenants import provenance
from tenants.models import ApiToken, Company, User
from tenants.rls import acting_as_system

REFUSED = 1
"""The exit code of a command whose change was refused. 0: done, or nothing to do. 2: the command line made no sense."""

NEAR = 200


@contextmanager
def at_the_command_line(why: str) -> Iterator[str]:
    """Work as Headgate itself, recorded as `command`; yields the id that ties together all this command changes.

    A refusal, or a database that is away, becomes one sentence and the exit code REFUSED. All is undone then.
    """
    with refusing() as request_id, acting_as_system(why):
        yield request_id


@contextmanager
def refusing() -> Iterator[str]:
    """As `at_the_command_line`, for work that opens its own transactions."""
    request_id = uuid.uuid4().hex
    via, request = provenance.via.set("command"), provenance.request_id.set(request_id)
    try:
        yield request_id
    except ChangeRefused as refusal:
        raise CommandError(refusal.detail, returncode=REFUSED) from refusal
    except DatabaseError as error:
        said = str(error).strip().partition("\n")[0]
        raise CommandError(f"The database refused: {said}. Has `migrate` been run?", returncode=REFUSED) from error
    finally:
        provenance.via.reset(via)
        provenance.request_id.reset(request)


def has_changed(request_id: str) -> bool:
    """Say whether history has a line of this command."""
    return Change.objects.filter(request_id=request_id).exists()


# What may be named


def find_flag(key: str) -> Flag:
    """Return the flag. Raises Missing, with a guess at what was meant."""
    flag = Flag.objects.filter(key=key).first()
    if flag is None:
        near = guess(key, list(Flag.objects.order_by().values_list("key", flat=True)))
        raise Missing(f"There is no flag {key!r}.{_did_you_mean(near)}", code="FLAG_NOT_FOUND")
    return flag


def find_company(text: str) -> Company:
    """Return the company with this slug or UUID. Raises Missing, with a guess."""
    companies = Company.objects.select_related("channel", "plan")
    company = companies.filter(slug=text).first()
    if company is None and (pk := _uuid(text)) is not None:
        company = companies.filter(pk=pk).first()
    if company is None:
        # Somebody mistypes the middle of a name more often than its beginning.
        alike = Company.objects.order_by("slug").filter(slug__startswith=text[:2])
        near = guess(text, list(alike.values_list("slug", flat=True)[:NEAR]))
        raise Missing(f"There is no company {text!r}.{_did_you_mean(near)}", code="COMPANY_NOT_FOUND")
    return company


def find_person(email: str) -> User:
    """Return the person who signs in with this address. Raises Missing."""
    user = User.objects.filter(email=email.strip().lower()).first()
    if user is None:
        raise Missing(f"Nobody signs in as {email!r}.", code="USER_NOT_FOUND")
    return user


def find_token(text: str) -> ApiToken:
    """Return the token with this public id or UUID. Raises Missing."""
    tokens = ApiToken.objects.select_related("company")
    token = tokens.filter(public_id=text).first()
    if token is None and (pk := _uuid(text)) is not None:
        token = tokens.filter(pk=pk).first()
    if token is None:
        raise Missing(f"There is no token {text!r}. `api_token list` shows them.", code="TOKEN_NOT_FOUND")
    return token


def find_actor(email: str | None) -> User | None:
    """Return the person in whose name a command works; None, which is Headgate itself, where nobody was named."""
    return None if email is None else find_person(email)


def _did_you_mean(near: str | None) -> str:
    return f" Did you mean {near!r}?" if near else ""


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


# Types for argparse, which says what is wrong and exits with 2


def on_or_off(text: str) -> bool:
    """Read `on` or `off`."""
    try:
        return {"on": True, "off": False}[text.lower()]
    except KeyError:
        raise ArgumentTypeError(f"say on or off, not {text!r}") from None


def count(text: str) -> int:
    """Read a number of things: `1000`, or `1_000`."""
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise ArgumentTypeError(f"{text!r} is no number of things; write 1000")
    return number


def percentage(text: str) -> int:
    """Read a whole number from 0 to 100."""
    if not text.isascii() or not text.isdecimal() or int(text) > 100:
        raise ArgumentTypeError(f"{text!r} is no percentage; give a whole number from 0 to 100")
    return int(text)


def moment(text: str) -> datetime:
    """Read `2027-03-03`, its first instant, or `2027-03-03T14:00`; in UTC where no time zone is named."""
    try:
        day = parse_date(text)
        found = datetime(day.year, day.month, day.day) if day else parse_datetime(text)  # noqa: DTZ001 - made aware below
    except ValueError:
        found = None
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no moment; write 2027-03-03 or 2027-03-03T14:00")
    return timezone.make_aware(found, UTC) if timezone.is_naive(found) else found
