"""`demo`: what stands in the database afterwards, that it stays as it is, and where it refuses to be made."""

import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.request import urlopen

import pytest
from django.contrib.auth import authenticate
from django.db import connection
from django.utils import timezone

from flags import changes, demo, demodata
from flags.features import features_for
from flags.models import Change, Flag, Grant, OptIn, Override
from tenants import rls, tokens
from tenants.models import ApiToken, Company, Membership, User
from tests.factories import CompanyFactory

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.django_db


@pytest.fixture
def run_demo(run):
    """Return a function that runs the command, which migrates, as the owner of the tables."""

    def ran(*words: str):
        connection.check_constraints()  # What is checked at the end of this transaction would stand in its way.
        with rls.acting_as_nobody():
            return run("demo", "--no-serve", *words)

    return ran


@pytest.fixture
def make(run_demo):
    """Return a function that makes the demonstration and returns what the command printed as JSON."""

    def made():
        ran = run_demo("--json")
        assert not ran.refusal, ran.refusal
        return ran.json

    return made


def everything() -> list:
    """Return every row that the demonstration may write, to compare."""
    models = (Company, Membership, User, Flag, Override, OptIn, Grant, Change, ApiToken)
    return [list(model.objects.order_by("pk").values()) for model in models]


def test_the_companies_of_the_seeds_are_on_their_channels_with_a_dozen_general_ones_on_all_plans(make):
    make()
    channels = dict(Company.objects.values_list("slug", "channel"))
    assert (channels["default-tenant"], channels["talbi-logistics-llc"]) == ("internal", "pilot")
    general = Company.objects.filter(channel="general")
    assert general.count() == 12
    assert set(general.values_list("plan", flat=True)) == {"starter", "pro", "enterprise"}


def test_every_company_has_an_admin_who_can_sign_in(make):
    accounts = make()["accounts"]
    admins = {account["company"]: account for account in accounts if account["role"] == "admin"}
    assert set(admins) == set(Company.objects.values_list("slug", flat=True))
    user = authenticate(username=admins["kestrel-express"]["email"], password=admins["kestrel-express"]["password"])
    assert Membership.objects.home_of(user).company.slug == "kestrel-express"


def test_every_account_is_what_it_says_and_its_password_is_right(make):
    accounts = make()["accounts"]
    assert Counter(account["role"] for account in accounts)["super_admin"] == 2
    assert {account["role"] for account in accounts} == {"super_admin", "admin", "coordinator", "member"}
    for account in accounts:
        user = User.objects.get(email=account["email"])
        assert user.check_password(account["password"])
        assert user.is_superuser == (account["role"] == "super_admin")
        home = Membership.objects.home_of(user)
        assert (home and home.company.slug, home.role if home else "super_admin") == (
            account["company"],
            account["role"],
        )


def test_the_token_works_and_may_do_everything(make):
    token = tokens.verify(make()["tokens"]["server"])
    assert set(token.scopes) == set(tokens.SCOPES)


def test_making_it_again_changes_nothing_at_all(make):
    first, before = make(), everything()
    assert make() == first
    assert everything() == before


def test_what_somebody_changed_since_stays(make):
    make()
    changes.set_default("billing_enabled", True, actor=None)
    changes.remove_override(Company.objects.get(slug="cobalt-transit"), "api_access", actor=None)
    before = everything()
    make()
    assert everything() == before


def test_a_sign_in_that_no_longer_works_is_mended_and_a_revoked_token_replaced(make):
    first = make()
    iris = User.objects.get(email="iris.novak@default-tenant.example")
    iris.set_password("something of her own")
    iris.save()
    ApiToken.objects.update(revoked_at=timezone.now())
    second = make()
    iris.refresh_from_db()
    assert iris.check_password(second["accounts"][2]["password"])
    assert second["tokens"]["server"] != first["tokens"]["server"]
    assert tokens.verify(second["tokens"]["server"])
    assert make() == second


def test_nobody_is_reported_who_was_removed_since(make):
    User.objects.filter(email=make()["accounts"][-1]["email"]).delete()
    emails = [account["email"] for account in make()["accounts"]]
    assert len(emails) == len(demo._emails()) - 1


def test_one_person_belongs_to_two_companies(make):
    make()
    samir = User.objects.get(email="samir.haddad@talbi-logistics-llc.example")
    assert set(samir.memberships.values_list("company__slug", "role", "is_home")) == {
        ("talbi-logistics-llc", "coordinator", True),
        ("bluewater-freight", "member", False),
    }


