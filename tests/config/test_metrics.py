"""Figures for Prometheus: to this machine, or to whoever has the token."""

import pytest

from config import metrics
from flags import watching
from flags.features import features_for

TOKEN = {"authorization": "Bearer prometheus-knows"}


@pytest.mark.django_db(transaction=True)
def test_a_process_tells_what_it_knows(client, acme):
    features_for(None, acme)["api_access"]
    text = client.get("/metrics").content.decode()
    assert "headgate_companies_known 1.0" in text
    assert "headgate_rules_version 0.0" not in text
    assert "process_resident_memory_bytes" in text


def test_asking_costs_no_query(client):
    # No `db` fixture: pytest-django lets any query fail.
    assert client.get("/metrics").status_code == 200


@pytest.mark.parametrize(("asked_at", "told"), [(float("-inf"), "+Inf"), (98.5, "1.5")])
def test_a_watcher_tells_how_old_what_it_read_is(client, settings, monkeypatch, asked_at, told):
    assert "headgate_watcher" not in client.get("/metrics").content.decode()
    settings.FLAGS_FRESHNESS = "streamed"
    monkeypatch.setattr(watching, "monotonic", lambda: 100.0)
    monkeypatch.setattr(watching, "_told", watching.Told(asked_at, {}))
    assert f"\nheadgate_watcher_age_seconds {told}\n" in client.get("/metrics").content.decode()


def test_strangers_are_not_told_that_it_exists(client, settings):
    settings.METRICS_TOKEN = "prometheus-knows"
    assert client.get("/metrics", REMOTE_ADDR="10.0.0.9").status_code == 404
    assert client.get("/metrics", headers={"x-forwarded-for": "10.0.0.9"}).status_code == 404
    assert client.get("/metrics", headers={"authorization": "Bearer guess"}).status_code == 404


def test_the_token_opens_it_from_elsewhere_and_no_token_is_no_token(client, settings):
    settings.METRICS_TOKEN = "prometheus-knows"
    assert client.get("/metrics", REMOTE_ADDR="10.0.0.9", headers=TOKEN).status_code == 200
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", REMOTE_ADDR="10.0.0.9", headers={"authorization": "Bearer "}).status_code == 404


def test_without_the_extra_it_says_what_to_install(client, monkeypatch):
    monkeypatch.setattr(metrics, "prometheus_client", None)
    response = client.get("/metrics")
    assert response.status_code == 501
    assert "headgate[metrics]" in response.content.decode()


def test_it_is_only_read(client):
    assert client.post("/metrics").status_code == 405
