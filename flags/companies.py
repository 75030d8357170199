"""Every change to companies, their people and settings. Built like `changes`."""

import uuid
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from flags.exceptions import ChangeRefused, Invalid, Missing, NotAllowed
from flags.models import Grant
from flags.recording import (
    Actor,
    authorise,
    check_seen,
    check_version,
    clean_reason,
    clean_text,
    record,
    stamp,
    validate,
    writing,
)
from flags.repeating import verb
from tenants.models import Company, CompanySettings, Membership, Plan, ReleaseChannel, Role, User

WRITE = "tenants:write"
EDITABLE = ("name", "channel", "plan", "is_active")
SETTINGS = ("default_currency", "brand_colour", "time_zone")
# What follows /companies/ in addresses of our own, and so can name no company.
RESERVED_SLUGS = ("new",)


def _company(company: Company) -> Company:
    found = Company.objects.select_for_update(of=("self",)).filter(pk=company.pk).first()
    if found is None:
        raise Missing("There is no such company.", code="COMPANY_NOT_FOUND")
    return found


def _state(company: Company) -> dict[str, Any]:
    return {
        "name": company.name,
        "channel": company.channel_id,
        "plan": company.plan_id,
        "is_active": company.is_active,
    }


def _assign(company: Company, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        if name == "name":
            company.name = clean_text(value, "name", longest=120, required=True)
        elif name == "channel":
            if not ReleaseChannel.objects.filter(pk=value).exists():
                raise Invalid(f"There is no release channel {value!r}.", errors={"channel": ["Unknown channel."]})
            company.channel_id = value
        elif name == "plan":
            if not Plan.objects.filter(pk=value).exists():
                raise Invalid(f"There is no plan {value!r}.", errors={"plan": ["Unknown plan."]})
            company.plan_id = value
        elif name == "is_active":
            if not isinstance(value, bool):
                raise Invalid("is_active is true or false.", errors={"is_active": ["Say true or false."]})
            company.is_active = value
        else:
            raise Invalid(f"A company's {name!r} cannot be changed here.", errors={name: ["Not a field to change."]})


@verb
def create_company(
    slug: str,
    name: str,
    *,
    actor: Actor,
    channel: str = "general",
    plan: str = "starter",
    reason: str = "",
    batch: uuid.UUID | None = None,
) -> Company:
    """Make a company, with settings of its own.

    Raises ChangeRefused for a slug that is taken, Invalid for a bad one.
    """
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    if slug in RESERVED_SLUGS:
        raise Invalid(f"{slug!r} is a word of ours. Choose another slug.", errors={"slug": ["This word is ours."]})
    with writing("create a company"):
        if Company.objects.filter(slug=slug).exists():
            raise ChangeRefused(
                f"There already is a company {slug!r}.", code="SLUG_TAKEN", errors={"slug": ["This slug is taken."]}
            )
        company = Company(slug=slug)
        _assign(company, {"name": name, "channel": channel, "plan": plan})
        validate(company)
        company.save(force_insert=True)
        CompanySettings.objects.create(company=company)
        after = {"slug": slug, **_state(company)}
        record("create_company", actor=actor, company=company, before={}, after=after, reason=reason, batch=batch)
    return company


def edit_company(
    company: Company,
    *,
    actor: Actor,
    reason: str = "",
    version: int | None = None,
    batch: uuid.UUID | None = None,
    **fields: Any,
) -> Company:
    """Change a company's name, channel (a slug), plan (a slug) or is_active. Raises Invalid for anything else."""
    authorise(actor, WRITE, company)
    return _edit(company, fields, actor=actor, reason=clean_reason(reason), version=version, batch=batch)


def rename_company(company: Company, name: str, *, actor: Actor) -> Company:
    """Change what a company is called: by an admin of the company, or a super admin."""
    _authorise_own(actor, company)
    return _edit(company, {"name": name}, actor=actor)


@verb
def _edit(
    company: Company,
    fields: Mapping[str, Any],
    *,
    actor: Actor,
    reason: str = "",
    version: int | None = None,
    batch: uuid.UUID | None = None,
) -> Company:
    with writing("edit a company"):
        company = _company(company)
        before = _state(company)
        check_version(company.version, version, thing=company.name, current=before, yours=fields)
        _assign(company, fields)
        validate(company)
        after = _state(company)
        if before != after:
            company.version += 1
            company.save()
            moved = before["channel"] != after["channel"] or before["plan"] != after["plan"]
            verb = "move_company" if moved else "edit_company"
            record(verb, actor=actor, company=company, before=before, after=after, reason=reason, batch=batch)
    return company


@verb
def view_as(company: Company, *, actor: Actor) -> None:
    """Note that a super admin begins to look through a company's eyes. The door keeps whose, for as long as it lasts.

    Raises ChangeRefused for an inactive company, through whose eyes there is nothing to see.
    """
    _authorise_eyes(actor)
    if not company.is_active:
        raise ChangeRefused(
            f"{company.name} is not active, so its people see nothing. Activate it first.", code="COMPANY_INACTIVE"
        )
    with writing("view as a company"):
        record("view_as", actor=actor, company=company, before={"viewing": False}, after={"viewing": True})


@verb
def stop_viewing_as(company: Company, *, actor: Actor) -> None:
    """Note that a super admin is themselves again."""
    _authorise_eyes(actor)
    with writing("stop viewing as a company", while_viewing=True):
        record("view_as", actor=actor, company=company, before={"viewing": True}, after={"viewing": False})


def _authorise_eyes(actor: Actor) -> None:
    if not isinstance(actor, User):
        raise NotAllowed("Only a person can look through a company's eyes.")
    authorise(actor, WRITE)


def _authorise_own(actor: Actor, company: Company) -> None:
    """Let pass an admin of the company itself, and whoever may change any."""
    if isinstance(actor, User) and not actor.is_superuser:
        admins = Membership.objects.filter(user=actor, company=company, role=Role.ADMIN, company__is_active=True)
        if not (actor.is_active and admins.exists()):
            raise NotAllowed("Only an admin of the company may change its settings.")
    else:
        authorise(actor, WRITE, company)


@verb
def edit_settings(company: Company, *, actor: Actor, **fields: Any) -> CompanySettings:
    """Change default_currency, brand_colour or time_zone: by an admin of the company, or a super admin."""
    _authorise_own(actor, company)
    with writing("edit a company's settings"):
        settings, _ = CompanySettings.objects.get_or_create(company=company)
        before = {name: getattr(settings, name) for name in SETTINGS}
        for name, value in fields.items():
            if name not in SETTINGS:
                raise Invalid(f"A company's {name!r} cannot be set here.", errors={name: ["Not a setting."]})
            longest = getattr(CompanySettings._meta.get_field(name), "max_length", None) or 64
            setattr(settings, name, clean_text(value, name, longest=longest, required=True))
        try:
            ZoneInfo(settings.time_zone)
        except (KeyError, ValueError, OSError) as error:
            message = f"There is no time zone {settings.time_zone!r}. Use one such as Europe/Berlin."
            raise Invalid(message, errors={"time_zone": ["Unknown time zone."]}) from error
        validate(settings, unchecked=("company",))
        after = {name: getattr(settings, name) for name in SETTINGS}
        if before != after:
            settings.save()
            record("edit_settings", actor=actor, company=company, before=before, after=after)
    return settings


# People


@verb
def add_member(
    company: Company,
    email: str,
    role: str,
    *,
    actor: Actor,
    name: str = "",
    reason: str = "",
    batch: uuid.UUID | None = None,
    seen: str | None = None,
) -> Membership:
    """Let a person belong to a company, or change the role of one who does. Makes the account if it is new.

    A new account has no password; it is set by a link (an invitation). The first company of a person is home.
    Raises Conflict if `seen`, a `stamp_of_role`, is out of date.
    """
    authorise(actor, WRITE, company)
    reason = clean_reason(reason)
    email = clean_text(email, "email", longest=254, required=True).lower()
    name = clean_text(name, "name", longest=120)
    try:
        validate_email(email)
    except ValidationError as error:
        raise Invalid(f"{email!r} is no e-mail address.", errors={"email": ["Not an e-mail address."]}) from error
    if role not in Role.values:
        roles = ", ".join(Role.values)
        raise Invalid(f"There is no role {role!r}. Choose from {roles}.", errors={"role": [f"One of {roles}."]})
    with writing("add a member"):
        user = User.objects.filter(email=email).first()
        if user is None:
            user = User.objects.create_user(email, name=name)
        membership = Membership.objects.filter(company=company, user=user).first()
        before = {} if membership is None else _role_state(user, membership)
        after = {"user": user.email, "role": role}
        if before == after and membership is not None:
            return membership
        check_seen(before, seen, thing=f"the role of {user}", yours=after)
        if membership is None:
            is_home = not Membership.objects.filter(user=user, is_home=True).exists()
            membership = Membership(company=company, user=user, is_home=is_home)
        membership.role = role
        membership.save()
        verb = "set_role" if before else "add_member"
        record(
            verb, actor=actor, company=company, before=before, after=after, reason=reason, batch=batch, keep=("user",)
        )
    return membership


def stamp_of_role(membership: Membership) -> str:
    """Return what a form carries of somebody's role, to say later what it saw."""
    return stamp(_role_state(membership.user, membership))


def _role_state(user: User, membership: Membership) -> dict[str, Any]:
    return {"user": user.email, "role": membership.role}


@verb
def remove_member(company: Company, user: User, *, actor: Actor, reason: str = "", seen: str | None = None) -> bool:
    """End a person's belonging, and with it their grants there, at once. Returns whether they belonged.

    Raises Conflict if `seen`, a `stamp_of_role`, is out of date.
    """
    authorise(actor, WRITE, company)
    reason = clean_reason(reason)
    with writing("remove a member"):
        membership = Membership.objects.filter(company=company, user=user).first()
        if membership is None:
            return False
        check_seen(_role_state(user, membership), seen, thing=f"the role of {user}", yours={})
        granted = sorted(Grant.objects.filter(company=company, user=user).values_list("flag_id", flat=True))
        before = {"user": user.email, "role": membership.role, "grants": granted}
        was_home = membership.is_home
        membership.delete()
        following = Membership.objects.filter(user=user).first() if was_home else None
        if following is not None:
            following.is_home = True
            following.save()
        record("remove_member", actor=actor, company=company, before=before, after={}, reason=reason)
    return True
