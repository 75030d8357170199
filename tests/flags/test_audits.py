"""A run of the audit is stored, compared with the last one like it, told in history, and counts for gates or not."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from flags import auditruns
from flags.audits import run_audit
from flags.exceptions import NotAllowed
from flags.models import Change, Grant
from flags.releasemodels import IsolationAudit
from flags.sentences import sentence
from tests.factories import ApiTokenFactory, MembershipFactory

pytestmark = pytest.mark.django_db

is_postgres = connection.vendor == "postgresql"


@pytest.fixture
def hole(acme, carol):
    """A grant for somebody who does not belong to the company."""
    return Grant.objects.create(company=acme, user=carol, flag_id="api_access", reason="top secret")


def test_a_run_is_stored_with_who_what_and_when(alice, acme, clock):
    run = run_audit(actor=alice)
    stored = IsolationAudit.objects.get()
    assert stored == run
    assert (stored.mode, stored.by_name, stored.passed) == ("both", alice.email, True)
    assert stored.complete is is_postgres
    assert stored.checks > (100 if is_postgres else 10)
    assert bool(stored.skipped) is not is_postgres


def test_history_says_who_audited_what_and_how_it_went(alice, acme, hole):
    run_audit("data", actor=alice, company=acme)
    change = Change.objects.get(verb="isolation_audit")
    assert (change.actor, change.company_id, change.after["of"]) == (alice.email, None, "acme")
    assert sentence(change).deed == "audited the isolation of tenants of acme, in part: it failed"


@pytest.mark.parametrize("mode", ["schema", "data"])
def test_half_an_audit_is_never_complete(alice, mode):
    assert not run_audit(mode, actor=alice).complete


def test_nothing_is_stored_for_a_mode_that_is_none(alice):
    with pytest.raises(ValueError, match="no mode"):
        run_audit("most", actor=alice)
    assert not IsolationAudit.objects.exists()
    assert not Change.objects.filter(verb="isolation_audit").exists()


def test_company_people_and_tokens_of_other_scopes_may_not_run_it(bob, acme):
    tokens = [ApiTokenFactory(scopes=["flags:write"]), ApiTokenFactory(scopes=["audit:read"], company=acme)]
    for actor in (bob, *tokens):
        with pytest.raises(NotAllowed):
            run_audit(actor=actor)
    assert not IsolationAudit.objects.exists()


def test_runs_of_the_same_kind_are_compared_and_a_count_that_grew_is_no_other_finding(alice, acme, carol, hole):
    first = run_audit("data", actor=alice)
    assert auditruns.since_last(first).previous is None
    Grant.objects.create(company=acme, user=carol, flag_id="white_label")
    run_audit("schema", actor=alice)
    second = run_audit("data", actor=alice)
    difference = auditruns.since_last(second)
    assert (difference.previous, difference.appeared, difference.gone) == (first, [], [])
    MembershipFactory(company=acme, user=carol)
    difference = auditruns.since_last(run_audit("data", actor=alice))
    assert difference.previous == second
    assert [finding["check"] for finding in difference.gone] == ["grant_outside_company"]
    assert difference.appeared == []


def test_no_report_holds_what_is_in_a_row(alice, hole, carol, acme):
    report = json.dumps(auditruns.as_json(run_audit(actor=alice)))
    for secret in ("top secret", carol.email, str(hole.pk), acme.name):
        assert secret not in report


# At the command line


def run(*arguments: str) -> str:
    from io import StringIO

    out = StringIO()
    try:
        call_command("audit_tenants", *arguments, stdout=out)
    except CommandError as error:
        return f"{out.getvalue()}\nexit {error.returncode}: {error}"
    return out.getvalue()


def test_the_command_passes_on_a_sound_database_and_says_what_was_left_out(acme):
    said = run()
    assert "0 error" in said
    assert ("opens no gate" in said) is not is_postgres
    assert IsolationAudit.objects.get().by_name == "Headgate"


def test_the_command_exits_with_one_and_still_stores_what_it_found(hole):
    said = run("--mode", "data")
    assert "grant_outside_company" in said
    assert "Revoke them" in said
    assert "exit 1: Not isolated: 1 errors." in said
    assert not IsolationAudit.objects.get().passed


def test_the_command_looks_at_one_company_and_speaks_json(hole, globex):
    report = json.loads(run("--mode", "data", "--company", "globex", "--json"))
    assert (report["passed"], report["company"], report["findings"]) == (True, "globex", [])
    assert "exit 1" in run("--mode", "data", "--company", "acme")
    assert "There is no company 'acne'" in run("--company", "acne")
