"""Builds the demonstration, once, by the same verbs as every door, and says who can sign in.

Everything lives in one transaction, so there is a whole demonstration or none. What somebody changed in it since is
theirs: building again only sees to it that the sign-ins it reports work. Passwords and the token are derived from the
secret key, so that they can be said again although nothing but digests is stored.
"""

import uuid
from base64 import b32encode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth.hashers import check_password, is_password_usable, make_password
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from flags import apitokens, changes, companies, demodata, releases, usage
from flags.features import evaluation_scope
from flags.gates import open_gates
from flags.releasemodels import GateTemplate
from tenants import tokens
from tenants.models import ApiToken, Company, Membership, Role, User
from tenants.rls import acting_as_system

SUPER_ADMIN = "super_admin"


@dataclass(frozen=True, slots=True)
class Account:
    """A sign-in. `role` is super_admin, or the role held at home; `company` is home's slug, or None."""

    email: str
    password: str
    role: str
    company: str | None


@dataclass(frozen=True, slots=True)
class Demo:
    """A demonstration that stands: who can sign in, and the token for programs. `made` says whether it is new."""

    accounts: list[Account]
    token: str
    made: bool


def is_there() -> bool:
    """Say whether this database holds the demonstration."""
    return User.objects.filter(email=demodata.ANA).exists()


def others() -> int:
    """Return how many companies and people there are that no demonstration made."""
    companies_here = Company.objects.exclude(slug__in=demodata.BY_SLUG).count()
    return companies_here + User.objects.exclude(email__in=_emails()).count()


def build() -> Demo:
    """Make the demonstration where there is none, and return its sign-ins.

    Raises ChangeRefused, having written nothing, where a company or a flag of the same name is in its way.
    """
    with acting_as_system("build the demonstration"), transaction.atomic():
        made = not is_there()
        if made:
            _build()
        password = _password()
        _let_sign_in(password)
        return Demo(_accounts(password), _token(), made)


# Sign-ins


def _password() -> str:
    digest = salted_hmac("flags.demo", "password", algorithm="sha256").digest()
    return f"demo-{b32encode(digest)[:12].decode().lower()}"


def _emails() -> list[str]:
    people = [company.email(name) for company in demodata.COMPANIES for name in _names(company)]
    return [*(email for email, _ in demodata.SUPER_ADMINS), *people]


def _names(company: demodata.DemoCompany) -> tuple[str, ...]:
    return (company.admin, *company.coordinators, *company.members)


def _let_sign_in(password: str) -> None:
    """Give the password to everybody whose own is another. Digests are shared, so that there is one to compute."""
    found = dict(User.objects.filter(email__in=_emails()).values_list("email", "password"))
    # Where there is none yet, Django would take as long to say so as if it had compared.
    good = {digest for digest in set(found.values()) if is_password_usable(digest) and check_password(password, digest)}
    locked_out = [email for email, digest in found.items() if digest not in good]
    if locked_out:
        User.objects.filter(email__in=locked_out).update(password=make_password(password))


def _accounts(password: str) -> list[Account]:
    found = {user.email: user for user in User.objects.filter(email__in=_emails(), is_active=True)}
    homes = {
        home.user_id: home
        for home in Membership.objects.filter(user__in=found.values(), is_home=True).select_related("company")
    }
    accounts = []
    for email in _emails():
        user = found.get(email)
        if user is None:
            continue  # Somebody removed them since.
        home = homes.get(user.pk)
        if user.is_superuser:
            accounts.append(Account(email, password, SUPER_ADMIN, None))
        elif home is not None:
            accounts.append(Account(email, password, home.role, home.company.slug))
    return accounts


def _token() -> str:
    """Return a token that works: the one made first, or the next one if somebody has revoked it."""
    number = 1
    while True:
        public_id = salted_hmac("flags.demo", f"token id {number}", algorithm="sha256").hexdigest()[:12]
        secret = salted_hmac("flags.demo", f"token {number}", algorithm="sha256").digest()
        plain = f"{tokens.PREFIX}s_{public_id}_{urlsafe_b64encode(secret).decode().rstrip('=')}"
        token = ApiToken.objects.filter(public_id=public_id).first()
        if token is None:
            made, _ = apitokens.create_token(demodata.TOKEN_NAME, actor=_person(demodata.ANA), scopes=tokens.SCOPES)
            # A token's secret is never anybody's choice, except here.
            ApiToken.objects.filter(pk=made.pk).update(public_id=public_id, digest=tokens.digest(plain))
            return plain
        if tokens.is_good(token):
            return plain
        number += 1