def test_every_kind_of_answer_can_be_seen(make):
    make()
    there = {company.slug: company for company in Company.objects.all()}

    def reason(slug, key, email=None):
        user = User.objects.get(email=email) if email else None
        decision = features_for(user, there[slug]).decide(key)
        return decision.enabled, decision.reason

    assert reason("talbi-logistics-llc", "trip_management") == (True, "channel")
    assert reason("kestrel-express", "trip_management") == (False, "channel")
    assert reason("bluewater-freight", "trip_management") == (True, "override")
    assert reason("talbi-logistics-llc", "advanced_reports")[1] == "rollout"
    assert reason("cobalt-transit", "legacy_export") == (False, "killed")
    assert reason("talbi-logistics-llc", "accounting_enabled") == (True, "opt_in")
    assert reason("kestrel-express", "ai_enabled") == (False, "plan")
    samir, kofi = "samir.haddad@talbi-logistics-llc.example", "kofi.mensah@talbi-logistics-llc.example"
    assert reason("talbi-logistics-llc", "route_optimizer", samir) == (True, "channel")
    assert reason("talbi-logistics-llc", "route_optimizer", kofi) == (False, "grant_denied")
    assert reason("default-tenant", "route_optimizer")[1] == "grant_missing"
    assert Override.objects.exclude(expires_at=None).count() == 1


def test_the_gate_to_watch_is_closed_for_every_company(make):
    make()
    assert not any(features_for(None, company)["billing_enabled"] for company in Company.objects.all())


def test_history_tells_of_several_actors_and_nothing_was_written_past_it(make):
    make()
    assert {demodata.ANA, demodata.TOM, "mira.talbi@talbi-logistics-llc.example", "Headgate"} <= set(
        Change.objects.values_list("actor", flat=True)
    )
    verbs = Counter(Change.objects.values_list("verb", flat=True))
    assert verbs["set_override"] == Override.objects.count()
    assert verbs["grant"] == Grant.objects.count()
    assert verbs["set_opt_in"] == OptIn.objects.count()
    assert verbs["add_member"] == Membership.objects.count()
    assert set(Change.objects.values_list("via", flat=True)) == {"command"}


def test_it_can_be_made_where_every_change_needs_a_reason(make, settings):
    settings.FLAGS_REQUIRE_REASON = True
    make()
    assert not Change.objects.filter(reason="").exclude(verb="create_token").exists()


def test_people_read_a_table(run_demo):
    out = run_demo("--port", "8123").out
    assert "mira.talbi@talbi-logistics-llc.example        admin        talbi-logistics-llc\n" in out
    assert "http://127.0.0.1:8123/billing/" in out


def test_real_data_is_not_mixed_with_it_unless_forced(run_demo, settings):
    settings.DEBUG = False
    CompanyFactory(slug="somebody-real")
    ran = run_demo()
    assert (ran.code, ran.out) == (1, "")
    assert "holds 1 companies and people that no demonstration made" in ran.refusal
    assert not demo.is_there()
    assert run_demo("--force").code == 0
    assert run_demo().code == 0, "a demonstration that is there may be asked for again"


def test_a_company_in_its_way_is_named_and_nothing_is_half_made(run_demo):
    CompanyFactory(slug="kestrel-express")
    ran = run_demo()
    assert (ran.code, ran.refusal) == (1, "There already is a company 'kestrel-express'.")
    assert not demo.is_there()
    assert Company.objects.count() == 1


def test_it_serves_what_it_made(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTEST_VERSION", "CACHE_URL")}
    environment |= {"DJANGO_DEBUG": "true", "DATABASE_URL": f"sqlite:///{tmp_path}/own.sqlite3"}
    server = subprocess.Popen(
        [sys.executable, "manage.py", "demo", "--json", "--port", str(port)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert _answers(f"http://127.0.0.1:{port}/healthz", server)
    finally:
        server.terminate()
        out, _ = server.communicate(timeout=30)
    accounts, _ = json.JSONDecoder().raw_decode(out.decode())
    assert accounts["accounts"][0]["email"] == demodata.ANA


def _answers(url: str, server: subprocess.Popen) -> bool:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urlopen(url, timeout=5) as response:
                return response.status == 200
        except OSError:
            time.sleep(0.2)
    return False
