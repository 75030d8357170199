"""A new company with everything it starts with, in one call (seed 000). Built from existing verbs."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flags import changes, companies
from flags.exceptions import ChangeRefused
from flags.models import Override
from flags.recording import Actor, authorise, writing
from flags.repeating import verb
from tenants.models import Company, Membership, Role, User


@dataclass(frozen=True, slots=True)
class Admin:
    """Somebody who shall run the company."""

    email: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Preset:
    """An override the company shall start with."""

    key: str
    enabled: bool
    reason: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What came of it: the company, whether it is new, and what was added to it now."""

    company: Company
    is_new: bool
    admins_added: int
    overrides_added: int


@verb
def provision(
    slug: str,
    name: str,
    *,
    actor: Actor,
    channel: str | None = None,
    plan: str | None = None,
    admins: Sequence[Admin] = (),
    overrides: Sequence[Preset] = (),
    reason: str = "",
) -> Provisioned:
    """Make a company with its admins and overrides, in one transaction and one batch of history.

    Doing it again adds what is missing and touches nothing that is there: what operators changed since stays. Raises
    ChangeRefused (SLUG_TAKEN) where the slug is that of a company with another name, and every refusal of its parts; a
    refused admin or override has its `index` in `extra`, and `of` says which list it is in.
    """
    authorise(actor, companies.WRITE)
    batch = uuid.uuid4()
    with writing("provision a company"):
        company = Company.objects.filter(slug=slug).first()
        is_new = company is None
        if company is None:
            company = companies.create_company(
                slug,
                name,
                actor=actor,
                channel=channel or "general",
                plan=plan or "starter",
                reason=reason,
                batch=batch,
            )
        elif company.name != name.strip():
            raise ChangeRefused(
                f"The slug {slug!r} is that of another company. Choose another.",
                code="SLUG_TAKEN",
                errors={"slug": ["This slug is taken."]},
            )
        added = _add_admins(company, admins, actor=actor, reason=reason, batch=batch)
        preset = _add_overrides(company, overrides, actor=actor, reason=reason, batch=batch)
    return Provisioned(company, is_new, added, preset)


def _add_admins(company: Company, admins: Sequence[Admin], *, actor: Actor, reason: str, batch: uuid.UUID) -> int:
    added = 0
    for index, admin in enumerate(admins):
        user = User.objects.filter(email=admin.email.strip().lower()).first()
        if user is not None and Membership.objects.filter(company=company, user=user).exists():
            continue
        try:
            companies.add_member(
                company, admin.email, Role.ADMIN, actor=actor, name=admin.name, reason=reason, batch=batch
            )
        except ChangeRefused as refusal:
            refusal.extra |= {"index": index, "of": "admins"}
            raise
        added += 1
    return added


def _add_overrides(
    company: Company, overrides: Sequence[Preset], *, actor: Actor, reason: str, batch: uuid.UUID
) -> int:
    present = set(Override.objects.filter(company=company).values_list("flag_id", flat=True))
    added = 0
    for index, preset in enumerate(overrides):
        if preset.key in present:
            continue
        try:
            changes.set_override(
                company,
                preset.key,
                preset.enabled,
                actor=actor,
                reason=preset.reason or reason,
                expires_at=preset.expires_at,
                batch=batch,
            )
        except ChangeRefused as refusal:
            refusal.extra |= {"index": index, "of": "overrides"}
            raise
        present.add(preset.key)
        added += 1
    return added
