"""Two people move one release at the same moment, on connections of their own: one step is made, the other is told."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client

from flags import releases
from flags.models import Change, ChannelDefault, Flag
from flags.releasemodels import Gate, Promotion, Release
from tests.factories import ApiTokenFactory, CompanyFactory
from tests.flags.api.releasing import FLAGS, post

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "api_access"


@pytest.fixture(autouse=True)
def in_internal() -> None:
    """No gates in the way: without looking at what was seen, both would go through, one step each."""
    releases.start(KEY, actor=None)
    Gate.objects.all().delete()
    CompanyFactory(channel="pilot")


def at_once(*calls: Callable[[Client], object]) -> list[tuple[int, str | None]]:
    """Make these calls in the same moment, and return status and code of each, in order of the calls."""
    tokens = [ApiTokenFactory(scopes=["releases:write", "flags:read", "flags:write"]).plain for _ in calls]
    begin = threading.Barrier(len(calls))
    found: dict[int, tuple[int, str | None]] = {}

    def make(index: int) -> None:
        client = Client(headers={"authorization": f"Bearer {tokens[index]}"})
        try:
            client.get(f"{FLAGS}/{KEY}")  # Everybody has a connection, and has seen it in internal.
            begin.wait(20)
            response = calls[index](client)
            found[index] = (response.status_code, response.json().get("code"))
        finally:
            connection.close()

    threads = [threading.Thread(target=make, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [found[index] for index in range(len(calls))]


def promote(client: Client):
    return post(client, "promote", {"seen": "internal"}, key=KEY)


def put_pilot(client: Client):
    return client.put(f"{FLAGS}/{KEY}/channels/pilot", {"enabled": True}, content_type="application/json")


def roll_back(client: Client):
    return post(client, "rollback", {"to": None, "reason": "stop"}, key=KEY)


def kill(client: Client):
    return post(client, "kill", {"reason": "stop"}, key=KEY)


def steps() -> int:
    return Promotion.objects.filter(kind="promote").count()


def is_on(channel: str) -> bool:
    return ChannelDefault.objects.get(flag=KEY, channel=channel).enabled


@pytest.mark.parametrize("people", [2, 4])
def test_of_those_who_promote_at_once_one_does_and_the_others_are_told(people):
    found = at_once(*[promote] * people)
    assert sorted(found, key=str) == [(200, None)] + [(409, "ALREADY_MOVED")] * (people - 1)
    assert steps() == Change.objects.filter(verb="promote").count() == 1
    assert (is_on("pilot"), is_on("general")) == (True, False)
    assert Flag.objects.get(key=KEY).default_enabled is False


def test_promoting_and_switching_the_channel_on_is_one_promotion():
    promoted, put = at_once(promote, put_pilot)
    assert put[0] == 200
    assert promoted in ((200, None), (409, "ALREADY_MOVED"))
    assert steps() == Change.objects.filter(verb="promote").count() == 1
    assert (is_on("pilot"), is_on("general")) == (True, False)


def test_a_promotion_never_outlives_a_rollback_out_of_all():
    promoted, rolled = at_once(promote, roll_back)
    assert rolled == (200, None)
    assert promoted in ((200, None), (409, "NO_RELEASE"))
    assert not any(is_on(channel) for channel in ("internal", "pilot", "general"))
    assert not Release.objects.filter(ended_at=None).exists()


def test_a_promotion_is_made_before_the_kill_or_not_at_all():
    promoted, killed = at_once(promote, kill)
    assert killed == (200, None)
    assert promoted in ((200, None), (409, "FLAG_IS_KILLED"), (409, "CONFLICT"))
    assert (promoted[0] == 200) == is_on("pilot") == (steps() == 1)
    assert Flag.objects.get(key=KEY).is_killed
