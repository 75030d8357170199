"""Fills a database with many flags, companies, overrides, people and lines of history, to measure on.

What is loaded is told in history by one line.

Rows are made here and written in large pieces, each in a transaction of its own, so that an interrupted run has not
worked in vain: the next one adds what is missing. A company's overrides are written together, so that its version is
bumped once and not once for each of them.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from uuid import UUID

from django.db import connection
from django.utils import timezone

from flags.catalogue import CATEGORIES
from flags.exceptions import Invalid
from flags.loadpeople import ADDRESS, load_history, load_people
from flags.loadwriting import PIECE, Tell, as_id, insert, moment, new_id
from flags.models import Change, ChannelDefault, Flag, Grant, Override
from flags.recording import record, writing
from tenants.models import Company, CompanySettings, Membership, NameTrigram, Plan, ReleaseChannel, User
from tenants.rls import acting_as_nobody, acting_as_system

SLUG, KEY = "scale-", "scale_"
LOADED = (Flag, ChannelDefault, Company, NameTrigram, CompanySettings, Override, User, Membership, Grant, Change)

KINDS = ("Amber", "Birch", "Copper", "Dune", "Ember", "Fjord", "Garnet", "Heron", "Indigo", "Jade", "Kite", "Linden")
TRADES = ("Freight", "Haulage", "Couriers", "Transit", "Logistics", "Shuttles", "Movers", "Cabs", "Lines", "Express")


def counts() -> dict[str, int]:
    """Return how many of each there are, whoever made them."""
    with acting_as_system("count rows"):
        return {
            "flags": Flag.objects.count(),
            "companies": Company.objects.count(),
            "overrides": Override.objects.count(),
            "people": User.objects.count(),
            "history": Change.objects.count(),
        }


def load(
    *, flags: int, companies: int, overrides: int, people: int = 0, history: int = 0, tell: Tell
) -> dict[str, int]:
    """Add rows until there are so many of each, and return how many were added. Nothing is ever taken away.

    Raises Invalid, having written nothing, for more overrides than there are pairs of a flag and a loaded company.
    """
    before = counts()
    others = before["companies"] - loaded_companies()
    pairs = max(flags, before["flags"]) * (max(companies, before["companies"]) - others)
    if overrides > pairs and overrides > before["overrides"]:
        raise Invalid(f"{overrides:,} overrides do not fit: there is room for {pairs:,}. Ask for more companies.")
    _load_flags(flags - before["flags"], tell)
    _load_companies(companies - before["companies"], tell)
    _load_overrides(overrides, tell)
    load_people(SLUG, people - before["people"], tell)
    load_history(SLUG, history - before["history"], tell)
    after = counts()
    added = {what: after[what] - before[what] for what in after}
    if any(added.values()):
        with writing("record a load"):
            record("load_scale", actor=None, before=before, after=after)
        _analyze()
    return added


def loaded_companies() -> int:
    """Return how many companies are here to be measured on."""
    with acting_as_system("count rows"):
        return Company.objects.filter(slug__startswith=SLUG).count()


def loaded_people() -> int:
    """Return how many people are here to be measured on."""
    with acting_as_system("count rows"):
        return User.objects.filter(email__endswith=ADDRESS).count()


# Flags


def _load_flags(missing: int, tell: Tell) -> None:
    if missing <= 0:
        return
    with acting_as_system("see what is there"):
        last = Flag.objects.filter(key__startswith=KEY).order_by("key").values_list("key", flat=True).last()
        channels = list(ReleaseChannel.objects.order_by("rank").values_list("slug", flat=True))
        plans = list(Plan.objects.order_by("rank").values_list("slug", flat=True))
    first = int(last.removeprefix(KEY)) + 1 if last else 1
    numbers = range(first, first + missing)
    with writing("load flags"):
        Flag.objects.bulk_create((_flag(n, plans) for n in numbers), batch_size=1000)
        answers = (answer for n in numbers for answer in _answers(n, channels))
        ChannelDefault.objects.bulk_create(answers, batch_size=1000)
    tell("flags", missing, missing)


def _flag(n: int, plans: Sequence[str]) -> Flag:
    return Flag(
        key=f"{KEY}{n:06d}",
        name=f"{KINDS[n % len(KINDS)]} {TRADES[n // len(KINDS) % len(TRADES)]} {n}",
        description="Loaded to measure on",
        category=CATEGORIES[n % len(CATEGORIES)],
        default_enabled=n % 3 == 0,
        needs_grant=n % 50 == 0,
        minimum_plan_id=plans[len(plans) // 2] if n % 10 == 0 else None,
    )


def _answers(n: int, channels: Sequence[str]) -> Iterator[ChannelDefault]:
    """Answers for every other flag: on in the earlier channels, and in the last for a part of its companies or none."""
    if n % 2:
        return
    for channel in channels[:-1]:
        yield ChannelDefault(flag_id=f"{KEY}{n:06d}", channel_id=channel, enabled=True)
    share = (n // 2) % 5 * 25
    yield ChannelDefault(flag_id=f"{KEY}{n:06d}", channel_id=channels[-1], enabled=share > 0, percentage=share or 100)


# Companies


def _load_companies(missing: int, tell: Tell) -> None:
    if missing <= 0:
        return
    with acting_as_system("see what is there"):
        last = Company.objects.filter(slug__startswith=SLUG).order_by("slug").values_list("slug", flat=True).last()
        channels = list(ReleaseChannel.objects.order_by("rank").values_list("slug", flat=True))
        plans = list(Plan.objects.order_by("rank").values_list("slug", flat=True))
    first = int(last.removeprefix(SLUG)) + 1 if last else 1
    now = moment(timezone.now())
    columns = ("id", "slug", "name", "channel_id", "plan_id", "is_active", "version", "created_at", "updated_at")
    settings = ("company_id", "default_currency", "brand_colour", "time_zone", "updated_at")
    for start in range(0, missing, PIECE):
        numbers = range(first + start, first + min(start + PIECE, missing))
        rows = [
            (new_id(), f"{SLUG}{n:07d}", _name(n), _ring(n, channels), _tier(n, plans), True, 1, now, now)
            for n in numbers
        ]
        with writing("load companies"):
            insert(Company, columns, rows)
            insert(CompanySettings, settings, [(row[0], "USD", "#1f6feb", "UTC", now) for row in rows])
        tell("companies", start + len(rows), missing)


def _name(n: int) -> str:
    return f"{KINDS[n % len(KINDS)]} {TRADES[n // len(KINDS) % len(TRADES)]} {n}"


def _ring(n: int, channels: Sequence[str]) -> str:
    """One company in a thousand is in the first channel, one in twenty in the one before the last."""
    if n % 1000 == 0:
        return channels[0]
    return channels[-2] if n % 20 == 0 and len(channels) > 1 else channels[-1]


def _tier(n: int, plans: Sequence[str]) -> str:
    """Six in ten have the lowest plan, one in ten the highest."""
    return plans[0] if n % 10 < 6 else plans[-1] if n % 10 == 9 else plans[len(plans) // 2]


# Overrides


def _load_overrides(wanted: int, tell: Tell) -> None:
    with acting_as_system("see what is there"):
        there = Override.objects.count()
        missing = total = wanted - there
        if missing <= 0:
            return
        companies = list(Company.objects.filter(slug__startswith=SLUG).order_by("slug").values_list("pk", flat=True))
        # Loaded flags first: the first in the row get the most.
        loaded = list(Flag.objects.filter(key__startswith=KEY).order_by("key").values_list("key", flat=True))
        keys = loaded + list(Flag.objects.exclude(key__in=loaded).order_by("key").values_list("key", flat=True))
    columns = (
        "id",
        "company_id",
        "flag_id",
        "enabled",
        "reason",
        "expires_at",
        "paused",
        "version",
        "created_at",
        "updated_at",
    )
    each = -(-missing // len(companies))
    # What an earlier run wrote is where this walk begins; going around once meets every pair.
    first = there // len(companies)
    for turn in range(first, first + len(keys), each):
        rows = _overrides(companies, keys, range(turn, min(turn + each, first + len(keys))))
        while missing and (piece := list(islice(rows, min(PIECE, missing)))):
            with writing("load overrides"):
                missing -= insert(Override, columns, piece)
            tell("overrides", total - missing, total)


def _overrides(companies: Sequence[UUID], keys: Sequence[str], places: range) -> Iterator[tuple]:
    """Give each company the flags at some places of a walk through all of them, which begins at a flag of its own.

    Where it begins is spread unevenly, so that a few flags are overridden for very many companies, and most for some.
    """
    now = timezone.now()
    stamp, soon = moment(now), [moment(now + timedelta(days=days)) for days in range(1, 366)]
    id_of = as_id()
    for number, company in enumerate(companies):
        begin = int(len(keys) * (number * 2_654_435_761 % 2**32 / 2**32) ** 2)
        for place in places:
            n = number + place
            expires_at = soon[n % 365] if n % 20 == 0 else None
            key = keys[(begin + place) % len(keys)]
            yield (
                new_id(),
                id_of(company),
                key,
                n % 4 != 0,
                "Loaded to measure on",
                expires_at,
                n % 100 == 1,
                1,
                stamp,
                stamp,
            )


def _analyze() -> None:
    """Let PostgreSQL look at what it has, as autovacuum would have by tomorrow."""
    if connection.vendor == "postgresql":
        with acting_as_nobody(), connection.cursor() as cursor:
            work = "analyze" if connection.in_atomic_block else "vacuum (analyze)"
            for model in LOADED:
                cursor.execute(f"{work} {model._meta.db_table}")
