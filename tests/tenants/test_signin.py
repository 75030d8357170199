import re
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import connections

from tenants import signin
from tenants.models import SignInFailure
from tenants.signin import ACCOUNT, ACCOUNT_FROM_ADDRESS, ADDRESS, SignInRefused
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def try_to_sign_in(rf):
    """Return a function that tries, and returns the refusal or None."""

    def attempt(email: str, password: str = "wrong", address: str = "203.0.113.9") -> SignInRefused | None:
        try:
            signin.attempt(rf.post("/login/", REMOTE_ADDR=address), email, password)
        except SignInRefused as refusal:
            return refusal
        return None

    return attempt


def waits(try_to_sign_in, email: str, clock, times: int, **kwargs) -> list[int]:
    """Fail so many times, each time as soon as one may, and return how long each attempt had to wait."""
    result = []
    for _ in range(times):
        refusal = try_to_sign_in(email, **kwargs)
        waited = refusal.retry_after
        if waited:
            clock.shift(timedelta(seconds=waited))
            refusal = try_to_sign_in(email, **kwargs)
            assert refusal.retry_after == 0
        result.append(waited)
    return result


def test_the_right_password_signs_in(rf, bob):
    assert signin.attempt(rf.post("/login/"), bob.email, PASSWORD) == bob


def test_an_email_address_is_written_in_any_case(rf, bob):
    assert signin.attempt(rf.post("/login/"), f"  {bob.email.upper()} ", PASSWORD) == bob


@pytest.mark.parametrize("who", ["unknown", "wrong password", "inactive", "no password yet"])
def test_all_failures_read_the_same(try_to_sign_in, who):
    user = UserFactory(is_active=who != "inactive", password=None if who == "no password yet" else PASSWORD)
    email = "nobody@example.com" if who == "unknown" else user.email
    refusal = try_to_sign_in(email, PASSWORD if who == "inactive" else "wrong")
    assert (refusal.detail, refusal.retry_after) == (signin.WRONG, 0)


@pytest.mark.parametrize("email", ["", "\x00", "x" * 10_000 + "@example.com", "a\x00b@example.com", "💥"])
def test_odd_addresses_are_just_wrong(try_to_sign_in, email):
    assert try_to_sign_in(email).detail == signin.WRONG


def test_an_unknown_person_costs_the_same_work(try_to_sign_in, bob, monkeypatch):
    hashed = []
    encode = MD5PasswordHasher.encode

    def counting(self, *args, **kwargs):
        hashed.append(1)
        return encode(self, *args, **kwargs)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counting)
    for email in (bob.email, "nobody@example.com"):
        hashed.clear()
        try_to_sign_in(email)
        assert len(hashed) == 1


