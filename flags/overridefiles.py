"""Overrides as a CSV file, out and in: company,flag,enabled,reason,expires_at. What was exported imports as no change.

A file is imported whole or not at all, and every bad line is named. Cells that a spreadsheet would take for a formula
get an apostrophe in front on the way out, which is taken off on the way in.

A sixth column, `version`, says from which state a line was made, 0 being none: it is refused where somebody has changed
that meanwhile. A file, or a line, without one is taken at its word, as it must be in another installation.
"""

import csv
import io
import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from flags import announcements
from flags.exceptions import ChangeRefused, Invalid
from flags.models import Change, Flag, Override
from flags.overrides import WRITE, Outcome
from flags.recording import Actor, actor_user, authorise, clean_expiry, clean_reason, line, writing
from flags.repeating import verb
from tenants.models import Company

COLUMNS = ("company", "flag", "enabled", "reason", "expires_at")
VERSION = "version"
REQUIRED = ("company", "flag", "enabled")
WORDS = {"true": True, "false": False}
PROBLEMS_NAMED = 100
ROWS_AT_ONCE = 500
MOST_ROWS = 200_000
# OWASP, "CSV Injection": what begins like this is run by a spreadsheet. Apostrophes before it are doubled, so that
# taking one off always gives back what was there.
FORMULA = re.compile(r"'*[=+\-@\t\r]")
ESCAPED = re.compile(r"'+[=+\-@\t\r]")


@dataclass(frozen=True, slots=True)
class Row:
    """One valid line of a file."""

    line: int
    company: Company
    key: str
    enabled: bool
    reason: str
    expires_at: datetime | None
    version: int | None


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one cell, or with a whole line where `column` is empty."""

    line: int
    column: str
    detail: str


def export(*, versions: bool = False) -> Iterator[str]:
    """Yield every override, by company and flag, as the lines of a CSV file; with its version if that is wanted."""
    columns = (*COLUMNS, VERSION) if versions else COLUMNS
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(columns)
    rows = Override.objects.order_by("company_id", "flag_id").values_list(
        "company__slug", "flag_id", "enabled", "reason", "expires_at", "version"
    )
    for number, (slug, key, enabled, reason, expires_at, version) in enumerate(rows.iterator(chunk_size=2000), start=1):
        moment = "" if expires_at is None else expires_at.astimezone(UTC).isoformat()
        cells = (slug, key, str(enabled).lower(), reason, moment, str(version))
        writer.writerow([escape(cell) for cell in cells[: len(columns)]])
        if number % ROWS_AT_ONCE == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def escape(cell: str) -> str:
    """Return a cell that no spreadsheet runs."""
    return f"'{cell}" if FORMULA.match(cell) else cell


def unescape(cell: str) -> str:
    """Return what a cell said before it was escaped."""
    return cell[1:] if ESCAPED.match(cell) else cell


@verb
def load(text: str, *, actor: Actor, reason: str = "") -> Outcome:
    """Set every override that a file names, in one transaction and one batch of history. All or nothing.

    Overrides the file does not name stay. `reason` serves lines without their own. Raises Invalid with `lines`, the
    first hundred problems as {line, column, detail}; a lost race is one, where a line names its version.
    """
    authorise(actor, WRITE)
    with writing("import overrides"):
        rows, problems = _read(text, reason)
        existing = _existing({row.company.pk for row in rows})
        changed = [row for row in rows if _differs(row, existing.get((row.company.pk, row.key)))]
        problems += _expired(changed, existing) + _overtaken(changed, existing)
        if problems:
            raise _refusal(problems)
        batch = uuid.uuid4()
        _write(changed, existing, actor, batch)
    return Outcome(batch, len(changed), len(rows) - len(changed))


def _refusal(problems: list[Problem]) -> Invalid:
    problems.sort(key=lambda problem: (problem.line, problem.column))
    errors: dict[str, list[str]] = {}
    for problem in problems[:PROBLEMS_NAMED]:
        name = f"line {problem.line}" + (f", {problem.column}" if problem.column else "")
        errors.setdefault(name, []).append(problem.detail)
    first = problems[0]
    where = f"Line {first.line}" + (f", column {first.column}" if first.column else "")
    more = f" And {len(problems) - 1} more." if len(problems) > 1 else ""
    named = [
        {"line": problem.line, "column": problem.column, "detail": problem.detail}
        for problem in problems[:PROBLEMS_NAMED]
    ]
    return Invalid(f"Nothing was imported. {where}: {first.detail}{more}", errors=errors, lines=named)


def _read(text: str, reason: str) -> tuple[list[Row], list[Problem]]:
    """Return the good lines, and what is wrong with the others."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = [cell.strip().lower() for cell in _next(reader) or []]
    strange = [name for name in header if name not in (*COLUMNS, VERSION) or header.count(name) > 1]
    missing = [name for name in REQUIRED if name not in header]
    if strange or missing:
        say = f"The first line must name the columns {', '.join(COLUMNS)}."
        return [], [Problem(1, (strange or missing)[0][:80], say)]
    lines, problems = _cells(reader, header)
    companies = _companies({cells["company"] for _, cells in lines})
    keys = set(Flag.objects.values_list("key", flat=True))
    rows: list[Row] = []
    seen: dict[tuple[str, str], int] = {}
    for number, cells in lines:
        found = len(problems)
        place = (cells["company"], cells["flag"])
        if cells["company"] not in companies:
            problems.append(Problem(number, "company", f"There is no company {cells['company'][:80]!r}."))
        if cells["flag"] not in keys:
            problems.append(Problem(number, "flag", f"There is no flag {cells['flag'][:80]!r}."))
        if place in seen:
            problems.append(Problem(number, "", f"Line {seen[place]} is about the same company and flag."))
        seen.setdefault(place, number)
        enabled = WORDS.get(cells["enabled"].lower())
        if enabled is None:
            problems.append(Problem(number, "enabled", "Say true or false."))
        why, expires_at, version = "", None, None
        try:
            why = clean_reason(cells.get("reason", "") or reason)
            expires_at = _moment(cells.get("expires_at", ""))
            version = _version(cells.get(VERSION, ""))
        except ChangeRefused as refusal:
            problems.append(Problem(number, next(iter(refusal.errors)), refusal.detail))
        if len(problems) == found:
            assert enabled is not None
            rows.append(Row(number, companies[cells["company"]], cells["flag"], enabled, why, expires_at, version))
    return rows, problems


