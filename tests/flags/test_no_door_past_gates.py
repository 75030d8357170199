"""While a release is under way no door leads past its gates: each is tried, and what must not move is looked at.

The release stands in internal, and none of its gates holds. Whoever switches a later channel on, or the default, is
refused with the open gates, by whatever door they come; what concerns one company concerns that company alone.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from flags import changes, companies, gates, gatetemplates, optins, releases
from flags.exceptions import ChangeRefused
from flags.features import features_for
from flags.models import Change, ChannelDefault, Flag
from flags.releasemodels import Gate, GateTemplate, Promotion
from flags.sync import sync_flags
from tenants.models import Company, User
from tests.factories import ApiTokenFactory, CompanyFactory

pytestmark = pytest.mark.django_db

KEY = "trip_management"
API = f"/api/admin/feature-flags/{KEY}"
CONSOLE = f"/super-admin/feature-flags/{KEY}/"
ON = {"enabled": True, "percentage": 100}


class Doors:
    """All the ways in, for one person who may do everything."""

    def __init__(self, alice: User) -> None:
        self.alice = alice
        scopes = ["flags:read", "flags:write", "tenants:write", "releases:write"]
        token = ApiTokenFactory(scopes=scopes).plain
        self.api = Client(headers={"authorization": f"Bearer {token}"})
        self.browser = Client()
        self.browser.force_login(alice)

    def call(self, method: str, path: str, body: Any = None) -> None:
        """Call the API. Raises ChangeRefused for 409, as the verbs do."""
        response = self.api.generic(method, path, json.dumps(body or {}), content_type="application/json")
        if response.status_code == 409:
            raise ChangeRefused(response.json()["detail"], code=response.json()["code"])
        assert response.status_code < 300, response.content

    def press(self, path: str, **said: str) -> None:
        """Confirm something in the console. Raises ChangeRefused where its page says no."""
        response = self.browser.post(path, {"reason": "why not", **said})
        if response.status_code == 409:
            raise ChangeRefused(response.content.decode())
        assert response.status_code in (200, 302), response.content.decode()[-2000:]

    def shell(self, *words: str) -> None:
        """Run a command. Raises ChangeRefused where it exits with a refusal."""
        try:
            call_command(*words, "--as", self.alice.email)
        except CommandError as refused:
            raise ChangeRefused(str(refused)) from refused

    def revert(self, verb: str, **after: Any) -> None:
        """Press Revert at the line of history of this verb."""
        line = next(
            line
            for line in Change.objects.filter(verb=verb, flag=KEY)
            if after.items() <= line.after.items() or not after
        )
        self.press(f"/super-admin/changes/{line.pk}/revert/")


REFUSED: dict[str, Callable[[Doors], Any]] = {
    "PUT the next channel": lambda doors: doors.call("PUT", f"{API}/channels/pilot", ON),
    "PUT a share of the next channel": lambda doors: doors.call(
        "PUT", f"{API}/channels/pilot", {"enabled": True, "percentage": 1}
    ),
    "PUT nothing of the next channel": lambda doors: doors.call(
        "PUT", f"{API}/channels/pilot", {"enabled": True, "percentage": 0}
    ),
    "PUT the last channel": lambda doors: doors.call("PUT", f"{API}/channels/general", ON),
    "DELETE what holds it back": lambda doors: doors.call("DELETE", f"{API}/channels/general"),
    "PATCH a channel": lambda doors: doors.call("PATCH", API, {"channels": {"general": ON}}),
    "PATCH two channels": lambda doors: doors.call("PATCH", API, {"channels": {"pilot": ON, "general": ON}}),
    "PATCH a channel away": lambda doors: doors.call("PATCH", API, {"channels": {"general": None}}),
    "PATCH the default": lambda doors: doors.call("PATCH", API, {"default_enabled": True}),
    "PATCH a name and the default": lambda doors: doors.call("PATCH", API, {"name": "X", "default_enabled": True}),
    "the call of seed 003": lambda doors: doors.call("POST", "/api/admin/feature-flags", {"key": KEY, "enabled": True}),
    "promote": lambda doors: doors.call("POST", f"{API}/promote"),
    "start anew": lambda doors: doors.call("POST", f"{API}/release"),
    "finish before the end": lambda doors: doors.call("POST", f"{API}/release/finish"),
    "archive": lambda doors: doors.call("POST", f"{API}/archive"),
    "force with a token": lambda doors: doors.call("POST", f"{API}/promote", {"force": True, "reason": "now"}),
    "roll back to a later channel": lambda doors: doors.call(
        "POST", f"{API}/rollback", {"to": "general", "reason": "sideways"}
    ),
    "console: the default": lambda doors: doors.press(f"{CONSOLE}default/", enabled="true"),
    "console: a channel": lambda doors: doors.press(f"{CONSOLE}channels/general/", answer="on", percentage="100"),
    "console: a channel follows the default": lambda doors: doors.press(
        f"{CONSOLE}channels/general/", answer="default"
    ),
    "console: archive": lambda doors: doors.press(f"{CONSOLE}archive/"),
    "command: the default": lambda doors: doors.shell("flag", "default", KEY, "on"),
    "command: archive": lambda doors: doors.shell("flag", "archive", KEY),
    "command: promote": lambda doors: doors.shell("release", "promote", KEY),
    "revert a channel's answer": lambda doors: doors.revert("set_channel", channel="general", enabled=False),
    "revert a channel's removal": lambda doors: doors.revert("remove_channel"),
    "revert the default": lambda doors: doors.revert("set_default", default_enabled=False),
}

ONE_COMPANY: dict[str, Callable[[Doors], Any]] = {
    "an override": lambda doors: doors.call("PUT", f"/api/admin/tenants/acme/overrides/{KEY}", {"enabled": True}),
    "several overrides": lambda doors: doors.call(
        "PUT", "/api/admin/tenants/acme/overrides", {"overrides": [{"key": KEY, "enabled": True}]}
    ),
    "the call of seed 003 for a company": lambda doors: doors.call(
        "POST", "/api/admin/feature-flags", {"key": KEY, "enabled": True, "tenantId": "acme"}
    ),
    "import": lambda doors: doors.api.generic(
        "POST",
        "/api/admin/overrides.csv",
        f"company,flag,enabled,reason,expires_at\nacme,{KEY},true,file,\n",
        content_type="text/csv",
    ),
    "console": lambda doors: doors.press(f"/super-admin/companies/acme/features/{KEY}/", enabled="true", version="0"),
    "command": lambda doors: doors.shell("flag", "override", KEY, "acme", "on"),
    "its own choice": lambda doors: (
        changes.edit_flag(KEY, actor=doors.alice, is_self_service=True),
        optins.set_opt_in(Company.objects.get(slug="acme"), KEY, True, actor=User.objects.get(name="Bob")),
    ),
    "another channel for it": lambda doors: companies.edit_company(
        Company.objects.get(slug="acme"), channel="internal", actor=doors.alice
    ),
}

MOVES_NOTHING: dict[str, Callable[[Doors], Any]] = {
    "provisioning": lambda doors: doors.call(
        "POST",
        "/api/admin/tenants",
        {"slug": "hooli", "name": "Hooli", "channel": "general", "overrides": [{"key": KEY, "enabled": True}]},
    ),
    "templates without gates": lambda doors: [
        gatetemplates.remove_gate(template.pk, actor=doors.alice) for template in GateTemplate.objects.all()
    ],
    "killing and reviving": lambda doors: (
        doors.call("POST", f"{API}/kill", {"reason": "fire"}),
        doors.call("POST", f"{API}/revive", {"reason": "out"}),
    ),
    "killing by its default and back": lambda doors: (
        doors.call("PATCH", API, {"is_killswitch": True}),
        doors.call("PATCH", API, {"is_killswitch": False}),
    ),
    "pausing and resuming": lambda doors: (
        doors.call("POST", f"{API}/release/pause"),
        doors.call("POST", f"{API}/release/resume"),
    ),
    "restoring what is not archived": lambda doors: doors.call("POST", f"{API}/restore"),
    "a smaller plan": lambda doors: doors.call("PATCH", API, {"minimum_plan": None}),
}


def answers(*of: Company) -> list[bool]:
    return [features_for(None, company)[KEY] for company in of]


def stands() -> tuple[Any, ...]:
    """What no door may move: the channels' answers, where the release is, its gates, its steps."""
    release = gates.release_under_way(KEY)
    return (
        list(
            ChannelDefault.objects.filter(flag=KEY).order_by("channel").values_list("channel", "enabled", "percentage")
        ),
        release and release.channel_id,
        [state.holds for state in gates.states(release)],
        Gate.objects.filter(release=release).count(),
        Promotion.objects.count(),
    )


