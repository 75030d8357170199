"""A released client of OpenFeature's remote evaluation protocol against a running server, unchanged."""

import pytest

from flags.models import Flag
from tests.factories import ApiTokenFactory, CompanyFactory, FlagFactory, OverrideFactory

openfeature = pytest.importorskip("openfeature.api")
evaluation_context = pytest.importorskip("openfeature.evaluation_context")
ofrep = pytest.importorskip("openfeature.contrib.provider.ofrep")

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client(live_server):
    acme = CompanyFactory(slug="acme", name="Acme")
    OverrideFactory(company=acme, flag=FlagFactory(key="fleet_chat"))
    FlagFactory(key="is_killed", default_enabled=True, is_killswitch=False)
    plain = ApiTokenFactory(scopes=["evaluate"]).plain
    provider = ofrep.OFREPProvider(live_server.url, headers_factory=lambda: {"Authorization": f"Bearer {plain}"})
    openfeature.set_provider(provider, "ofrep-test")
    yield openfeature.get_client("ofrep-test")
    openfeature.clear_providers()


def context(company: str):
    from openfeature.evaluation_context import EvaluationContext

    return EvaluationContext("user-1", {"companyId": company})


def test_it_reads_value_variant_reason_and_metadata(client):
    found = client.get_boolean_details("fleet_chat", False, context("acme"))

    assert (found.value, found.variant, str(found.reason)) == (True, "on", "TARGETING_MATCH")
    assert found.error_code is None
    assert found.flag_metadata["reason"] == "override"


def test_a_killed_flag_is_off_though_its_default_here_is_on(client):
    Flag.objects.filter(key="fleet_chat").update(killed_at="2026-01-01T00:00:00Z")

    found = client.get_boolean_details("fleet_chat", True, context("acme"))

    assert (found.value, str(found.reason)) == (False, "DISABLED")


def test_an_unknown_flag_is_not_found_and_the_callers_default_stands(client):
    found = client.get_boolean_details("nothing_here", True, context("acme"))

    assert (found.value, str(found.error_code)) == (True, "FLAG_NOT_FOUND")


def test_a_company_that_is_none_is_an_invalid_context(client):
    found = client.get_boolean_details("fleet_chat", True, context("nowhere"))

    assert (found.value, str(found.error_code)) == (True, "INVALID_CONTEXT")


def test_a_boolean_asked_as_text_is_a_type_mismatch(client):
    found = client.get_string_details("fleet_chat", "none", context("acme"))

    assert (found.value, str(found.error_code)) == ("none", "TYPE_MISMATCH")
