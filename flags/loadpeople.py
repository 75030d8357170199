"""People and history for a database to measure on: who works in the companies, and what was changed in them."""

import json
import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.utils import timezone

from flags.loadwriting import PIECE, Tell, as_id, insert, moment, new_id
from flags.models import Change, Flag, Grant
from flags.recording import writing
from tenants.models import Company, Membership, Role, User
from tenants.rls import acting_as_system

ADDRESS = "@scale.invalid"
DAYS = 365
"""Over how many past days what was changed is spread."""

KEPT_IN = "Loaded to measure on"
GIVEN = ("Ana", "Bo", "Chidi", "Dana", "Emre", "Fen", "Gita", "Hugo", "Ines", "Jun", "Kofi", "Lena")
FAMILY = ("Ruiz", "Lind", "Okafor", "Stone", "Aydin", "Zhao", "Rao", "Weber", "Costa", "Mori", "Mensah", "Berg")


def load_people(slug: str, missing: int, tell: Tell) -> None:
    """Add people to the companies whose slugs begin so, each in one that is home; one in ten with a grant or denial."""
    if missing <= 0:
        return
    with acting_as_system("see what is there"):
        there = User.objects.filter(email__endswith=ADDRESS).count()
        companies = _companies(slug)
        flags = list(Flag.objects.filter(needs_grant=True).order_by("key").values_list("key", flat=True))
    if not companies:
        return
    now, id_of, password = moment(timezone.now()), as_id(), make_password(None)
    people = ("id", "email", "name", "password", "is_superuser", "is_active", "created_at")
    members = ("id", "company_id", "user_id", "role", "is_home", "created_at")
    grants = ("id", "company_id", "user_id", "flag_id", "enabled", "reason", "created_at", "updated_at")
    for start in range(0, missing, PIECE):
        rows: tuple[list, list, list] = ([], [], [])
        for n in range(there + start, there + min(start + PIECE, missing)):
            person, company = new_id(), id_of(companies[n % len(companies)][0])
            name = f"{GIVEN[n % len(GIVEN)]} {FAMILY[n // len(GIVEN) % len(FAMILY)]}"
            role = Role.ADMIN if n < len(companies) else Role.MEMBER
            rows[0].append((person, f"{n:07d}{ADDRESS}", name, password, False, True, now))
            rows[1].append((new_id(), company, person, role, True, now))
            if flags and n % 10 == 0:
                flag = flags[n // 10 % len(flags)]
                rows[2].append((new_id(), company, person, flag, n % 40 != 0, KEPT_IN, now, now))
        with writing("load people"):
            insert(User, people, rows[0])
            insert(Membership, members, rows[1])
            insert(Grant, grants, rows[2])
        tell("people", min(start + PIECE, missing), missing)


def load_history(slug: str, missing: int, tell: Tell) -> None:
    """Add lines of history about all flags and the companies whose slugs begin so, spread over the past year."""
    if missing <= 0:
        return
    with acting_as_system("see what is there"):
        companies = _companies(slug)
        flags = list(Flag.objects.order_by("key").values_list("key", "name"))
    columns = (
        *("id", "at", "actor", "actor_name", "via", "verb", "flag", "flag_name"),
        *("company_id", "company_slug", "company_name", "before", "after", "reason", "request_id"),
    )
    lines = _lines(companies, flags, missing)
    for start in range(0, missing, PIECE):
        piece = [line for _, line in zip(range(min(PIECE, missing - start)), lines, strict=False)]
        with writing("load history"):
            insert(Change, columns, piece)
        tell("history", start + len(piece), missing)


def _lines(companies: Sequence[tuple], flags: Sequence[tuple], number: int) -> Iterator[tuple[Any, ...]]:
    """Lines in the order of time: for one in ten a flag's default, for the others one company's answer."""
    first, id_of, dice = timezone.now() - timedelta(days=DAYS), as_id(), random.Random(20)  # noqa: S311 - no secret
    for n in range(number):
        key, name = flags[int(len(flags) * dice.random() ** 2)]
        at = moment(first + timedelta(days=DAYS) * (n / number))
        is_on = dice.random() < 0.7
        start = (new_id(), at, f"admin-{n % 7}{ADDRESS}", GIVEN[n % 7], "console")
        if n % 10 == 0 or not companies:
            was, now = ({"default_enabled": value} for value in (not is_on, is_on))
            yield *start, "set_default", key, name, None, "", "", json.dumps(was), json.dumps(now), "Rollout", ""
        else:
            pk, slug, called = companies[dice.randrange(len(companies))]
            said = {"enabled": is_on, "paused": False, "expires_at": None, "reason": f"Contract {n % 5000}"}
            about = (id_of(pk), slug, called)
            yield *start, "set_override", key, name, *about, "{}", json.dumps(said), f"Contract {n % 5000}", ""


def _companies(slug: str) -> list[tuple[UUID, str, str]]:
    found = Company.objects.filter(slug__startswith=slug).order_by("slug")
    return list(found.values_list("pk", "slug", "name"))