@pytest.fixture
def initech(db) -> Company:
    """Another company of the general channel."""
    return CompanyFactory(slug="initech", channel="general", plan="pro")


@pytest.fixture
def doors(alice, bob, acme, globex, initech, default_tenant) -> Doors:
    """A release in internal, with a past in which it was on for everybody."""
    changes.set_default(KEY, True, actor=alice)
    changes.set_default(KEY, False, actor=alice)
    changes.set_channel(KEY, "general", True, actor=alice)
    changes.set_channel(KEY, "general", False, actor=alice)
    changes.set_channel(KEY, "pilot", True, actor=alice)
    changes.remove_channel(KEY, "pilot", actor=alice)
    releases.start(KEY, actor=alice)
    return Doors(alice)


@pytest.mark.parametrize("door", REFUSED)
def test_a_door_to_many_is_shut_and_nothing_is_half_written(door, doors, acme, globex, initech):
    before, flag, lines = stands(), Flag.objects.values().get(key=KEY), Change.objects.count()
    with pytest.raises(ChangeRefused):
        REFUSED[door](doors)
    assert stands() == before
    assert Flag.objects.values().get(key=KEY) == flag
    assert Change.objects.count() == lines
    assert answers(acme, globex, initech) == [False] * 3


@pytest.mark.parametrize("door", ONE_COMPANY)
def test_what_concerns_one_company_concerns_no_other(door, doors, acme, globex, initech):
    before = stands()
    ONE_COMPANY[door](doors)
    assert answers(acme, globex, initech) == [True, False, False]
    assert stands() == before


