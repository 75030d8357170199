"""How every change is made: authority, lock, write, one line of history, in one transaction.

The write modules (changes, companies, releases) are built from these few pieces and nothing else is.
"""

import hashlib
import json
import re
import unicodedata
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models import Model
from django.utils import timezone

from flags.exceptions import Conflict, Invalid, Missing, NotAllowed
from flags.models import Change, Flag
from tenants import provenance
from tenants.models import ApiToken, Company, User
from tenants.rls import acting_as_system

Actor = User | ApiToken | None
"""Who makes a change: a person, a program's token, or None for Headgate itself."""

SYSTEM_NAME = "Headgate"
REASON_LENGTH = 500
REORDERING = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# One lock for all writers, so that they never wait for each other in a circle. The number means nothing.
WRITERS_LOCK = 4_728_119
LOCK = "set_config('lock_timeout', %s, true), pg_advisory_xact_lock(%s)"
LOCK_PARAMS = ("8s", WRITERS_LOCK)


def authorise(actor: Actor, scope: str | tuple[str, ...], company: Company | None = None) -> None:
    """Let super admins, Headgate itself, and tokens with (any of) this scope pass. Raises NotAllowed for others.

    A token that is bound to a company may change that company only, and nothing that concerns all.
    """
    if actor is None:
        return
    if isinstance(actor, User):
        if actor.is_superuser and actor.is_active:
            return
        raise NotAllowed("Only a super admin may do this. Ask one of yours.")
    scopes = (scope,) if isinstance(scope, str) else scope
    if actor.kind != ApiToken.Kind.SERVER or not set(scopes) & set(actor.scopes):
        wanted = " or ".join(scopes)
        raise NotAllowed(f"This token lacks the scope {wanted}. Use one that has it.", code="SCOPE_MISSING")
    if actor.company_id is not None and (company is None or company.pk != actor.company_id):
        raise NotAllowed("This token is bound to a company and may change nothing else.", code="TOKEN_COMPANY_MISMATCH")


def actor_user(actor: Actor) -> User | None:
    """Return the person behind an actor, for columns that name a creator."""
    return actor if isinstance(actor, User) else None


@contextmanager
def writing(why: str, using: str = DEFAULT_DB_ALIAS, *, while_viewing: bool = False) -> Iterator[None]:
    """Hold the writers' lock inside one transaction that works as Headgate itself. Check authority before.

    Waits at most eight seconds for another writer; then django.db.OperationalError. Who looks through a company's eyes
    changes nothing, neither as themselves nor in its name: NotAllowed, but for what is allowed `while_viewing`.
    """
    if not while_viewing and (company := provenance.viewing_as.get()):
        raise NotAllowed(f"You see what {company} sees. Stop viewing to change anything.", code="VIEWING_AS")
    connection = connections[using]
    is_postgres, is_ours = connection.vendor == "postgresql", using == DEFAULT_DB_ALIAS
    # Where acting for somebody is a transaction, it has a savepoint of its own, and asks for the lock as it begins:
    # a second savepoint would be two more round trips, and a lock by itself one.
    system = acting_as_system(why, also=f", {LOCK}" if is_ours else "", params=LOCK_PARAMS if is_ours else ())
    with system, transaction.atomic(using=using, savepoint=not (is_postgres and is_ours)):
        if is_postgres and not is_ours:
            with connection.cursor() as cursor:
                cursor.execute(f"select {LOCK}", LOCK_PARAMS)
        yield


def locked_flag(key: str) -> Flag:
    """Return the flag, locked until the transaction ends. Raises Missing."""
    flag = Flag.objects.select_for_update(of=("self",)).filter(key=key).first()
    if flag is None:
        raise Missing(f"There is no flag {key!r}.", code="FLAG_NOT_FOUND")
    return flag


def clean_text(text: str | None, field: str, *, longest: int, required: bool = False, lines: bool = False) -> str:
    """Return the text without surrounding space. Raises Invalid for control characters, or if blank or too long.

    Those that turn the direction of what follows count among them: with one, a sentence of history reads otherwise.
    """
    cleaned = (text or "").strip()
    allowed = "\n\r\t" if lines else ""
    if REORDERING.search(cleaned) or any(
        unicodedata.category(char) in ("Cc", "Cs") and char not in allowed for char in cleaned
    ):
        raise Invalid(f"The {field} holds control characters.", errors={field: ["Leave out control characters."]})
    if required and not cleaned:
        raise Invalid(f"The {field} is missing.", errors={field: ["Say something here."]})
    if len(cleaned) > longest:
        raise Invalid(
            f"The {field} is longer than {longest} characters.", errors={field: [f"At most {longest} characters."]}
        )
    return cleaned