def test_failures_slow_one_address_down_more_and_more(try_to_sign_in, bob, clock):
    expected = [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
    assert waits(try_to_sign_in, bob.email, clock, 18) == expected


def test_an_unknown_account_is_slowed_down_like_a_known_one(try_to_sign_in, bob, clock):
    known = waits(try_to_sign_in, bob.email, clock, 10)
    assert waits(try_to_sign_in, "nobody@example.com", clock, 10, address="203.0.113.77") == known


def test_the_right_password_waits_too(try_to_sign_in, bob):
    for _ in range(ACCOUNT_FROM_ADDRESS.free):
        try_to_sign_in(bob.email)
    refusal = try_to_sign_in(bob.email, PASSWORD)
    assert refusal.retry_after == 1
    assert refusal.detail == "Too many failed attempts. Wait 1 second and try again."


def test_trying_while_one_has_to_wait_does_not_make_it_longer(try_to_sign_in, bob, clock):
    for _ in range(ACCOUNT_FROM_ADDRESS.free):
        try_to_sign_in(bob.email)
    for _ in range(20):
        assert try_to_sign_in(bob.email, PASSWORD).retry_after == 1
    clock.shift(timedelta(seconds=1))
    assert try_to_sign_in(bob.email, PASSWORD) is None


def test_an_account_attacked_from_everywhere_is_slowed_down_but_never_for_more_than_a_minute(
    try_to_sign_in, bob, clock
):
    slowest = 0
    for number in range(60):
        refusal = try_to_sign_in(bob.email, address=f"203.0.113.{number}")
        slowest = max(slowest, refusal.retry_after)
        clock.shift(timedelta(seconds=refusal.retry_after))
        if refusal.retry_after:
            try_to_sign_in(bob.email, address=f"203.0.113.{number}")
    assert slowest == 60
    # Its owner, somewhere else, is in after that minute.
    clock.shift(timedelta(seconds=60))
    assert try_to_sign_in(bob.email, PASSWORD, address="198.51.100.1") is None


def test_one_address_that_tries_many_accounts_is_slowed_down(try_to_sign_in):
    refusals = [try_to_sign_in(f"person-{number}@example.com") for number in range(ADDRESS.free + 1)]
    assert [refusal.retry_after for refusal in refusals] == [0] * ADDRESS.free + [1]


def test_one_address_cannot_be_excused_by_signing_in_to_an_account_of_ones_own(try_to_sign_in, bob):
    for number in range(ADDRESS.free):
        try_to_sign_in(f"person-{number}@example.com")
        if number % 10 == 0:
            assert try_to_sign_in(bob.email, PASSWORD) is None
    assert try_to_sign_in("another@example.com").retry_after == 1


def test_a_new_address_of_the_same_ipv6_network_is_no_new_start(try_to_sign_in, bob):
    for number in range(ACCOUNT_FROM_ADDRESS.free):
        try_to_sign_in(bob.email, address=f"2001:db8::{number:x}")
    assert try_to_sign_in(bob.email, address="2001:db8::ffff").retry_after == 1
    assert try_to_sign_in(bob.email, address="2001:db8:0:1::1").retry_after == 0


def test_the_right_password_takes_an_accounts_failures_back(try_to_sign_in, bob):
    for _ in range(ACCOUNT_FROM_ADDRESS.free - 1):
        try_to_sign_in(bob.email)
    assert try_to_sign_in(bob.email, PASSWORD) is None
    for _ in range(ACCOUNT_FROM_ADDRESS.free):
        assert try_to_sign_in(bob.email).retry_after == 0


def test_signing_in_successfully_leaves_no_mark(try_to_sign_in, bob):
    for _ in range(3 * ADDRESS.free):
        assert try_to_sign_in(bob.email, PASSWORD) is None
    assert list(SignInFailure.objects.values_list("count", flat=True)) == [0]


def test_failures_are_forgiven_one_by_one(try_to_sign_in, bob, clock):
    for _ in range(ACCOUNT_FROM_ADDRESS.free):
        try_to_sign_in(bob.email)
    clock.shift(2 * ACCOUNT_FROM_ADDRESS.forgiven_every)
    assert [try_to_sign_in(bob.email).retry_after for _ in range(3)] == [0, 0, 1]


def test_old_counts_are_cleared_away(try_to_sign_in, bob, clock):
    for number in range(10):
        try_to_sign_in(f"person-{number}@example.com", address=f"203.0.113.{number}")
    clock.shift(timedelta(hours=25))
    try_to_sign_in(bob.email)
    assert SignInFailure.objects.count() == 3


def test_the_table_lists_nobody(try_to_sign_in, bob):
    try_to_sign_in(bob.email)
    stored = "".join(SignInFailure.objects.values_list("key", flat=True))
    assert re.fullmatch(r"[0-9a-f]{192}", stored)


def test_forwarded_addresses_are_not_believed(rf, bob):
    for number in range(ACCOUNT_FROM_ADDRESS.free):
        with pytest.raises(SignInRefused):
            signin.attempt(rf.post("/login/", HTTP_X_FORWARDED_FOR=f"203.0.113.{number}"), bob.email, "wrong")
    with pytest.raises(SignInRefused) as refusal:
        signin.attempt(rf.post("/login/", HTTP_X_FORWARDED_FOR="203.0.113.99"), bob.email, "wrong")
    assert refusal.value.retry_after == 1


@pytest.mark.parametrize(
    ("seconds", "words"), [(1, "1 second"), (2, "2 seconds"), (89, "89 seconds"), (91, "2 minutes")]
)
def test_delays_are_said_in_words(seconds, words):
    assert signin.in_words(seconds) == words


def test_what_is_logged_names_no_account(try_to_sign_in, bob, caplog):
    for _ in range(ACCOUNT_FROM_ADDRESS.free + 1):
        try_to_sign_in(bob.email, "hunter2-secret")
    assert "sign-in failed address=203.0.113.9" in caplog.text
    assert "sign-in slowed address=203.0.113.9" in caplog.text
    assert "hunter2" not in caplog.text
    assert bob.email not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_crowd_of_guesses_at_once_counts_as_a_crowd(rf, bob):
    guessers = 12
    at_once, results = Barrier(guessers), []

    def guess():
        try:
            at_once.wait(timeout=20)
            signin.attempt(rf.post("/login/"), bob.email, "wrong")
        except SignInRefused as refusal:
            results.append(refusal.retry_after)
        finally:
            connections.close_all()

    threads = [Thread(target=guess) for _ in range(guessers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(results) == guessers
    looked_at = results.count(0)
    assert ACCOUNT_FROM_ADDRESS.free <= looked_at <= ACCOUNT_FROM_ADDRESS.free + 1, results


def test_the_delay_of_an_account_never_exceeds_a_minute_however_many_failures():
    assert ACCOUNT.delay(10**9) == timedelta(minutes=1)
    assert ACCOUNT.remaining(5, timedelta(days=365)) == 0


def test_a_clock_that_was_set_back_prolongs_nothing(try_to_sign_in, bob, clock):
    for _ in range(ACCOUNT_FROM_ADDRESS.free):
        try_to_sign_in(bob.email)
    clock.shift(-timedelta(hours=3))
    assert try_to_sign_in(bob.email, PASSWORD).retry_after == 1
