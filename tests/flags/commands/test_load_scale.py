"""`load_scale`: exactly so many of each, topped up, seen by the next check, and where it refuses."""

import io
from collections import Counter

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from flags import loadscale
from flags.features import features_for
from flags.models import Change, Flag, Grant, Override, Version
from tenants.models import Company, CompanySettings, Membership, User
from tests.factories import CompanyFactory, OverrideFactory

pytestmark = pytest.mark.django_db
WHAT = ("flags", "companies", "overrides", "people", "history")


@pytest.fixture
def load(run):
    """Return a function that loads so many of each, and returns what was printed as JSON."""

    def loaded(flags: int, companies: int, overrides: int, people: int = 0, history: int = 0):
        asked = {"flags": flags, "companies": companies, "overrides": overrides, "people": people, "history": history}
        numbers = [word for name, number in asked.items() for word in (f"--{name}", str(number))]
        ran = run("load_scale", *numbers, "--json", "--force")
        assert not ran.refusal, ran.refusal
        return ran.json

    return loaded


def test_it_loads_exactly_so_many_of_each(load):
    printed = load(50, 40, 300)
    assert printed["counts"] == {"flags": 50, "companies": 40, "overrides": 300, "people": 0, "history": 1}
    assert (Flag.objects.count(), Company.objects.count(), Override.objects.count()) == (50, 40, 300)
    assert CompanySettings.objects.count() == 40


def test_loading_again_adds_nothing(load):
    load(50, 40, 300)
    before = list(Override.objects.order_by("pk").values_list("pk", flat=True))
    assert load(50, 40, 300)["added"] == dict.fromkeys(WHAT, 0)
    assert list(Override.objects.order_by("pk").values_list("pk", flat=True)) == before
    assert Change.objects.filter(verb="load_scale").count() == 1


@pytest.mark.parametrize("then", [(50, 40, 301), (60, 41, 999), (50, 40, 2000)])
def test_it_tops_up_to_what_is_asked_for_down_to_the_last_free_pair(load, then):
    load(50, 40, 300)
    counts = load(*then)["counts"]
    assert [counts[name] for name in WHAT[:3]] == list(then)


def test_what_was_there_before_counts_but_is_left_alone(load, acme):
    OverrideFactory(company=acme)
    load(50, 10, 30)
    assert Company.objects.count() == 10
    assert Override.objects.filter(company=acme).count() == 1


def test_a_check_sees_what_was_loaded_after_it_was_answered(load):
    load(50, 20, 0)
    company = Company.objects.first()
    before = dict(features_for(None, company).listing(internal=True))
    load(50, 20, 200)
    override = Override.objects.filter(company=company, paused=False).first()
    decision = features_for(None, company).decide(override.flag_id)
    assert decision.reason in ("override", "plan", "killed", "grant_missing")
    assert features_for(None, company).listing(internal=True) != before


def test_every_company_with_an_override_has_a_new_version(load):
    load(50, 20, 0)
    before = dict(Version.objects.values_list("scope", "n"))
    load(50, 20, 100)
    after = dict(Version.objects.values_list("scope", "n"))
    touched = set(Override.objects.values_list("company_id", flat=True))
    assert touched
    assert all(after[company] > before[company] for company in touched)


def test_companies_are_spread_over_channels_and_plans_and_some_flags_have_most_overrides(load):
    load(100, 400, 2000)
    assert Counter(Company.objects.values_list("channel", flat=True)) == {"pilot": 20, "general": 380}
    assert set(Company.objects.values_list("plan", flat=True)) == {"starter", "pro", "enterprise"}
    counts = sorted(Counter(Override.objects.values_list("flag", flat=True)).values())
    assert counts[-1] > 3 * counts[len(counts) // 2]
    assert Override.objects.filter(expires_at__gt=timezone.now()).exists()


def test_a_broken_off_load_goes_on_where_it_ended(load, monkeypatch):
    load(50, 40, 0)
    monkeypatch.setattr(loadscale, "PIECE", 100)

    def stop_after_the_first_piece(what, done, total):
        if what == "overrides":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loadscale.load(flags=50, companies=40, overrides=500, tell=stop_after_the_first_piece)
    assert Override.objects.count() == 100
    assert load(50, 40, 500)["added"]["overrides"] == 400


def test_progress_goes_to_stderr_and_the_figures_to_stdout(run):
    few = ("--people", "4", "--history", "7")
    ran = run("load_scale", "--flags", "30", "--companies", "10", "--overrides", "20", *few, "--force")
    said = "30 flags (10 new), 10 companies (10 new), 20 overrides (20 new)"
    assert ran.out.startswith(f"{said}, 4 people (4 new), 8 lines of history (7 new), in ")
    assert "overrides  [##############################]        20 / 20" in ran.err
    assert "[" not in ran.out


def test_more_overrides_than_fit_are_refused_and_nothing_is_loaded(run, acme):
    flags = Flag.objects.count()
    ran = run("load_scale", "--flags", str(flags), "--companies", "3", "--overrides", "999", "--force")
    assert ran.code == 1
    assert ran.refusal == f"999 overrides do not fit: there is room for {flags * 2:,}. Ask for more companies."
    assert Company.objects.count() == 1


def test_somebody_s_data_is_left_alone_unless_forced(run, settings):
    settings.DEBUG = False
    CompanyFactory(slug="somebody-real")
    ran = run("load_scale", "--flags", "30", "--companies", "3", "--overrides", "0")
    assert ran.code == 1
    assert "holds 1 companies and people that were not made to measure on" in ran.refusal
    assert Company.objects.count() == 1


@pytest.mark.parametrize("number", ["-1", "many", "1.5"])
def test_a_number_that_is_none_is_usage(number):
    with pytest.raises(CommandError, match="is no number of things"):
        call_command("load_scale", "--flags", number, stdout=io.StringIO())


def test_people_work_in_the_loaded_companies_and_some_hold_grants(load):
    load(100, 20, 0, people=60)
    load(100, 20, 0, people=90)
    assert Membership.objects.filter(is_home=True, company__slug__startswith="scale-").count() == 90
    assert Counter(Membership.objects.values_list("role", flat=True)) == {"admin": 20, "member": 70}
    assert Grant.objects.filter(flag__needs_grant=True).count() == 9
    assert not any(person.has_usable_password() for person in User.objects.all()[:5])


def test_history_is_told_as_any_other(load, sign_in, alice):
    load(50, 20, 0, history=300)
    assert Change.objects.filter(verb="set_override", company_id__in=Company.objects.values("pk")).count() == 270
    page = sign_in(alice).get("/super-admin/changes/").content.decode()
    assert "Contract" in page
    assert "turned" in page
