"""What must not be served does not start, and says why. Each case starts a process, as a server would."""

import os
import subprocess
import sys

import pytest
from django.conf import settings as django_settings
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError

from config import startup
from tenants import deployment

GOOD_KEY = "0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PRODUCTION = {"DJANGO_DEBUG": "false", "DJANGO_SECRET_KEY": GOOD_KEY, "DJANGO_ALLOWED_HOSTS": "headgate.example.org"}


def start(tmp_path, server="wsgi", **environment):
    return subprocess.run(
        [sys.executable, "-c", f"import config.{server}"],
        cwd=django_settings.BASE_DIR,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite:///{tmp_path}/db", **PRODUCTION, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("server", ["wsgi", "asgi"])
def test_what_is_in_order_starts(tmp_path, server):
    done = start(tmp_path, server)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("environment", "words", "remedy"),
    [
        ({"DJANGO_DEBUG": "true"}, "DJANGO_DEBUG is on", "DJANGO_DEBUG=false"),
        ({"DJANGO_DEBUG": "true", "DJANGO_ALLOWED_HOSTS": "*"}, "DJANGO_DEBUG is on", "DJANGO_DEBUG=false"),
        ({"DJANGO_SECRET_KEY": "short but not so sweet"}, "shorter than 50", "secrets.token_urlsafe(50)"),
        ({"DJANGO_SECRET_KEY": "short", "PYTEST_VERSION": "9.0.0"}, "shorter than 50", "secrets.token_urlsafe(50)"),
        ({"DJANGO_SECRET_KEY": "x" * 60}, "repeats a few characters", "secrets.token_urlsafe(50)"),
        ({"DJANGO_SECRET_KEY": "django-insecure-" + GOOD_KEY}, "everybody knows", "secrets.token_urlsafe(50)"),
        ({"DJANGO_SECRET_KEY_FALLBACKS": "old"}, "DJANGO_SECRET_KEY_FALLBACKS[0] is shorter", "token_urlsafe(50)"),
        ({"DJANGO_ALLOWED_HOSTS": "*"}, "DJANGO_ALLOWED_HOSTS is '*'", "Name the hosts"),
    ],
)
def test_what_is_unsafe_is_refused_by_name_and_with_its_remedy(tmp_path, environment, words, remedy):
    done = start(tmp_path, **environment)
    assert done.returncode != 0
    assert "ImproperlyConfigured: Headgate does not start like this:" in done.stderr
    assert words in done.stderr
    assert remedy in done.stderr


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    done = start(tmp_path, DJANGO_ALLOWED_HOSTS="*", DJANGO_SECRET_KEY="short")
    assert [name in done.stderr for name in ("tenants.E005", "tenants.E006")] == [True, True]


def test_on_your_own_machine_it_starts_without_a_key(tmp_path):
    local = {"DJANGO_DEBUG": "true", "DJANGO_SECRET_KEY": "", "DJANGO_ALLOWED_HOSTS": "localhost,127.0.0.1"}
    done = start(tmp_path, **local)
    assert done.returncode == 0, done.stderr


def test_a_database_that_is_away_keeps_nothing_from_starting(tmp_path):
    done = start(tmp_path, DATABASE_URL="postgres://nobody@127.0.0.1:1/nothing")
    assert done.returncode == 0, done.stderr
    assert "database not verified at start" in done.stderr


def test_check_says_the_same(settings):
    settings.LOCAL, settings.ALLOWED_HOSTS = False, ["*"]
    settings.SECRET_KEY = "short"
    found = {message.id for message in run_checks(tags=["security"], include_deployment_checks=True)}
    assert {"tenants.E005", "tenants.E006"} <= found


@pytest.mark.parametrize("check", [deployment.debug_is_for_this_machine, deployment.hosts_are_named])
def test_local_names_are_fine_while_debugging(settings, check):
    settings.DEBUG, settings.ALLOWED_HOSTS = True, ["localhost", "127.0.0.1"]
    assert check() == []


@pytest.mark.django_db
class TestLater:
    """The database comes after the start."""

    @pytest.fixture(autouse=True)
    def _not_verified(self, monkeypatch):
        monkeypatch.setattr(startup, "_is_verified", False)

    def test_it_is_verified_when_readiness_is_asked_for(self, client):
        assert client.get("/readyz").json()["checks"]["database"] == "ok"
        assert startup._is_verified

    def test_until_it_is_sound_it_is_not_ready(self, client, monkeypatch):
        fault = deployment.Error("row-level security is off", id="flags.E007")
        monkeypatch.setattr(startup, "_faults", lambda tag: [fault])
        response = client.get("/readyz")
        assert (response.status_code, response.json()["checks"]["database"]) == (503, "unverified")

    def test_at_the_start_it_is_refused(self, monkeypatch):
        fault = deployment.Error("row-level security is off", hint="Migrate.", id="flags.E007")
        monkeypatch.setattr(startup, "_faults", lambda tag: [fault] if tag == "database" else [])
        monkeypatch.setattr(startup.connections, "close_all", lambda: None)
        with pytest.raises(ImproperlyConfigured, match=r"row-level security is off Migrate\. \(flags\.E007\)"):
            startup.refuse_what_is_unsafe()

    def test_a_cache_that_unpickles_is_refused(self, monkeypatch, settings):
        backend = "django.core.cache.backends.redis.RedisCache"
        settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "redis://127.0.0.1:1/0"}}
        monkeypatch.setattr(startup, "_is_verified", True)
        monkeypatch.setattr(startup.connections, "close_all", lambda: None)
        with pytest.raises(ImproperlyConfigured, match=r"may unpickle what others.*GuardedRedisCache.*E009"):
            startup.refuse_what_is_unsafe()

    def test_an_absent_one_is_not_taken_for_a_sound_one(self, monkeypatch):
        def away(tag):
            if tag == "database":
                raise OperationalError("away")
            return []

        monkeypatch.setattr(startup, "_faults", away)
        monkeypatch.setattr(startup.connections, "close_all", lambda: None)
        startup.refuse_what_is_unsafe()
        assert not startup._is_verified
