"""Evaluations on the active span, by the names of OpenTelemetry's semantic conventions v1.44.0."""

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from flags.openfeature import HeadgateProvider
from flags.spans import hashed
from tests.factories import FlagFactory, OverrideFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def spans():
    """What was exported, and a tracer."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter, provider.get_tracer("tests")
    provider.shutdown()


@pytest.fixture
def told(spans, acme):
    """Return a function that evaluates within a span and gives its events."""
    OverrideFactory(company=acme, flag=FlagFactory(key="fleet_chat"))
    exporter, tracer = spans

    def evaluated(key="fleet_chat", company="acme", kind="boolean", default=False, **options):
        api.set_provider_and_wait(HeadgateProvider(**options))
        with tracer.start_as_current_span("request"):
            ask = getattr(api.get_client(), f"get_{kind}_value")
            ask(key, default, EvaluationContext("dan@acme.example", {"companyId": company}))
        (span,) = exporter.get_finished_spans()
        return span.events

    yield evaluated
    api.clear_providers()


def test_an_evaluation_is_one_event_with_all_that_is_known(told):
    (event,) = told()
    version = event.attributes["feature_flag.version"]

    assert event.name == "feature_flag.evaluation"
    assert version.isdecimal()
    assert dict(event.attributes) == {
        "feature_flag.key": "fleet_chat",
        "feature_flag.result.variant": "on",
        "feature_flag.result.reason": "targeting_match",
        "feature_flag.provider.name": "Headgate",
        "feature_flag.set.id": "headgate",
        "feature_flag.version": version,
        "headgate.reason": "override",
    }


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ({"key": "nothing_here"}, "flag_not_found"),
        ({"company": "nowhere"}, "invalid_context"),
        ({"kind": "integer", "default": 3}, "type_mismatch"),
    ],
)
def test_a_failure_says_which(asked, kind, told):
    (event,) = told(**asked)

    assert event.attributes["error.type"] == kind
    assert event.attributes["feature_flag.result.reason"] == "error"
    assert event.attributes["feature_flag.error.message"]
    assert "feature_flag.result.variant" not in event.attributes


def test_who_asked_is_said_only_where_wanted(told):
    (event,) = told(context_id=hashed)

    assert event.attributes["feature_flag.context.id"] == hashed("dan@acme.example")
    assert "dan" not in str(dict(event.attributes))


def test_without_a_span_nothing_happens(told, acme):
    api.set_provider_and_wait(HeadgateProvider())

    assert api.get_client().get_boolean_value("fleet_chat", False, EvaluationContext(None, {"companyId": "acme"}))
