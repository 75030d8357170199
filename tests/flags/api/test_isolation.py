"""POST /api/admin/tenant-isolation-audit."""

import pytest
from django.db import connection

from flags.models import Grant
from flags.releasemodels import IsolationAudit

pytestmark = [pytest.mark.django_db, pytest.mark.isolation]
URL = "/api/admin/tenant-isolation-audit"


def post(client, body=None):
    return client.post(URL, body or {}, content_type="application/json")


def test_a_super_admin_gets_the_report_and_the_run_is_stored(admin, alice, acme):
    response = post(admin, {"mode": "both"})
    assert response.status_code == 200
    report = response.json()
    assert report["passed"] is True
    assert report["complete"] is (connection.vendor == "postgresql")
    assert (report["by"], report["mode"], report["company"]) == (alice.email, "both", None)
    assert set(report["counts"]) == {"error", "warning", "info"}
    assert str(IsolationAudit.objects.get().pk) == report["id"]


def test_findings_come_with_severity_and_remedy_and_what_changed(admin, acme, carol):
    assert post(admin, {"mode": "data"}).json()["since_last"] == {"previous": None, "appeared": [], "gone": []}
    Grant.objects.create(company=acme, user=carol, flag_id="api_access")
    report = post(admin, {"mode": "data"}).json()
    (finding,) = report["findings"]
    assert report["passed"] is False
    assert set(finding) == {"severity", "check", "table", "message", "remedy"}
    assert (finding["severity"], finding["table"]) == ("error", "flags_grant")
    assert report["since_last"]["appeared"] == [finding]
    assert report["since_last"]["previous"]["passed"] is True


@pytest.mark.parametrize("name", ["slug", "pk"])
def test_one_company_is_named_by_slug_or_uuid(admin, acme, globex, carol, name):
    Grant.objects.create(company=acme, user=carol, flag_id="api_access")
    passed = {
        company.slug: post(admin, {"mode": "data", "tenant_id": str(getattr(company, name))}).json()["passed"]
        for company in (acme, globex)
    }
    assert passed == {"acme": False, "globex": True}


@pytest.mark.parametrize(
    ("body", "field"),
    [({"mode": "all"}, "mode"), ({"tenant_id": "nobody"}, "tenant_id"), ({"tenant": "acme"}, "tenant")],
)
def test_what_makes_no_sense_is_named_and_nothing_runs(admin, acme, body, field):
    response = post(admin, body)
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert field in response.json()["errors"]
    assert not IsolationAudit.objects.exists()


def test_a_server_key_with_the_scope_may_and_others_may_not(as_token, acme, as_person, bob, anonymous):
    assert post(as_token("audit:read"), {"mode": "data"}).status_code == 200
    assert post(as_token("flags:write")).json()["code"] == "SCOPE_MISSING"
    assert post(as_token("audit:read", company=acme)).json()["code"] == "TOKEN_COMPANY_MISMATCH"
    assert post(as_person(bob)).json()["code"] == "NOT_ALLOWED"
    assert post(anonymous).status_code == 401
    assert IsolationAudit.objects.count() == 1


def test_only_post_is_taken(admin):
    assert admin.get(URL).status_code == 405
