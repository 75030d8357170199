"""Settings are read when a process starts, so each case here starts one."""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

SAFE = {"DJANGO_SECRET_KEY": "x" * 50, "DJANGO_DEBUG": "false"}


def start(asked, **environment):
    """Import the settings in a process of their own; `asked` is an expression over `s`, the module."""
    return subprocess.run(
        [sys.executable, "-c", f"import json\nfrom config import settings as s\nprint(json.dumps({asked}))"],
        cwd=settings.BASE_DIR,
        env={"PATH": os.environ["PATH"], **SAFE, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def read(asked, **environment):
    done = start(asked, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_without_a_secret_key_it_refuses_to_start_and_says_how_to_get_one():
    done = start("s.SECRET_KEY", DJANGO_SECRET_KEY="")
    assert done.returncode != 0
    assert "ImproperlyConfigured: DJANGO_SECRET_KEY is not set." in done.stderr
    assert "secrets.token_urlsafe(50)" in done.stderr
    assert "DJANGO_DEBUG=true" in done.stderr


def test_with_debug_on_no_secret_key_is_needed():
    assert read("s.SECRET_KEY", DJANGO_SECRET_KEY="", DJANGO_DEBUG="true")


def test_a_variable_that_says_pytest_is_running_makes_nothing_less_safe():
    done = start("s.SECRET_KEY", DJANGO_SECRET_KEY="", PYTEST_VERSION="9.0.0")
    assert done.returncode != 0
    assert "DJANGO_SECRET_KEY is not set" in done.stderr
    asked = "[s.TESTING, s.LOCAL, s.SESSION_COOKIE_SECURE, s.SECURE_SSL_REDIRECT, 'MD5' in str(s.PASSWORD_HASHERS)]"
    assert read(asked, PYTEST_VERSION="9.0.0") == [False, False, True, True, False]


def test_debug_is_off_unless_somebody_asks_for_it():
    assert read("s.DEBUG", DJANGO_DEBUG="") is False
    assert read("s.DEBUG", DJANGO_DEBUG="true") is True


def test_cookies_are_secure_and_bound_to_the_host_in_production():
    asked = "[s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SESSION_COOKIE_NAME[:7], s.CSRF_COOKIE_NAME[:7]]"
    assert read(asked) == [True, True, "__Host-", "__Host-"]


def test_cookies_travel_over_plain_http_on_your_own_machine():
    assert read("[s.SESSION_COOKIE_SECURE, s.SESSION_COOKIE_NAME]", DJANGO_DEBUG="true") == [False, "headgate_session"]


def test_https_is_enforced_in_production_unless_switched_off():
    assert read("[s.SECURE_SSL_REDIRECT, s.SECURE_HSTS_SECONDS > 0]") == [True, True]
    assert read("s.SECURE_SSL_REDIRECT", DJANGO_SSL_REDIRECT="false") is False


def test_forwarded_headers_are_believed_only_behind_proxies_of_our_own():
    assert read("hasattr(s, 'SECURE_PROXY_SSL_HEADER')") is False
    assert read("hasattr(s, 'SECURE_PROXY_SSL_HEADER')", TRUSTED_PROXY_COUNT="1") is True


def test_sqlite_writers_queue_at_begin_in_wal_mode():
    options = read("s.DATABASES['default']['OPTIONS']")
    assert options["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in options["init_command"]


@pytest.mark.parametrize("url", ["sqlite:///headgate.sqlite3", "postgres://db/headgate"])
def test_a_connection_is_kept_for_the_next_request(url):
    assert read("s.DATABASES['default']['CONN_MAX_AGE']", DATABASE_URL=url) == 60
    assert read("s.DATABASES['default']['CONN_MAX_AGE']", DATABASE_URL=url, CONN_MAX_AGE="5") == 5


def test_postgresql_notices_a_dead_server_within_seconds():
    database = read("s.DATABASES['default']", DATABASE_URL="postgres://ana:pw@db.internal:6432/headgate")
    assert database["ENGINE"] == "tenants.postgresql"
    assert (database["HOST"], str(database["PORT"]), database["NAME"]) == ("db.internal", "6432", "headgate")
    assert database["OPTIONS"]["connect_timeout"] <= 5
    assert database["OPTIONS"]["tcp_user_timeout"] <= 10_000
    assert database["CONN_HEALTH_CHECKS"] is True


def test_a_pool_replaces_connections_that_are_kept():
    database = read("s.DATABASES['default']", DATABASE_URL="postgres://db/headgate", DATABASE_POOL="8")
    assert database["OPTIONS"]["pool"]["max_size"] == 8
    assert database["CONN_MAX_AGE"] == 0


def test_behind_pgbouncer_cursors_stay_on_the_client():
    asked = "s.DATABASES['default']['DISABLE_SERVER_SIDE_CURSORS']"
    url = "postgres://db/headgate"
    assert read(asked, DATABASE_URL=url) is False
    assert read(asked, DATABASE_URL=url, DISABLE_SERVER_SIDE_CURSORS="true") is True


def test_redis_is_guarded_and_given_up_on_quickly():
    cache = read("s.CACHES['default']", CACHE_URL="redis://127.0.0.1:6379/3")
    assert cache["BACKEND"] == "flags.guardedcache.GuardedRedisCache"
    assert cache["LOCATION"] == "redis://127.0.0.1:6379/3"
    assert cache["OPTIONS"] == {"socket_connect_timeout": 0.1, "socket_timeout": 0.1}


def test_without_redis_the_cache_lives_in_the_process():
    assert read("s.CACHES['default']['BACKEND']") == "django.core.cache.backends.locmem.LocMemCache"


@pytest.mark.parametrize("mode", ["exact", "streamed"])
def test_there_are_two_freshnesses(mode):
    assert read("s.FLAGS_FRESHNESS", FLAGS_FRESHNESS=mode) == mode


def test_a_freshness_that_does_not_exist_is_refused_by_name():
    done = start("s.FLAGS_FRESHNESS", FLAGS_FRESHNESS="fresh")
    assert done.returncode != 0
    assert "FLAGS_FRESHNESS is 'fresh'. Say 'exact' or 'streamed'" in done.stderr


@pytest.mark.parametrize("bound", ["0", "99", "60001"])
def test_a_bound_that_cannot_be_kept_or_is_none_is_refused(bound):
    assert read("s.FLAGS_MAX_STALENESS_MS", FLAGS_MAX_STALENESS_MS="250") == 250
    done = start("s.FLAGS_MAX_STALENESS_MS", FLAGS_MAX_STALENESS_MS=bound)
    assert done.returncode != 0
    assert f"FLAGS_MAX_STALENESS_MS is {bound}. Give 100 to 60000 milliseconds" in done.stderr


def test_a_flag_named_in_the_environment_is_found_there():
    assert read("s.FLAGS_ENVIRONMENT.get('BILLING_ENABLED')", BILLING_ENABLED="true") == "true"


def test_passwords_are_hashed_with_argon2():
    assert "Argon2" in read("s.PASSWORD_HASHERS[0]")


def test_static_files_are_hashed_and_compressed_in_production_only():
    asked = "s.STORAGES['staticfiles']['BACKEND'].rpartition('.')[2]"
    assert read(asked) == "CompressedManifestStaticFilesStorage"
    assert read(asked, DJANGO_DEBUG="true") == "StaticFilesStorage"


def test_mail_goes_where_its_url_says():
    assert read("[s.EMAIL_BACKEND, s.DEFAULT_FROM_EMAIL]") == [
        "django.core.mail.backends.console.EmailBackend",
        "headgate@localhost",
    ]
    host = read("[s.EMAIL_HOST, s.EMAIL_PORT, s.EMAIL_USE_TLS]", EMAIL_URL="smtp+tls://u:p@mail.internal:587")
    assert host == ["mail.internal", 587, True]


def test_the_example_starts_as_it_stands():
    lines = (settings.BASE_DIR / ".env.example").read_text().splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert read("[s.DEBUG, s.DATABASES['default']['ENGINE'], s.CSRF_TRUSTED_ORIGINS]", **example) == [
        True,
        "django.db.backends.sqlite3",
        [],
    ]
