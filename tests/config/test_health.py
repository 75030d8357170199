import json
import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.urls import resolve

from config import health

ELSEWHERE = {"HTTP_HOST": "10.0.0.7:8000"}  # What a load balancer says, which is in nobody's list of hosts.


@pytest.mark.parametrize("path", ["/healthz", "/healthz/"])
def test_being_alive_needs_no_database(client, path):
    # No `db` fixture: pytest-django lets any query fail.
    response = client.get(path, **ELSEWHERE)
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}
    assert not response.cookies


def test_being_alive_is_answered_under_a_request_id(client):
    assert client.get("/healthz")["X-Request-ID"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.django_db
def test_probes_are_not_sent_to_https(client, settings, path):
    settings.SECURE_SSL_REDIRECT = True
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/readyz", "/readyz/"])
@pytest.mark.django_db
def test_ready_when_everything_answers(client, path):
    response = client.get(path, **ELSEWHERE)
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "checks": {"database": "ok", "migrations": "ok", "cache": "ok"}}
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("late", "status", "watcher"), [(False, "ok", "ok"), (True, "degraded", "late")])
@pytest.mark.django_db
def test_a_watcher_that_is_late_degrades(client, settings, monkeypatch, late, status, watcher):
    settings.FLAGS_FRESHNESS = "streamed"
    monkeypatch.setattr(health.watching, "is_late", lambda: late)
    response = client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, status)
    assert response.json()["checks"]["watcher"] == watcher


@pytest.mark.django_db
def test_readiness_costs_three_small_queries(client, django_assert_max_num_queries):
    client.get("/readyz")  # The first one may still have to connect.
    with django_assert_max_num_queries(3):
        client.get("/readyz")


@pytest.mark.django_db
def test_not_ready_while_a_migration_is_missing(client, monkeypatch):
    monkeypatch.setattr(health, "_newest_migrations", lambda: frozenset({("flags", "9999_from_the_future")}))
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["status"] == "unavailable"
    assert response.json()["checks"]["migrations"] == "missing"


@pytest.mark.django_db
def test_a_cache_that_is_away_degrades_and_no_more(client, settings):
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    }
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json()["status"] == "degraded"
    assert response.json()["checks"] == {"database": "ok", "migrations": "ok", "cache": "degraded"}


@pytest.mark.django_db
def test_a_cache_that_forgets_degrades_too(client, settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert client.get("/readyz").json()["checks"]["cache"] == "degraded"


ASK = """
import django, json
django.setup()
from django.test import Client
ready, alive = Client().get("/readyz"), Client().get("/healthz")
print(json.dumps([ready.status_code, ready.json(), alive.status_code]))
"""


def test_without_a_database_it_is_alive_but_not_ready():
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=settings.BASE_DIR,
        env={
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DJANGO_SECRET_KEY": "x" * 50,
            "DJANGO_DEBUG": "false",
            "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ready, detail, alive = json.loads(done.stdout.splitlines()[-1])
    assert (ready, alive) == (503, 200)
    assert detail["status"] == "unavailable"
    assert detail["checks"]["database"] == "unreachable"


@pytest.mark.parametrize("path", health.PROBES)
def test_the_map_of_the_site_leads_to_the_same_probe(path):
    assert resolve(path).func is health.PROBES[path]
