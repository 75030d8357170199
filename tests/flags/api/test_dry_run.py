"""`?dry_run=1`: every write says what it would do, by the real evaluation, and does nothing."""

import json

import pytest
from django.apps import apps
from django.utils import timezone

from flags import archiving, releases, rollbacks
from flags.models import Change, Flag, Override
from flags.releasemodels import GateTemplate, Release
from tenants.models import ApiToken, Company
from tests.factories import (
    ChannelDefaultFactory,
    CompanyFactory,
    FlagFactory,
    GrantFactory,
    OverrideFactory,
    RequirementFactory,
)
from tests.flags.api.test_access import CALLS, ROUTES

pytestmark = pytest.mark.django_db
FLAGS = "/api/admin/feature-flags"


def everything() -> dict:
    """Return every row of every table of ours, but when tokens were used and how often features were."""
    models = [*apps.get_app_config("flags").get_models(), *apps.get_app_config("tenants").get_models()]
    left_out = {"flags.Usage", "flags.DailyUsage"}
    return {
        model._meta.label: list(model.objects.order_by("pk").values())
        for model in models
        if model._meta.label not in left_out
    }


@pytest.fixture
def world(acme, globex, default_tenant, bob, dan):
    flag = FlagFactory(key="fleet_chat", name="Fleet chat")
    ChannelDefaultFactory(flag=flag, channel="internal")
    OverrideFactory(company=globex, flag=flag, enabled=False)
    GrantFactory(company=acme, user=dan, flag=flag)
    return flag


def dry(client, method, path, body=None):
    response = getattr(client, method)(f"{path}?dry_run=1", body or {}, content_type="application/json")
    assert response.status_code == 200, response.content
    return response.json()


def effects(answer) -> dict:
    return {effect["key"]: (effect["goes_on"], effect["goes_off"]) for effect in answer["impact"]}


def test_a_default_for_all_says_who_goes_on_and_who_stays(world, admin):
    before = everything()

    answer = dry(admin, "post", FLAGS, {"key": "fleet_chat", "enabled": True})

    assert (answer["dry_run"], answer["status"]) == (True, 200)
    assert answer["result"]["default_enabled"] is True
    assert [(change["verb"], change["after"]) for change in answer["changes"]] == [
        ("set_default", {"default_enabled": True})
    ]
    (effect,) = answer["impact"]
    assert {name: effect[name] for name in ("key", "goes_on", "goes_off", "stays_on", "stays_off", "names_on")} == {
        "key": "fleet_chat",
        "goes_on": 1,
        "goes_off": 0,
        "stays_on": 1,
        "stays_off": 1,
        "names_on": ["Acme"],
    }
    assert everything() == before


def test_it_predicts_what_then_happens(world, admin, acme, globex, default_tenant):
    """For each kind of write: the predicted counts are those by which answers really change."""
    RequirementFactory(flag=FlagFactory(key="chat_history", default_enabled=True), requires=world)
    calls = [
        ("post", FLAGS, {"key": "fleet_chat", "enabled": True}),
        ("put", f"{FLAGS}/fleet_chat/channels/pilot", {"enabled": True}),
        ("delete", "/api/admin/tenants/globex/overrides/fleet_chat", {}),
        ("put", "/api/admin/tenants/acme/overrides/fleet_chat", {"enabled": False}),
        ("patch", "/api/admin/tenants/acme", {"channel": "internal", "plan": "starter"}),
        ("post", "/api/admin/tenants/acme/enable-multi-workspace", {}),
        ("patch", f"{FLAGS}/fleet_chat", {"minimum_plan": "enterprise", "channels": {"internal": None}}),
        ("post", f"{FLAGS}/driver_management/kill", {"reason": "broken"}),
        ("post", f"{FLAGS}/driver_management/revive", {"reason": "mended"}),
        ("delete", f"{FLAGS}/vehicle_management", {}),
        ("patch", "/api/admin/tenants/globex", {"is_active": False}),
    ]

    def answers() -> dict:
        slugs = Company.objects.values_list("slug", flat=True)
        return {slug: admin.get(f"/api/features?company={slug}").json() for slug in slugs}

    for method, path, body in calls:
        predicted = effects(dry(admin, method, path, body))
        before = answers()
        assert getattr(admin, method)(path, body, content_type="application/json").status_code < 300
        after = answers()
        real: dict = {}
        for slug in before:
            for key in before[slug].keys() | after[slug].keys():
                was, becomes = before[slug].get(key, False), after[slug].get(key, False)
                if was != becomes:
                    on, off = real.get(key, (0, 0))
                    real[key] = (on + becomes, off + was)
        assert predicted == real, path


