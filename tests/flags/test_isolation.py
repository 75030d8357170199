"""The audit passes on a sound database, and finds every hole that is dug."""

import sys
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flags import policies, triggers
from flags.checks import check_isolation
from flags.isolation import audit
from flags.isolationfindings import Severity
from flags.models import Flag, Grant, OptIn, Override
from tenants import rls
from tenants.models import Company

PAST = timezone.now() - timedelta(days=1)
pytestmark = [pytest.mark.django_db, pytest.mark.isolation]


def found(check: str, **audited) -> list[str]:
    return [finding.table for finding in audit(**audited).findings if finding.check == check]


def dig(*statements: str) -> None:
    with rls.acting_as_nobody(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.mark.postgres
def test_a_sound_database_passes_completely(acme, globex, bob):
    report = audit()
    assert report.passed, report.findings
    assert report.complete
    assert report.checks > 200


@pytest.mark.postgres
def test_the_probes_leave_no_trace(acme):
    before = (Company.objects.count(), Flag.objects.count())
    audit("schema")
    assert (Company.objects.count(), Flag.objects.count()) == before


def test_sqlite_says_what_it_left_out_and_is_not_complete():
    report = audit()
    assert report.passed
    assert report.complete == (connection.vendor == "postgresql")
    assert report.complete or any("policies" in part for part in report.skipped)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("check", "table", "hole"),
    [
        ("policy_missing", "flags_override", "drop policy company_reads on flags_override"),
        ("policy_missing", "flags_grant", "drop policy console_all on flags_grant"),
        ("rls_off", "flags_override", "alter table flags_override disable row level security"),
        ("rls_not_forced", "tenants_membership", "alter table tenants_membership no force row level security"),
        ("nullable", "flags_optin", "alter table flags_optin alter column company_id drop not null"),
        ("tenant_may_write", "flags_override", "grant update on flags_override to headgate_tenant"),
        ("secret_readable", "tenants_user", "grant select on tenants_user to headgate_tenant"),
        ("granted_to_public", "flags_flag", "grant select on flags_flag to public"),
        (
            "policy_unknown",
            "flags_override",
            "create policy all_of_it on flags_override for select to headgate_tenant using (true)",
        ),
        (
            "unclassified",
            "invoices",
            "create table invoices (id bigint primary key, company_id uuid references tenants_company)",
        ),
        (
            "definer_without_search_path",
            "leaky",
            "create function leaky() returns bigint language sql security definer as 'select 1::bigint'",
        ),
    ],
)
def test_a_planted_hole_is_found(check, table, hole):
    dig(hole)
    report = audit("schema")
    assert not report.passed
    assert table in [finding.table for finding in report.findings if finding.check == check]


@pytest.mark.postgres
def test_a_probe_gets_through_where_a_policy_lets_it():
    dig("create policy everybody on flags_override for select to headgate_tenant using (true)")
    assert "flags_override" in found("probe", mode="schema")


@pytest.mark.postgres
def test_a_table_of_the_host_application_is_protected_once_it_is_classified(monkeypatch):
    dig("create table invoices (id bigint primary key, company_id uuid not null references tenants_company)")
    dig("create index on invoices (company_id)")
    assert found("unclassified", mode="schema") == ["invoices"]
    monkeypatch.setitem(policies.TABLES, "invoices", policies.Protection("company", policies.OWN_COMPANY))
    assert found("rls_off", mode="schema") == ["invoices"]
    with rls.acting_as_nobody():
        policies.install(connection)
    assert audit("schema").passed


def locking(queries) -> list[str]:
    """Return the statements that lock a table of ours for everybody, or for whoever writes."""
    words = ("alter table", "drop policy", "create policy", "create or replace trigger", "comment on")
    return [query["sql"] for query in queries if query["sql"].startswith(words)]


