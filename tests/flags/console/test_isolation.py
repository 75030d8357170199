"""The Inspector's tab that runs the tenant isolation audit and shows what it found."""

import json

import pytest
from django.db import connection

from flags import changes
from flags.audits import run_audit
from flags.models import Grant
from flags.releasemodels import IsolationAudit
from tests.flags.console.browsing import text_of

pytestmark = [pytest.mark.django_db, pytest.mark.isolation]
PAGE = "/super-admin/inspector/isolation/"


@pytest.fixture
def alices(sign_in, alice):
    return sign_in(alice)


@pytest.fixture
def hole(acme, carol):
    return Grant.objects.create(company=acme, user=carol, flag_id="api_access", reason="top secret")


def test_before_the_first_run_the_page_says_so_and_looking_runs_nothing(alices):
    assert "No audit has run yet" in text_of(alices.get(PAGE))
    assert not IsolationAudit.objects.exists()


def test_the_button_runs_it_and_leads_to_the_run(alices, alice):
    response = alices.post(PAGE, {"mode": "both"})
    run = IsolationAudit.objects.get()
    assert response.url == f"{PAGE}?run={run.pk}"
    page = text_of(alices.get(response.url))
    assert "Passed" in page
    assert f"by {alice.email}" in page
    assert ("opens no gate" in page) is (connection.vendor != "postgresql")


def test_findings_stand_by_severity_with_their_remedy_and_what_is_new(alices, alice, hole):
    Grant.objects.all().delete()
    run_audit("data", actor=alice)
    hole.save(force_insert=True)
    run_audit("data", actor=alice)
    page = text_of(alices.get(PAGE))
    assert "Failed" in page
    assert "1 grants are for people who do not belong to the company" in page
    assert "Revoke them, or add the people." in page
    assert "Since the run before" in page
    assert "top secret" not in page


def test_an_earlier_run_is_found_again_and_nonsense_shows_the_newest(alices, alice, hole):
    first = run_audit("data", actor=alice)
    Grant.objects.all().delete()
    run_audit("data", actor=alice)
    assert "Failed" in text_of(alices.get(PAGE, {"run": str(first.pk)})).partition("Last runs")[0]
    for nonsense in ("nonsense", "00000000-0000-0000-0000-000000000000"):
        assert "Failed" not in text_of(alices.get(PAGE, {"run": nonsense})).partition("Last runs")[0]


def test_a_run_can_be_downloaded(alices, alice, hole):
    run = run_audit("data", actor=alice)
    response = alices.get(f"{PAGE}{run.pk}.json")
    assert response["Content-Disposition"].startswith('attachment; filename="tenant-isolation-')
    assert json.loads(response.content)["findings"] == run.findings
    assert alices.get(f"{PAGE}{hole.pk}.json").status_code == 404


def test_a_mode_that_is_none_is_refused(alices):
    assert alices.post(PAGE, {"mode": "most"}).status_code == 400
    assert not IsolationAudit.objects.exists()


def test_it_is_for_super_admins_and_falls_with_the_inspector(sign_in, bob, client, alices, alice):
    run = run_audit("data", actor=alice)
    for address in (PAGE, f"{PAGE}{run.pk}.json"):
        assert sign_in(bob).get(address).status_code == 403
        assert client.get(address).status_code == 302
    changes.kill("inspector", actor=alice, reason="closed for repairs")
    for address in (PAGE, f"{PAGE}{run.pk}.json"):
        assert alices.get(address).status_code == 403
    assert alices.post(PAGE, {"mode": "data"}).status_code == 403
    assert IsolationAudit.objects.count() == 1


def test_queries_do_not_grow_with_runs(alices, alice, django_assert_max_num_queries):
    for _ in range(12):
        run_audit("data", actor=alice)
    with django_assert_max_num_queries(9):
        alices.get(PAGE)
