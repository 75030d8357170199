"""Signing in with a password, for the form and for the API: guessing gets slower and slower, and nobody is locked out.

Attempts are counted in the database, so that every process knows of them: for the account, for the account from one
address, and for the address. An attempt is counted *before* the password is looked at, so that a hundred guesses at
once count as a hundred; a right password takes its own count back.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from django.contrib.auth import authenticate
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from tenants.addresses import client_address, neighbourhood
from tenants.models import SignInFailure, User
from tenants.rls import acting_as_system

WRONG = "This email address and password do not belong together. Check both."
FORGOTTEN_AFTER = timedelta(hours=24)
LONGEST_EMAIL = 254
MOST_TO_FORGET = 500

logger = logging.getLogger("headgate.security")


class SignInRefused(Exception):
    """Signing in failed. `detail` says the same whether or not the person exists; `retry_after` is in seconds.

    0 when another attempt may be made at once.
    """

    def __init__(self, detail: str, retry_after: int = 0) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many failures are free, how long the growing delay behind them gets at most, how soon one is forgiven."""

    free: int
    longest_delay: timedelta
    forgiven_every: timedelta

    def delay(self, failures: int) -> timedelta:
        """Return how long to wait after this many failures: nothing while they are free, then 1, 2, 4, 8 … seconds."""
        if failures < self.free:
            return timedelta(0)
        return min(timedelta(seconds=2 ** min(failures - self.free, 20)), self.longest_delay)

    def remaining(self, failures: int, elapsed: timedelta) -> int:
        """Return how many failures still count after a quiet time."""
        return max(0, failures - elapsed // self.forgiven_every)


# An account can be attacked from everywhere, and its owner must still get in: at most a minute.
ACCOUNT = Allowance(20, timedelta(minutes=1), timedelta(minutes=15))
ACCOUNT_FROM_ADDRESS = Allowance(5, timedelta(minutes=15), timedelta(minutes=15))
# A whole office may sit behind one address.
ADDRESS = Allowance(50, timedelta(minutes=5), timedelta(minutes=1))


def attempt(request: HttpRequest, email: str, password: str) -> User:
    """Return the person with this email address and password. Raises SignInRefused.

    Takes the same time, and answers in the same words, whether the address is unknown, the password wrong or the person
    inactive. Writes at once; call it outside any transaction that may be rolled back.
    """
    email = email.strip().lower().replace("\x00", "")[:LONGEST_EMAIL]
    allowances = _allowances(email, neighbourhood(client_address(request)))
    wait = _charge(allowances)
    if wait:
        logger.warning("sign-in slowed address=%s wait=%s", client_address(request), wait)
        raise SignInRefused(f"Too many failed attempts. Wait {in_words(wait)} and try again.", wait)
    with acting_as_system("compare a password"):
        user = authenticate(request, username=email, password=password)
    if user is None:
        # Not the email address: people type their password there.
        logger.warning("sign-in failed address=%s", client_address(request))
        raise SignInRefused(WRONG)
    _refund(allowances)
    return user


def in_words(seconds: int) -> str:
    """Return a delay as a person says it."""
    count, unit = (seconds, "second") if seconds < 90 else (ceil(seconds / 60), "minute")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _allowances(email: str, address: str) -> dict[str, Allowance]:
    """Return what an attempt draws on, by the key it is counted under: digests, so that the table lists nobody."""
    drawn_on = {("account", email): ACCOUNT, ("account", email, "from", address): ACCOUNT_FROM_ADDRESS}
    if address:
        drawn_on["address", address] = ADDRESS
    keys = {"\0".join(words): allowance for words, allowance in drawn_on.items()}
    return {
        salted_hmac("tenants.signin", key, algorithm="sha256").hexdigest(): allowance for key, allowance in keys.items()
    }


def _charge(allowances: dict[str, Allowance]) -> int:
    """Count an attempt as failed and return 0; or count nothing and return how many seconds to wait first."""
    with acting_as_system("count an attempt to sign in"), transaction.atomic():
        rows = _locked(allowances)
        now = timezone.now()  # Not before the lock is ours: others have counted while we waited for it.
        # A clock that was set back must neither prolong a delay nor count as a failure.
        quiet = {row.key: max(now - row.last_at, timedelta(0)) for row in rows}
        wait = max(allowances[row.key].delay(row.count) - quiet[row.key] for row in rows)
        if wait > timedelta(0):
            return ceil(wait.total_seconds())
        for row in rows:
            row.count = allowances[row.key].remaining(row.count, quiet[row.key]) + 1
            row.last_at = now
        SignInFailure.objects.bulk_update(rows, ["count", "last_at"])
    _forget_old(now)
    return 0


def _locked(allowances: dict[str, Allowance]) -> list[SignInFailure]:
    """Return the counts under these keys, made where missing, locked until the transaction ends.

    Always in the same order, so that two attempts never wait for each other.
    """
    keys, now = sorted(allowances), timezone.now()
    SignInFailure.objects.bulk_create([SignInFailure(key=key, last_at=now) for key in keys], ignore_conflicts=True)
    return list(SignInFailure.objects.select_for_update().filter(key__in=keys).order_by("key"))


def _forget_old(now: datetime) -> None:
    """Keep the table small, whatever names attackers try. Rows that somebody is just counting on are left for later."""
    with acting_as_system("forget old failures to sign in"), transaction.atomic():
        old = SignInFailure.objects.select_for_update(skip_locked=True).filter(last_at__lt=now - FORGOTTEN_AFTER)
        SignInFailure.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:MOST_TO_FORGET])).delete()


def _refund(allowances: dict[str, Allowance]) -> None:
    """Forget an account's failures: its owner is here. Of the address's, only this attempt: others are not excused."""
    with acting_as_system("forget failures to sign in"), transaction.atomic():
        for row in SignInFailure.objects.select_for_update().filter(key__in=allowances).order_by("key"):
            if allowances[row.key] is ADDRESS:
                row.count = max(0, row.count - 1)
                row.save(update_fields=["count"])
            else:
                row.delete()
