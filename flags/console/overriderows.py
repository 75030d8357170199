"""Overrides of a flag as its table shows them: what each row repeats is put together here, and not in the template."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from django.urls import reverse

from flags import overview
from flags.keyset import Stretch
from flags.models import Flag, Override


@dataclass(frozen=True, slots=True)
class OverrideRow:
    """One override: its company, and where its links and buttons lead. `place` tells its elements from other rows'."""

    override: Override
    name: str
    note: str
    place: str
    company_url: str
    edit_url: str
    reset_url: str


def override_rows(flag: Flag, overrides: Iterable[Override]) -> list[OverrideRow]:
    """Return the rows of these overrides, which come with company and created_by."""
    companies = reverse("console:company_list")
    own = reverse("console:flag_overrides", args=[flag.key])
    return [
        OverrideRow(
            override,
            override.company.name,
            str(override.company.channel_id) + ("" if override.company.is_active else " · inactive"),
            f"{flag.key}-{override.company.slug}",
            f"{companies}{override.company.slug}/",
            f"{own}{override.company.slug}/",
            f"{own}{override.company.slug}/reset/?version={override.version}",
        )
        for override in overrides
    ]


def page_of_overrides(flag: Flag, size: int, **asked: Any) -> Stretch:
    """Return some of a flag's overrides, as `overview.page_of_overrides` does, as rows."""
    found = overview.page_of_overrides(flag, size, **asked)
    return replace(found, rows=override_rows(flag, found.rows))