@pytest.mark.postgres
def test_migrating_again_locks_no_table_whose_walls_stand():
    with rls.acting_as_nobody(), CaptureQueriesContext(connection) as queries:
        policies.after_migrate("default")
        triggers.after_migrate("default")
    assert len(queries) > 2
    assert locking(queries) == []


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("harm", "table"),
    [
        ("alter table flags_grant no force row level security", "flags_grant"),
        ("alter policy console_all on flags_optin using (true)", "flags_optin"),
        ("drop policy company_reads on flags_override", "flags_override"),
        ("comment on policy console_all on flags_mail is null", "flags_mail"),
        ("alter table flags_change disable trigger flags_append_only", "flags_change"),
        ("comment on trigger flags_bump_insert on flags_override is 'somebody wrote this'", "flags_override"),
    ],
)
def test_what_was_changed_is_put_right_and_no_other_table_is_locked(harm, table):
    with rls.acting_as_nobody(), CaptureQueriesContext(connection) as queries:
        dig(harm)
        began = len(queries)
        policies.after_migrate("default")
        triggers.after_migrate("default")
        mended = locking(queries.captured_queries[began:])
        assert mended
        assert all(f" {table}" in statement for statement in mended)
        assert any("lock_timeout" in query["sql"] for query in queries.captured_queries[began:])
    assert audit("schema").passed
    assert triggers.missing(connection) == []


def test_a_grant_outside_the_company_is_counted_not_shown(acme, carol):
    Grant.objects.create(company=acme, user=carol, flag_id="api_access", reason="top secret")
    report = audit("data")
    finding = next(f for f in report.findings if f.check == "grant_outside_company")
    assert finding.severity is Severity.ERROR
    assert finding.message.startswith("1 grants")
    assert not report.passed
    assert "top secret" not in str(report)
    assert carol.email not in str(report)


def test_settings_that_look_forgotten_are_mentioned_and_do_not_fail(acme, globex):
    Override.objects.create(company=acme, flag_id="api_access", enabled=False)
    Override.objects.create(company=globex, flag_id="api_access", enabled=True, expires_at=PAST)
    OptIn.objects.create(company=acme, flag_id="billing_enabled", enabled=True)
    Override.objects.create(company=acme, flag_id="white_label", enabled=True)
    Flag.objects.filter(key="white_label").update(archived_at=timezone.now())
    report = audit("data")
    assert report.passed
    assert {finding.check for finding in report.findings} == {
        "override_redundant",
        "override_expired",
        "opt_in_not_self_service",
        "override_of_archived_flag",
    }


def test_one_companys_data_alone_can_be_audited_and_is_not_the_whole(acme, globex, carol):
    Grant.objects.create(company=acme, user=carol, flag_id="api_access")
    assert audit("data", globex.pk).passed
    report = audit("data", acme.pk)
    assert not report.passed
    assert not report.complete


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="schema, data, both"):
        audit("everything")


# System checks


def ids(statements: tuple[str, ...] = ()) -> list[str]:
    dig(*statements)
    return [message.id for message in check_isolation(databases=["default"])]


def test_a_sound_database_needs_no_mention():
    assert ids() == []


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("hole", "told"),
    [
        ("drop policy company_reads on flags_override", "flags.E007"),
        ("alter table flags_override disable row level security", "flags.E007"),
        ("alter table tenants_membership no force row level security", "flags.E007"),
        ("create policy mine on flags_grant for select to public using (true)", "flags.E007"),
    ],
)
def test_a_wall_that_is_down_is_an_error_at_start(hole, told):
    assert ids((hole,)) == [told]


def test_a_table_with_a_company_that_nobody_classified_is_an_error_at_start():
    assert ids(("create table invoices (id integer primary key, company_id integer)",)) == ["flags.E008"]
    (message,) = check_isolation(databases=["default"])
    assert "invoices" in message.msg
    assert "flags.policies.classify" in message.hint


@pytest.mark.postgres
def test_migrating_is_not_refused_for_what_it_cures(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["manage.py", "migrate"])
    assert ids(("drop policy company_reads on flags_override",)) == []


def test_without_a_database_named_nothing_is_looked_at(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert check_isolation(databases=None) == []