def test_a_new_company_is_shown_with_what_it_would_have(world, admin):
    body = {"slug": "initech", "name": "Initech", "overrides": [{"key": "api_access", "enabled": True}]}

    answer = dry(admin, "post", "/api/admin/tenants", body)

    assert (answer["status"], answer["result"]["slug"]) == (201, "initech")
    assert effects(answer)["api_access"] == (1, 0)
    assert not Company.objects.filter(slug="initech").exists()


def test_a_batch_and_a_file_are_rehearsed_too(world, admin, acme, globex):
    rows = [{"key": "api_access", "enabled": True}, {"key": "driver_management", "enabled": False}]
    assert effects(dry(admin, "put", "/api/admin/tenants/acme/overrides", {"overrides": rows})) == {
        "api_access": (1, 0),
        "driver_management": (0, 1),
    }

    text = "company,flag,enabled\nacme,api_access,true\nglobex,api_access,true\nglobex,fleet_chat,true\n"
    response = admin.generic("POST", "/api/admin/overrides.csv?dry_run=true", text, content_type="text/csv")

    assert effects(response.json()) == {"api_access": (2, 0), "fleet_chat": (1, 0)}
    assert response.json()["result"]["changed"] == 3
    assert Override.objects.count() == 1


@pytest.fixture
def many(monkeypatch):
    """So many companies that they are not compared flag by flag."""
    monkeypatch.setattr("flags.rehearsal.COMPANIES_COMPARED", 2)
    return [CompanyFactory() for _ in range(3)]


def imported(admin, rows) -> dict:
    text = "company,flag,enabled\n" + "".join(f"{company.slug},{key},{enabled}\n" for company, key, enabled in rows)
    return admin.generic("POST", "/api/admin/overrides.csv?dry_run=1", text, content_type="text/csv").json()


def test_of_very_many_companies_one_flag_is_looked_at_with_what_rests_on_it(admin, many):
    flag = FlagFactory(key="api_keys", default_enabled=True, requires=[Flag.objects.get(key="api_access")])
    OverrideFactory(company=many[0], flag=flag.requires.get())

    answer = imported(admin, [(company, "api_access", "true") for company in many])
    assert effects(answer) == {"api_access": (2, 0), "api_keys": (2, 0)}

    other = imported(admin, zip(many, ["api_access"] * 3, ["false", "true", "true"], strict=True))
    assert effects(other) == {"api_access": (2, 1), "api_keys": (2, 1)}
    assert Override.objects.count() == 1


def test_a_rollback_of_very_many_companies_tells_its_impact(admin, many):
    for company in many:
        OverrideFactory(company=company, flag=Flag.objects.get(key="api_access"))

    body = {"companies": "all", "reason": "why"}
    answer = dry(admin, "post", f"{FLAGS}/api_access/rollback", body)

    assert (effects(answer), answer["result"]["rolled_back"]["changed"]) == ({"api_access": (0, 3)}, 3)
    assert Override.objects.filter(enabled=True).count() == 3


def test_of_several_flags_for_very_many_companies_only_the_changes_are_told(admin, many):
    rows = [(company, "api_access", "true") for company in many]

    answer = imported(admin, [*rows, (many[0], "driver_management", "true")])

    assert (answer["impact"], len(answer["changes"])) == (None, 4)


def test_a_token_is_not_made_and_no_secret_shown(admin):
    answer = dry(admin, "post", "/api/admin/tokens", {"name": "CI"})

    assert "secret" not in json.dumps(answer)
    assert not ApiToken.objects.exists()


def test_a_companys_own_choice_is_rehearsed_for_its_admin(bob, as_person, acme):
    FlagFactory(key="hidden_tool", is_internal=True)
    RequirementFactory(flag=Flag.objects.get(key="hidden_tool"), requires=Flag.objects.get(key="accounting_enabled"))
    Flag.objects.filter(key="hidden_tool").update(default_enabled=True)

    answer = dry(as_person(bob), "patch", "/api/org-settings", {"accounting_enabled": True})

    assert answer["result"]["accounting_enabled"] is True
    assert effects(answer) == {"accounting_enabled": (1, 0)}
    assert as_person(bob).get("/api/org-settings").json()["accounting_enabled"] is False


def test_what_is_refused_is_refused_alike(world, admin, acme):
    real = admin.post(
        f"{FLAGS}/fleet_chat/kill", {}, content_type="application/json", headers={"x-request-id": "same-id-1"}
    )
    tried = admin.post(
        f"{FLAGS}/fleet_chat/kill?dry_run=1", {}, content_type="application/json", headers={"x-request-id": "same-id-1"}
    )

    assert (tried.status_code, tried.content) == (real.status_code, real.content)