def clean_reason(reason: str | None, *, always: bool = False) -> str:
    """Return the reason. It is required to kill, force and roll back, and everywhere if FLAGS_REQUIRE_REASON is set."""
    cleaned = clean_text(reason, "reason", longest=REASON_LENGTH)
    if not cleaned and (always or settings.FLAGS_REQUIRE_REASON):
        raise Invalid("A reason is required. Say why.", code="REASON_REQUIRED", errors={"reason": ["Say why."]})
    return cleaned


def clean_expiry(expires_at: datetime | None) -> datetime | None:
    """Return the moment, which must lie ahead. Raises Invalid."""
    if expires_at is not None and timezone.is_naive(expires_at):
        raise Invalid("The expiry names no time zone.", errors={"expires_at": ["Say which time zone."]})
    if expires_at is not None and expires_at <= timezone.now():
        raise Invalid("The expiry lies in the past.", errors={"expires_at": ["Choose a moment that lies ahead."]})
    return expires_at


def validate(instance: Model, *, unchecked: Iterable[str] = ()) -> None:
    """Check an instance against its model's own rules. Raises Invalid with the bad fields."""
    try:
        instance.full_clean(exclude=set(unchecked), validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        errors = {field: list(messages) for field, messages in error.message_dict.items()}
        fields = ", ".join(sorted(errors))
        raise Invalid(f"Not valid: {fields}. {next(iter(errors.values()))[0]}", errors=errors) from error


def check_version(stored: int, expected: int | None, *, thing: str, current: Any, yours: Any) -> None:
    """Refuse a change that was made from an older state. Raises Conflict with both values."""
    if expected is not None and expected != stored:
        raise Conflict(
            f"Somebody changed {thing} meanwhile. Look at what it is now, and decide again.",
            current=current,
            yours=yours,
            version=stored,
        )


def stamp(state: Mapping[str, Any]) -> str:
    """Return what a form carries of a state that has no version, to tell afterwards whether it is still so."""
    told = json.dumps({name: plain(value) for name, value in state.items()}, sort_keys=True)
    return hashlib.blake2s(told.encode(), digest_size=8).hexdigest()


def check_seen(state: Mapping[str, Any], seen: str | None, *, thing: str, yours: Mapping[str, Any]) -> None:
    """Refuse a change that was made from another state than this, by its stamp. Raises Conflict with both values."""
    if seen is not None and seen != stamp(state):
        raise Conflict(
            f"Somebody changed {thing} meanwhile. Look at what it is now, and decide again.",
            current={name: plain(value) for name, value in state.items()},
            yours={name: plain(value) for name, value in yours.items()},
        )


def plain(value: Any) -> Any:
    """Return a value as history keeps it: JSON, with moments as ISO text and rows as their keys."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Model):
        return plain(value.pk)
    return value


def difference(
    before: Mapping[str, Any], after: Mapping[str, Any], keep: Iterable[str] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the two states, each with the changed fields only, as history keeps them, and those named in `keep`."""
    old = {name: plain(value) for name, value in before.items()}
    new = {name: plain(value) for name, value in after.items()}
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name) or name in keep]
    return ({n: old[n] for n in changed if n in old}, {n: new[n] for n in changed if n in new})


def line(
    verb: str,
    *,
    actor: Actor,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    flag: Flag | None = None,
    company: Company | None = None,
    reason: str = "",
    batch: uuid.UUID | None = None,
    keep: Iterable[str] = (),
) -> Change:
    """Return one line of history, not yet written. Names stand as they are now.

    `keep` names fields that say which row it was (its channel, its person), and so stay although they do not change.
    """
    old, new = difference(before, after, keep)
    if actor is None:
        name, full_name = SYSTEM_NAME, SYSTEM_NAME
    elif isinstance(actor, User):
        name, full_name = actor.email, str(actor)
    else:
        name, full_name = f"token {actor.name}", f"Token {actor.name}"
    return Change(
        actor=name,
        actor_name=full_name,
        actor_id=None if actor is None else actor.pk,
        via=provenance.via.get(),
        verb=verb,
        flag="" if flag is None else flag.key,
        flag_name="" if flag is None else flag.name,
        company_id=None if company is None else company.pk,
        company_slug="" if company is None else company.slug,
        company_name="" if company is None else company.name,
        before=old,
        after=new,
        reason=reason,
        request_id=provenance.request_id.get(),
        batch=batch,
    )


def record(verb: str, **what: Any) -> Change:
    """Write one line of history; the arguments are those of `line`."""
    change = line(verb, **what)
    change.save(force_insert=True)
    return change