def _next(reader: Any) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error:
        return None


def _cells(reader: Any, header: list[str]) -> tuple[list[tuple[int, dict[str, str]]], list[Problem]]:
    """Return each line's number and cells by column. Stops where the file is no CSV any more."""
    lines: list[tuple[int, dict[str, str]]] = []
    problems: list[Problem] = []
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            problems.append(Problem(number, "", f"This is no CSV: {error}."))
            break
        if row is None:
            break
        if len(lines) >= MOST_ROWS:
            problems.append(Problem(number, "", f"A file has at most {MOST_ROWS:,} lines. Split it."))
            break
        if not row:
            continue
        if len(row) != len(header):
            problems.append(Problem(number, "", f"{len(row)} cells where the first line names {len(header)}."))
            continue
        cells = [unescape(cell).strip() for cell in row]
        lines.append((number, dict(zip(header, cells, strict=True))))
    return lines, problems


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = parse_datetime(text)
        if moment is not None and moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    detail = "Give a moment with its time zone, such as 2026-03-01T12:00:00Z, or nothing."
    raise Invalid(detail, errors={"expires_at": [detail]})


def _version(text: str) -> int | None:
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        detail = "Give the version that the export named, 0 for an override that is new, or nothing."
        raise Invalid(detail, errors={VERSION: [detail]})
    return int(text)


def _chunks(items: Iterable[Any]) -> Iterator[list[Any]]:
    every = list(items)
    for start in range(0, len(every), ROWS_AT_ONCE):
        yield every[start : start + ROWS_AT_ONCE]


def _companies(slugs: set[str]) -> dict[str, Company]:
    asked = {slug for slug in slugs if len(slug) <= 80 and "\x00" not in slug}
    return {company.slug: company for chunk in _chunks(asked) for company in Company.objects.filter(slug__in=chunk)}


def _existing(companies: set[uuid.UUID]) -> dict[tuple[uuid.UUID, str], Override]:
    return {
        (override.company_id, override.flag_id): override
        for chunk in _chunks(companies)
        for override in Override.objects.filter(company__in=chunk)
    }


def _differs(row: Row, override: Override | None) -> bool:
    if override is None:
        return True
    return (row.enabled, row.reason, row.expires_at) != (override.enabled, override.reason, override.expires_at)


def _expired(rows: list[Row], existing: dict[tuple[uuid.UUID, str], Override]) -> list[Problem]:
    """Return the lines whose moment has passed; one that stands so already is not new, and no problem."""
    problems = []
    for row in rows:
        override = existing.get((row.company.pk, row.key))
        if override is None or override.expires_at != row.expires_at:
            try:
                clean_expiry(row.expires_at)
            except Invalid as refusal:
                problems.append(Problem(row.line, "expires_at", refusal.detail))
    return problems


def _overtaken(rows: list[Row], existing: dict[tuple[uuid.UUID, str], Override]) -> list[Problem]:
    """Return the lines that were made from another state than is there now. What they say already is no problem."""
    problems = []
    for row in rows:
        override = existing.get((row.company.pk, row.key))
        if row.version is not None and row.version != (0 if override is None else override.version):
            now = "It is there no more" if override is None else f"It is version {override.version} by now"
            detail = f"{now}: somebody changed it meanwhile. Look at what it says, or leave the version out."
            problems.append(Problem(row.line, VERSION, detail))
    return problems


def _write(rows: list[Row], existing: dict[tuple[uuid.UUID, str], Override], actor: Actor, batch: uuid.UUID) -> None:
    flags = Flag.objects.in_bulk({row.key for row in rows})
    now = timezone.now()
    for chunk in _chunks(rows):
        new, old, history = [], [], []
        for row in chunk:
            override = existing.get((row.company.pk, row.key))
            before = {}
            if override is None:
                override = Override(company=row.company, flag=flags[row.key], version=0)
                new.append(override)
            else:
                before = _state(override)
                old.append(override)
            override.enabled, override.reason, override.expires_at = row.enabled, row.reason, row.expires_at
            override.created_by, override.updated_at = actor_user(actor), now
            override.version += 1
            history.append(
                line(
                    "set_override",
                    actor=actor,
                    flag=flags[row.key],
                    company=row.company,
                    before=before,
                    after=_state(override),
                    reason=row.reason,
                    batch=batch,
                )
            )
        Override.objects.bulk_create(new)
        fields = ["enabled", "reason", "expires_at", "created_by", "updated_at", "version"]
        Override.objects.bulk_update(old, fields)
        Change.objects.bulk_create(history)
    announcements.announce(*{row.key for row in rows})


def _state(override: Override) -> dict[str, Any]:
    return {
        "enabled": override.enabled,
        "reason": override.reason,
        "expires_at": override.expires_at,
        "paused": override.paused,
    }
