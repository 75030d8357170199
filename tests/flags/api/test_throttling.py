"""Rate limits: per credential, evaluation and administration apart, and never because the cache is away."""

from unittest import mock

import pytest
from django.core.cache import cache

from flags.api.throttling import Leases, parse_rate

pytestmark = pytest.mark.django_db


@pytest.fixture
def three_a_minute(settings, time_machine_at):
    settings.API_RATE_LIMIT = "3/min"
    with time_machine_at("2026-03-01T12:00:20Z"):
        yield


def test_one_call_too_many_is_429_and_told_how_long_to_wait(three_a_minute, as_token):
    key = as_token("evaluate")
    codes = [key.get("/api/features").status_code for _ in range(4)]

    refusal = key.get("/api/features")

    assert codes == [200, 200, 200, 429]
    assert refusal.json()["code"] == "RATE_LIMITED"
    assert refusal["Retry-After"] == "40"


def test_after_that_it_goes_on(settings, time_machine_at, as_token):
    settings.API_RATE_LIMIT = "1/min"
    key = as_token("evaluate")
    with time_machine_at("2026-03-01T12:00:20Z"):
        codes = [key.get("/api/features").status_code for _ in range(2)]
    with time_machine_at("2026-03-01T12:01:00Z"):
        codes.append(key.get("/api/features").status_code)

    assert codes == [200, 429, 200]


def test_each_credential_counts_by_itself(three_a_minute, as_token, as_person, sign_in, alice):
    callers = [as_token("evaluate"), as_token("evaluate"), as_person(alice), as_person(alice), sign_in(alice)]

    assert [[caller.get("/api/features").status_code for _ in range(3)] for caller in callers] == [[200] * 3] * 5


def test_evaluating_and_administering_are_counted_apart(three_a_minute, admin):
    for _ in range(4):
        admin.get("/api/features")

    assert admin.get("/api/features").status_code == 429
    assert admin.get("/api/admin/feature-flags").status_code == 200


def test_a_304_counts_too(three_a_minute, as_token):
    key = as_token("evaluate")
    tag = key.get("/api/features")["ETag"]

    codes = [key.get("/api/features", headers={"if-none-match": tag}).status_code for _ in range(3)]

    assert codes == [304, 304, 429]


def test_a_refusal_for_another_reason_counts_too(three_a_minute, as_token):
    key = as_token("evaluate")

    assert [key.get("/api/admin/tokens").status_code for _ in range(4)] == [403, 403, 403, 429]


@pytest.mark.parametrize(("incr", "add"), [(ValueError("away"), False), (ValueError("gone"), True)])
def test_a_cache_that_is_away_lets_everybody_through(incr, add, three_a_minute, as_token):
    key = as_token("evaluate")
    with (
        mock.patch.object(type(cache._connections["default"]), "incr", side_effect=incr),
        mock.patch.object(type(cache._connections["default"]), "add", return_value=add),
    ):
        assert {key.get("/api/features").status_code for _ in range(6)} == {200}


@pytest.mark.parametrize(
    ("text", "rate"), [("600/min", (600, 60)), ("5/s", (5, 1)), ("10/h", (10, 3600)), (" 1/d ", (1, 86400))]
)
def test_a_rate_is_a_number_per_unit(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "600", "600/", "/min", "600/fortnight", "-1/min", "x/min"])
def test_anything_else_is_no_rate(text):
    with pytest.raises(ValueError, match="no rate"):
        parse_rate(text)


def test_high_limits_are_taken_from_the_cache_a_hundredth_at_a_time_and_kept_all_the_same():
    here, there = Leases(), Leases()
    with mock.patch.object(cache, "incr", wraps=cache.incr) as asked:
        numbers = [leases.count("calls", 60, 1000) for _ in range(600) for leases in (here, there)]
    assert sorted(numbers) == list(range(1, 1201))
    assert asked.call_count <= 121
    assert here.count("calls", 60, 1000) > 1000


def test_calls_that_were_taken_are_kept_within_bounds(monkeypatch):
    monkeypatch.setattr("flags.api.throttling.LEASES_KEPT", 5)
    leases = Leases()
    for number in range(20):
        assert leases.count(f"calls:of:{number}", 60, 1000) == 1
    assert len(leases._taken) == 5
