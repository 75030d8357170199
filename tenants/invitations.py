"""Inviting people: a link by e-mail with which somebody new sets their first password.

The link is signed and bound to the account as it is: it ends with the first password set, and after
PASSWORD_RESET_TIMEOUT. Nothing about it is stored.
"""

import logging
from uuid import UUID

from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode

from tenants.models import Company, User

logger = logging.getLogger(__name__)


class InvitationTokens(PasswordResetTokenGenerator):
    """Signs invitations, so that a link made for anything else is none."""

    key_salt = "tenants.invitations"


_tokens = InvitationTokens()


def path_for(user: User) -> str:
    """Return the path of the page where this person sets their first password. It is as good as the account itself."""
    return reverse("invitation", args=[urlsafe_base64_encode(str(user.pk).encode()), _tokens.make_token(user)])


def invited(uid: str, token: str) -> User | None:
    """Return whom a link was made for; None when it is forged, too old, used, or for somebody deactivated."""
    try:
        user = User.objects.filter(pk=UUID(urlsafe_base64_decode(uid).decode()), is_active=True).first()
    except (ValueError, UnicodeDecodeError, ValidationError):
        return None
    if user is None or user.has_usable_password() or not _tokens.check_token(user, token):
        return None
    return user


def accept(user: User, password: str, name: str = "") -> None:
    """Set the first password, and the name if one is given. Validate both before. The link is spent by this."""
    user.set_password(password)
    user.name = name or user.name
    user.save(update_fields=["password", "name"])


def send(user: User, company: Company, *, inviter: User, origin: str) -> None:
    """Tell somebody by e-mail that they belong to a company, once the change that made it so is committed.

    Who has no password yet gets a link to set one; anybody else the way to sign in. `origin` is scheme and host, such
    as https://headgate.example. A message that cannot be handed over is logged, and changes nothing.
    """
    address = origin + (reverse("login") if user.has_usable_password() else path_for(user))
    context = {"user": user, "company": company, "inviter": inviter, "address": address}
    subject = f"{inviter} invites you to {company.name}"
    body = render_to_string("registration/invitation_email.txt", context)

    def hand_over() -> None:
        try:
            send_mail(" ".join(subject.split()), body, None, [user.email])
        except OSError as error:  # SMTP's errors are such, too.
            logger.error("invitation not sent company=%s error=%s", company.slug, type(error).__name__)

    transaction.on_commit(hand_over, robust=True)
