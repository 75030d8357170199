"""Pages that cost the same wherever they are: each begins where another ended, not after so many rows."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some rows of a list, in its order. `previous` and `next` are cursors, empty at either end."""

    rows: list[Any]
    previous: str
    next: str


def stretch(
    rows: QuerySet, fields: tuple[str, str], size: int, *, after: str = "", before: str = "", descending: bool = False
) -> Stretch:
    """Return up to `size` rows after, or before, a cursor; the first ones without. One query.

    `fields` are two look-ups that order the rows, the second one unique. A cursor nobody gave out is no cursor.
    """
    backwards = bool(before) and not after
    rows, start = _behind(rows, fields, after, before, descending)
    found = list(rows[: size + 1])
    more, found = len(found) > size, found[:size]
    if backwards:
        found.reverse()
    at_start = not more if backwards else start is None
    at_end = start is None and not more if backwards else not more
    return Stretch(
        found,
        "" if at_start or not found else cursor(found[0], fields),
        "" if at_end or not found else cursor(found[-1], fields),
    )


def nearest(
    rows: QuerySet, fields: tuple[str, str], size: int, *, after: str = "", before: str = "", descending: bool = False
) -> tuple[QuerySet, str]:
    """Return the `size` rows nearest to a cursor, on the side that it asks for, as rows to be narrowed further.

    With them comes a cursor for going on where they end, empty where there are no more. One query.
    """
    ordered, _ = _behind(rows, fields, after, before, descending)
    around = list(ordered.only(*fields)[size - 1 : size + 1])
    if len(around) < 2:
        return rows, ""
    last = around[0]
    end = [getattr(last, field) for field in fields]
    upwards = descending != (bool(before) and not after)
    return rows.filter(_beyond(fields, end, "gt" if upwards else "lt", itself="e")), cursor(last, fields)


def _behind(
    rows: QuerySet, fields: tuple[str, str], after: str, before: str, descending: bool
) -> tuple[QuerySet, list[str] | None]:
    """Return the rows behind a cursor in their order, or before it in the opposite, and the place if it names one."""
    backwards = bool(before) and not after
    start = _read(before if backwards else after)
    downwards = descending != backwards
    if start is not None:
        try:
            rows = rows.filter(_beyond(fields, start, "lt" if downwards else "gt"))
        except (ValidationError, ValueError):
            start = None
    sign = "-" if downwards else ""
    return rows.order_by(*(sign + field for field in fields)), start


def _beyond(fields: tuple[str, str], start: Sequence[Any], side: str, itself: str = "") -> Q:
    (first, second), (value, tie) = fields, start
    # The first condition is implied by the second; databases use it to find the place in an index.
    return Q(**{f"{first}__{side}e": value}) & (
        Q(**{f"{first}__{side}": value}) | Q(**{first: value, f"{second}__{side}{itself}": tie})
    )


def cursor(row: Model, fields: tuple[str, str]) -> str:
    """Return the cursor of a place in a list: just behind, or before, this row."""
    values = [reduce(getattr, field.split("__"), row) for field in fields]
    text = json.dumps([value.isoformat() if isinstance(value, datetime) else str(value) for value in values])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(cursor: str) -> list[str] | None:
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        return None
    good = isinstance(values, list) and len(values) == 2 and all(isinstance(value, str) for value in values)
    return values if good else None
