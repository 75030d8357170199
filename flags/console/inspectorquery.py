"""What is asked of the Inspector, read from the URL and written back to it: the query is the address."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from flags import overview
from flags.inspector import Asked, WhatIf
from flags.models import Flag
from tenants.models import Company, Plan, ReleaseChannel, User

COMPANIES_AT_MOST = 6
PEOPLE_AT_MOST = 4
MOMENTS_AT_MOST = 3
COLUMNS_AT_MOST = 12
FLAGS_AT_MOST = 200
ON_OFF = ("on", "off")
NONE = "none"
WHAT_IF = ("channel", "plan", "answer", "percentage", "override", "default", "killed", "minimum_plan", "needs_grant")
CHOICES = {
    "answer": (*ON_OFF, NONE),
    "override": (*ON_OFF, NONE),
    "default": ON_OFF,
    "killed": ON_OFF,
    "needs_grant": ON_OFF,
}
"""What may be supposed of what is neither a channel, nor a plan, nor a number."""


@dataclass(frozen=True, slots=True)
class Chip:
    """Something chosen, and the address without it."""

    name: str
    value: str
    label: str
    remove_url: str


class Query:
    """Companies by flags, people and moments, and what is supposed. Whatever makes no sense is named in `problems`."""

    def __init__(self, get: QueryDict, path: str) -> None:
        self.path = path
        self.problems: list[str] = []
        self.companies = self._several(get, "company", "company", _companies, COMPANIES_AT_MOST)
        self.flags = self._several(get, "flag", "flag", _flags, FLAGS_AT_MOST)
        self.people = self._several(get, "person", "person with the address", _people, PEOPLE_AT_MOST)
        self.moments = self._moments(get)
        self.names_flags = any(text.strip() for text in get.getlist("flag"))
        self.compare = get.get("compare") == "1"
        self.open = get.get("open", "")
        self.what_if = self._what_if(get)

    def _several(
        self, get: QueryDict, name: str, called: str, find: Callable[[Sequence[str]], dict[str, Any]], most: int
    ) -> list[Any]:
        texts = list(dict.fromkeys(text.strip() for text in get.getlist(name) if text.strip()))
        if len(texts) > most:
            self.problems.append(f"At most {most} of these at once: {called}.")
        found = find(texts[:most])
        self.problems += [f"There is no {called} “{text}”." for text in texts[:most] if text not in found]
        return list(dict.fromkeys(found[text] for text in texts[:most] if text in found))

    def _moments(self, get: QueryDict) -> list[datetime]:
        found = []
        for text in dict.fromkeys(text.strip() for text in get.getlist("at") if text.strip()):
            moment = _moment(text)
            if moment is None:
                self.problems.append(f"“{text}” is no moment. Write 2026-03-01T09:00.")
            else:
                found.append(moment)
        if len(found) > MOMENTS_AT_MOST:
            self.problems.append(f"At most {MOMENTS_AT_MOST} moments at once.")
        return found[:MOMENTS_AT_MOST]

    def _what_if(self, get: QueryDict) -> WhatIf:
        said = {name: get.get(name, "").strip() for name in WHAT_IF}
        for name, called in (("channel", "channel"), ("plan", "plan"), ("minimum_plan", "plan")):
            known = {one.slug for one in getattr(self, f"{called}s")} if said[name] else set()
            if said[name] and said[name] not in known and (name, said[name]) != ("minimum_plan", NONE):
                self.problems.append(f"There is no {called} “{said[name]}”.")
                said[name] = ""
        share = said.pop("percentage")
        percentage = int(share) if share.isascii() and share.isdigit() and int(share) <= 100 else None
        if share and percentage is None:
            self.problems.append(f"“{share}” is no percentage from 0 to 100.")
        for name, choices in CHOICES.items():
            if said[name] and said[name] not in choices:
                self.problems.append(f"“{said[name]}” is nothing to suppose of the {name.replace('_', ' ')}.")
                said[name] = ""
        return WhatIf(percentage=percentage, **said)

    @cached_property
    def channels(self) -> list[ReleaseChannel]:
        """Every channel there is to suppose."""
        return list(ReleaseChannel.objects.all())

    @cached_property
    def plans(self) -> list[Plan]:
        """Every plan there is to suppose."""
        return list(Plan.objects.all())

    @cached_property
    def asked(self) -> list[Asked]:
        """Whom and when one asks about: what the columns are. Of too many the first are shown."""
        people: list[User | None] = [*self.people] or [None]
        moments: list[datetime | None] = [*self.moments] or [None]
        found = [
            Asked(company, person, moment) for company in self.companies for person in people for moment in moments
        ]
        if len(found) > COLUMNS_AT_MOST:
            self.problems.append(
                f"These are {len(found)} answers for each flag; the first {COLUMNS_AT_MOST} are shown."
            )
        return found[:COLUMNS_AT_MOST]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The question as an address says it, without what is open."""
        chosen = [(chip, value) for chip, value, _ in self._chosen()]
        supposed = {name: getattr(self.what_if, name) for name in WHAT_IF}
        return [
            *chosen,
            *((name, str(value)) for name, value in supposed.items() if value not in ("", None)),
            *([("compare", "1")] if self.compare else []),
        ]

    def _chosen(self) -> Iterable[tuple[str, str, str]]:
        yield from (("company", company.slug, company.name) for company in self.companies)
        yield from (("flag", flag.key, flag.name) for flag in self.flags)
        yield from (("person", person.email, str(person)) for person in self.people)
        for moment in self.moments:
            yield "at", moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M"), f"{moment:%d %b %Y %H:%M} UTC"

    @property
    def chips(self) -> dict[str, list[Chip]]:
        """What is chosen, by the name of its field."""
        found: dict[str, list[Chip]] = {name: [] for name in ("company", "flag", "person", "at")}
        for name, value, label in self._chosen():
            rest = [pair for pair in self.pairs if pair != (name, value)]
            found[name].append(Chip(name, value, label, self._address(rest)))
        return found

    def address(self, *, without: Sequence[str] = (), **more: str) -> str:
        """Return the address of this question, without some of it and with more."""
        return self._address([*(pair for pair in self.pairs if pair[0] not in without), *more.items()])

    def _address(self, pairs: Sequence[tuple[str, str]]) -> str:
        return f"{self.path}?{urlencode(pairs)}" if pairs else self.path


def _companies(texts: Sequence[str]) -> dict[str, Company]:
    rows = Company.objects.select_related("channel", "plan")
    found: dict[str, Company] = dict(rows.in_bulk(list(texts), field_name="slug"))
    for text in set(texts) - found.keys():
        meant = overview.find_company(text)
        if meant is not None:
            found[text] = rows.get(pk=meant.pk)
    return found


def _flags(texts: Sequence[str]) -> dict[str, Flag]:
    found: dict[str, Flag] = dict(Flag.objects.in_bulk(list(texts)))
    for text in set(texts) - found.keys():
        named = list(Flag.objects.filter(name__iexact=text)[:2])
        if len(named) == 1:
            found[text] = named[0]
    return found


def _people(texts: Sequence[str]) -> dict[str, User]:
    found = {user.email: user for user in User.objects.filter(email__in=[text.lower() for text in texts])}
    return {text: found[text.lower()] for text in texts if text.lower() in found}


def _moment(text: str) -> datetime | None:
    try:
        moment = parse_datetime(text)
        if moment is None:
            return None
        return moment.astimezone(UTC) if timezone.is_aware(moment) else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