@pytest.mark.parametrize("door", MOVES_NOTHING)
def test_what_looks_like_a_way_round_is_none(door, doors, acme, globex, initech):
    before = stands()
    MOVES_NOTHING[door](doors)
    assert answers(acme, globex, initech) == [False] * 3
    assert stands() == before


def test_a_default_that_the_environment_turns_on_holds_nobody_and_opens_no_door(doors, alice, acme, globex, settings):
    changes.inherit_default(KEY, actor=alice)
    settings.FLAGS_ENVIRONMENT = {KEY.upper(): "true"}
    sync_flags()
    assert Flag.objects.get(key=KEY).default_enabled
    shut = ("DELETE what holds it back", "PATCH a channel away", "console: a channel follows the default")
    for door in (*shut, "PUT the last channel", "console: a channel"):
        with pytest.raises(ChangeRefused):
            REFUSED[door](doors)
    assert answers(acme, globex) == [False, False]


@pytest.mark.parametrize("scopes", [["flags:write"], ["flags:read", "flags:write", "tenants:write"]])
def test_a_key_that_may_not_release_switches_no_later_channel_on(doors, acme, scopes):
    Gate.objects.all().delete()  # Nothing but the scope is in the way.
    client = Client(headers={"authorization": f"Bearer {ApiTokenFactory(scopes=scopes).plain}"})
    put = client.put(f"{API}/channels/pilot", ON, content_type="application/json")
    assert (put.status_code, put.json()["code"]) == (403, "SCOPE_MISSING")
    assert gates.release_under_way(KEY).channel_id == "internal"


def test_of_two_channels_in_one_call_neither_goes_on_though_the_first_might(doors, acme, globex):
    Gate.objects.filter(channel="pilot").delete()
    before = stands()
    with pytest.raises(ChangeRefused):
        doors.call("PATCH", API, {"channels": {"pilot": ON, "general": ON}})
    assert stands() == before
    assert answers(acme, globex) == [False, False]


def test_every_change_that_history_can_take_back_meets_the_gates_too(doors, alice, acme, globex, initech):
    """Whatever in the flag's whole past has a Revert button: none of them puts a later channel on."""
    for line in Change.objects.filter(flag=KEY):
        doors.browser.post(f"/super-admin/changes/{line.pk}/revert/", {"reason": "back to the old days"})
        assert answers(acme, globex, initech) == [False] * 3, line.verb
    assert gates.release_under_way(KEY).channel_id == "internal"


def test_a_channel_rollback_is_not_undone_but_promoted_again(doors, alice, acme, globex):
    releases.promote(KEY, actor=alice, force=True, reason="demo")
    releases.roll_back(KEY, "internal", actor=alice, reason="tickets")
    line = Change.objects.filter(verb="roll_back").get()
    response = doors.browser.post(f"/super-admin/changes/{line.pk}/revert/", {"reason": "no"})
    assert response.status_code >= 400
    with pytest.raises(ChangeRefused):
        doors.call("PUT", f"{API}/channels/pilot", ON)
    assert answers(acme, globex) == [False, False]