@pytest.mark.parametrize("value", ["yes please", "2", "", "dry"])
def test_an_unclear_wish_writes_nothing(value, admin):
    response = admin.post(
        f"{FLAGS}?dry_run={value}", {"key": "fleet_chat", "enabled": True}, content_type="application/json"
    )

    assert (response.status_code, list(response.json()["errors"])) == (400, ["dry_run"])
    assert not Flag.objects.filter(key="fleet_chat").exists()


@pytest.mark.parametrize("value", ["0", "false", "no"])
def test_saying_no_does_it(value, admin):
    response = admin.post(
        f"{FLAGS}?dry_run={value}", {"key": "fleet_chat", "enabled": True}, content_type="application/json"
    )

    assert response.status_code == 201


def test_reading_takes_no_rehearsal(admin):
    assert "dry_run" in admin.get(f"{FLAGS}?dry_run=1").json()["errors"]


BODIES = {
    "flags": {"key": "fleet_chat", "enabled": True},
    "flag": {"name": "New"},
    "channel": {"enabled": True},
    "kill": {"reason": "why"},
    "revive": {"reason": "why"},
    "companies": {"slug": "initech", "name": "Initech"},
    "company": {"name": "New"},
    "company_overrides": {"overrides": [{"key": "fleet_chat", "enabled": True}]},
    "override": {"enabled": True},
    "grant": {"enabled": False},
    "members": {"email": "x@y.example", "role": "admin"},
    "tokens": {"name": "CI"},
    "org_settings": {"default_currency": "EUR"},
    "promote": {"force": True, "reason": "why"},
    "rollback": {"to": None, "reason": "why"},
    "sign_off": {"note": "looked"},
    "gates": {"channel": "pilot", "title": "Legal has agreed"},
    "gate": {"title": "Another"},
}


def on_its_way(name: str) -> dict:
    """Bring the flag where this call finds it, and return what its address names."""
    if name in ("promote", "rollback", "pause", "resume", "finish", "sign_off"):
        release = releases.start("fleet_chat", actor=None)
        if name == "resume":
            releases.pause("fleet_chat", actor=None)
        if name == "finish":
            Release.objects.update(channel="general")
        return {"gate": release.gates.get(title="No console errors").pk}
    if name == "restore":
        archiving.archive("fleet_chat", actor=None)
    if name == "undo_batch":
        return {"batch": rollbacks.roll_back_companies("fleet_chat", None, actor=None, reason="why").batch}
    return {"gate": GateTemplate.objects.first().pk}


# Signing in and asking change nothing that could be rehearsed; an audit only writes its report.
NOT_REHEARSED = {"sign_in", "refresh", "sign_out", "check", "isolation_audit"}


def test_every_write_can_be_rehearsed():
    writes = {(name, method) for name, method in CALLS if method != "get" and name not in NOT_REHEARSED}

    assert {call for call in CALLS if is_rehearsable(*call)} == writes


def is_rehearsable(name: str, method: str) -> bool:
    return method.upper() in ROUTES[name].callback.view_class.rehearsable and method != "get"


# Choosing where to work writes no history; test_workspaces.py tries it.
TOLD = [call for call in CALLS if is_rehearsable(*call) and call[0] != "active_workspace"]


@pytest.mark.parametrize(("name", "method"), TOLD)
def test_no_write_writes(name, method, world, admin, bob, dan, acme, as_person, as_token):
    token = as_token("evaluate").token
    OverrideFactory(company=acme, flag=world, enabled=False)
    ChannelDefaultFactory(flag=world, channel="pilot", enabled=False)
    if name == "revive":
        Flag.objects.filter(pk=world.pk).update(killed_at=timezone.now())
    values = {"key": "fleet_chat", "tenant": "acme", "user": dan.pk, "token": token.pk, "channel": "pilot"}
    values |= on_its_way(name)
    lines = Change.objects.count()
    pattern = str(ROUTES[name].pattern)
    for parameter, value in values.items():
        for converter in ("str", "uuid"):
            pattern = pattern.replace(f"<{converter}:{parameter}>", str(value))
    client = as_person(bob) if name == "org_settings" else admin
    body, media_type = json.dumps(BODIES.get(name, {})), "application/json"
    if name == "overrides_file":
        body, media_type = "company,flag,enabled\nacme,fleet_chat,true\n", "text/csv"
    if method == "delete":
        body = "{}"
    before = everything()

    response = client.generic(method.upper(), f"/api/{pattern}?dry_run=1", body, content_type=media_type)

    assert response.status_code == 200, response.content
    assert response.json()["dry_run"] is True
    assert response.json()["changes"]
    assert everything() == before
    assert Change.objects.count() == lines
