"""Statements about many companies at once: they travel as one parameter, an array or a JSON text, not as thousands."""

import json
from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db import connection

CHOSEN = {"postgresql": "(select unnest(%s::uuid[]) as value)", "sqlite": "json_each(%s)"}
NEW_ID = {"postgresql": "gen_random_uuid()", "sqlite": "lower(hex(randomblob(16)))"}


def chosen() -> str:
    """Return SQL for a table with one column `value`: the ids given as one parameter by `as_parameter`."""
    return CHOSEN[connection.vendor]


def new_id() -> str:
    """Return SQL for a UUID that nobody has used."""
    return NEW_ID[connection.vendor]


def as_parameter(ids: Collection[UUID]) -> Any:
    """Return ids as the one parameter that `chosen` takes."""
    return list(ids) if connection.vendor == "postgresql" else json.dumps([one.hex for one in ids])
