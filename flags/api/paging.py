"""Lists in pages, in the one shape {"results", "next", "previous"}. No list is ever counted."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from django.db.models import Model, Q, QuerySet
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.utils.urls import remove_query_param, replace_query_param

from flags.api.fields import as_moment
from flags.api.parsing import check_strings
from flags.exceptions import Missing

Rows = Sequence[Any]
Build = Callable[[list[Any]], Any]


@cache
def listed(output: type[serializers.Serializer]) -> type[serializers.Serializer]:
    """Return the shape of a page of these."""
    name = output.__name__.removesuffix("Output") + "PageOutput"
    fields = {
        "__doc__": "One page of a list.",
        "__module__": __name__,
        "results": output(many=True),
        "next": serializers.URLField(allow_null=True),
        "previous": serializers.URLField(allow_null=True),
    }
    return type(name, (serializers.Serializer,), fields)


def by_number(request: Request, rows: QuerySet, query: Mapping[str, Any], build: Build) -> dict[str, Any]:
    """Return one numbered page. `build` turns rows into results. Raises Missing for a page beyond the last."""
    number, size = query["page"], query["page_size"]
    start = (number - 1) * size
    found = list(rows[start : start + size + 1])
    if not found and number > 1:
        raise Missing(f"There is no page {number}. The list ends before.", code="PAGE_NOT_FOUND")
    url = request.build_absolute_uri()
    following = replace_query_param(url, "page", number + 1) if len(found) > size else None
    previous = replace_query_param(url, "page", number - 1) if number > 1 else None
    return {"results": build(found[:size]), "next": following, "previous": previous}


def moment(text: str) -> datetime:
    """Read a moment back from a cursor. Raises ValueError."""
    found = as_moment(text)
    if found is None:
        raise ValueError(text)
    return found


def words(text: str) -> str:
    """Read text back from a cursor. Raises ValidationError for what no database keeps."""
    check_strings(text, "cursor")
    return text


class Keyset:
    """Pages of a list that may be long: each continues behind the last row of the one before, at equal cost.

    `fields` are those that order the list and together name one row; each comes with the function that reads it back
    from a cursor, raising ValueError.
    """

    def __init__(self, fields: Mapping[str, Callable[[str], Any]], *, descending: bool = False) -> None:
        self.fields = fields
        self.descending = descending

    def page(
        self,
        request: Request,
        rows: QuerySet,
        query: Mapping[str, Any],
        build: Build,
        *,
        looked_for: Q | None = None,
        through: int = 0,
    ) -> dict[str, Any]:
        """Return the page that the cursor names, or the first. Raises ValidationError for a cursor that is none.

        What no index serves is `looked_for` in the next rows, as many as `through` says; the page may end with those
        before it is full, or be empty, and `next` goes on behind them.
        """
        size = query["page_size"]
        backwards, values = self._read(query["cursor"])
        down = self.descending != backwards
        rows = rows.order_by(*(f"-{name}" if down else name for name in self.fields))
        if values:
            rows = rows.filter(self._beyond(values, down))
        end = None
        if looked_for is not None:
            around = list(rows.only(*self.fields)[through - 1 : through + 1])
            if len(around) > 1:
                end = around[0]
                rows = rows.filter(self._until(end, down))
            rows = rows.filter(looked_for)
        found = list(rows[: size + 1])
        more, found = len(found) > size, found[:size]
        if backwards:
            found.reverse()
        url = remove_query_param(request.build_absolute_uri(), "cursor")
        first, last = (found[0], found[-1]) if found else (None, None)
        # Where it goes on in the direction asked for: behind the page's last row, or behind all that was looked at.
        onwards = (first if backwards else last) if more else end
        back = (last if backwards else first) if values else None
        following, previous = (back, onwards) if backwards else (onwards, back)
        return {
            "results": build(found),
            "next": None if following is None else self._link(url, False, following),
            "previous": None if previous is None else self._link(url, True, previous),
        }

    def _until(self, row: Model, down: bool) -> Q:
        """Return the condition for the rows up to this one, itself included."""
        values = [getattr(row, name) for name in self.fields]
        first = next(iter(self.fields))
        bound = Q(**{f"{first}__{'gt' if down else 'lt'}e": values[0]})
        return bound & (self._beyond(values, not down) | Q(pk=row.pk))

    def _beyond(self, values: Sequence[Any], down: bool) -> Q:
        names, which = list(self.fields), "lt" if down else "gt"
        beyond = Q()
        for place, name in enumerate(names):
            same = dict(zip(names[:place], values[:place], strict=True))
            beyond |= Q(**same, **{f"{name}__{which}": values[place]})
        # Said once more for the first field alone, as a bound that an index can start from.
        return Q(**{f"{names[0]}__{which}e": values[0]}) & beyond

    def _link(self, url: str, backwards: bool, row: Model) -> str:
        values = [str(getattr(row, name)) for name in self.fields]
        cursor = base64.urlsafe_b64encode(json.dumps([int(backwards), *values]).encode()).decode().rstrip("=")
        return replace_query_param(url, "cursor", cursor)

    def _read(self, cursor: str) -> tuple[bool, list[Any]]:
        if not cursor:
            return False, []
        try:
            text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
            backwards, *values = json.loads(text)
            read = [parse(str(value)) for parse, value in zip(self.fields.values(), values, strict=True)]
        except (ValueError, TypeError, RecursionError) as error:
            raise ValidationError({"cursor": ["Not a cursor of this list. Follow `next` and `previous`."]}) from error
        return bool(backwards), read
