"""`provision_company`: everything a company starts with, in one transaction, as often as one likes."""

import json

import pytest

from flags.features import features_for
from flags.models import Change, Override
from tenants.models import Company, Membership

pytestmark = pytest.mark.django_db

LINE = ("initech", "Initech", "--channel", "pilot", "--plan", "pro", "--admin", "bill@initech.example=Bill L")


def test_one_company_from_the_command_line(run, alice):
    said = run("provision_company", *LINE, "--override", "api_access=on", "--as", alice.email, "--reason", "signed")
    assert said.out.strip() == "initech made; added 1 admins and 1 overrides."
    company = Company.objects.get(slug="initech")
    assert (company.channel_id, company.plan_id) == ("pilot", "pro")
    bill = Membership.objects.get(company=company).user
    assert (bill.email, bill.name) == ("bill@initech.example", "Bill L")
    assert features_for(bill, company)["api_access"]
    assert set(Change.objects.values_list("actor", "via")) == {(alice.email, "command")}
    assert Change.objects.values("batch").distinct().count() == 1


def test_doing_it_again_adds_what_is_missing_and_undoes_nothing(run):
    run("provision_company", *LINE, "--override", "api_access=on")
    Override.objects.update(enabled=False)
    lines = Change.objects.count()
    again = run("provision_company", *LINE, "--override", "api_access=on", "--json").json
    assert again["companies"] == [{"slug": "initech", "is_new": False, "admins_added": 0, "overrides_added": 0}]
    assert not Override.objects.get().enabled
    assert Change.objects.count() == lines


def test_a_rehearsal_says_what_it_would_do_and_does_nothing(run):
    said = run("provision_company", *LINE, "--dry-run")
    assert said.out.strip() == "initech would be made; 1 admins and 0 overrides to add."
    assert not Company.objects.filter(slug="initech").exists()
    assert not Change.objects.exists()


@pytest.mark.parametrize("written", ["json", "yaml"])
def test_many_companies_from_a_file(run, tmp_path, written):
    overrides = [{"key": "white_label", "enabled": True, "reason": "contract", "expires_at": "2999-01-01"}]
    companies = [
        {"slug": "initech", "name": "Initech", "admins": [{"email": "bill@initech.example"}]},
        {"slug": "hooli", "name": "Hooli", "plan": "enterprise", "overrides": overrides},
    ]
    path = tmp_path / f"companies.{written}"
    yaml = "- {slug: initech, name: Initech, admins: [{email: bill@initech.example}]}\n- slug: hooli\n  name: Hooli\n"
    yaml += "  plan: enterprise\n  overrides:\n    - {key: white_label, enabled: true, reason: contract, "
    yaml += "expires_at: 2999-01-01}\n"
    path.write_text(json.dumps(companies) if written == "json" else yaml)
    run("provision_company", "--file", str(path))
    assert set(Company.objects.values_list("slug", flat=True)) >= {"initech", "hooli"}
    assert Override.objects.get().expires_at.year == 2999


def test_a_bad_line_changes_nothing_and_is_named(run, tmp_path):
    path = tmp_path / "companies.json"
    bad = [{"key": "api_access", "enabled": True}, {"key": "no_such_flag", "enabled": True}]
    path.write_text(
        json.dumps([{"slug": "initech", "name": "Initech"}, {"slug": "hooli", "name": "Hooli", "overrides": bad}])
    )
    refused = run("provision_company", "--file", str(path))
    assert refused.code == 1
    assert "Company 2 (hooli), overrides[1]: There is no flag 'no_such_flag'" in refused.refusal
    assert not Company.objects.filter(slug__in=["initech", "hooli"]).exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "line 1 is neither JSON nor YAML"),
        ("[]", "names no company"),
        ('{"name": "x"}', "company 1: lacks its slug"),
        ('{"slug": "x", "name": "x", "colour": 1}', "knows no field 'colour'"),
        ('{"slug": "x", "name": "x", "overrides": [{"key": "a"}]}', "overrides[0] lacks enabled"),
        ('{"slug": "x", "name": "x", "admins": ["bill"]}', "admins[0] lacks email"),
    ],
)
def test_a_file_of_another_shape_is_refused_in_words(run, tmp_path, text, says):
    path = tmp_path / "companies"
    path.write_text(text)
    refused = run("provision_company", "--file", str(path))
    assert refused.code == 2
    assert says in refused.refusal


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "a slug and a name"),
        ((*LINE, "--override", "api_access"), 2, "KEY=on"),
        (("x", "X", "--plan", "gold"), 1, "no plan 'gold'"),
        (("x", "X", "--admin", "bill"), 1, "no e-mail address"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(run, words, code, says):
    refused = run("provision_company", *words)
    assert refused.code == code
    assert says in refused.refusal
    assert not Company.objects.filter(slug="x").exists()