# What it is made of


def _build() -> None:
    why = "Set up for the demonstration" if changes.reason_is_required() else ""
    for email, name in demodata.SUPER_ADMINS:
        User.objects.create_superuser(email, name=name)
    there = _companies(why)
    ana, tom = _person(demodata.ANA), _person(demodata.TOM)
    for flag in demodata.FLAGS:
        changes.create_flag(
            flag.key,
            actor=ana,
            reason=why,
            enabled=flag.enabled,
            name=flag.name,
            description=flag.description,
            category=flag.category,
            owner=flag.owner,
            needs_grant=flag.needs_grant,
        )
    for key, owner in demodata.OWNERS:
        changes.edit_flag(key, actor=tom, reason=why, owner=owner)
    for key, channel, enabled, percentage in demodata.CHANNELS:
        changes.set_channel(key, channel, enabled, percentage=percentage, actor=tom, reason=why)
    _releases(there, why)
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    for override in demodata.OVERRIDES:
        changes.set_override(
            there[override.company],
            override.key,
            override.enabled,
            actor=_person(override.actor),
            reason=override.reason,
            expires_at=None if override.days is None else now + timedelta(days=override.days),
        )
    for slug, key, enabled in demodata.CHOICES:
        company = demodata.BY_SLUG[slug]
        changes.set_opt_in(there[slug], key, enabled, actor=_person(company.email(company.admin)), reason=why)
    for slug, name, key, enabled, reason in demodata.GRANTS:
        user = _person(demodata.BY_SLUG[slug].email(name))
        changes.grant(there[slug], user, key, enabled=enabled, actor=ana, reason=reason)
    key, reason = demodata.KILLED
    changes.kill(key, actor=tom, reason=reason)


def _companies(why: str) -> Mapping[str, Company]:
    batch = uuid.uuid4()
    there = {}
    for company in demodata.COMPANIES:
        made = companies.create_company(
            company.slug,
            company.name,
            actor=None,
            channel=company.channel,
            plan=company.plan,
            reason=why,
            batch=batch,
        )
        there[company.slug] = made
        roles = [(company.admin, Role.ADMIN)]
        roles += [(name, Role.COORDINATOR) for name in company.coordinators]
        roles += [(name, Role.MEMBER) for name in company.members]
        for name, role in roles:
            companies.add_member(made, company.email(name), role, actor=None, name=name, reason=why, batch=batch)
    for home, name, other, role_there in demodata.ALSO_AT:
        email = demodata.BY_SLUG[home].email(name)
        companies.add_member(there[other], email, role_there, actor=None, reason=why, batch=batch)
    return there


def _releases(there: Mapping[str, Company], why: str) -> None:
    """Start two releases: one waits for its first gates, the other was let into the pilot channel."""
    ana, tom = _person(demodata.ANA), _person(demodata.TOM)
    promoted, reason = demodata.PROMOTED
    for key in (demodata.LIVE_ETA.key, promoted):
        release = releases.start(key, actor=ana, reason=why)
        manual = [state.gate for state in open_gates(release) if state.gate.check_kind == GateTemplate.Check.SIGN_OFF]
        for gate in manual if key == promoted else manual[:1]:
            releases.sign_off(key, gate.pk, actor=tom, note=demodata.SIGNED_OFF[key])
    _use(there)
    releases.promote(promoted, actor=tom, reason=reason, force=True)


def _use(there: Mapping[str, Company]) -> None:
    """Ask as the code of each company would."""
    for company in there.values():
        with evaluation_scope(company=company) as features:
            for key in demodata.ASKED:
                features[key]
    usage.flush()


def _person(email: str) -> User:
    return User.objects.get(email=email)
