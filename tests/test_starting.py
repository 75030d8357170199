"""What a host application loads by having our two applications installed: what answers need, and nothing else."""

import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.checks import registry
from django.utils.module_loading import import_string

from flags import apps as flags_apps
from flags import checks as flags_checks
from tenants import apps as tenants_apps
from tenants import checks as tenants_checks
from tenants import deployment

STARTING = """
import sys, threading
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "tenants", "flags"],
    AUTH_USER_MODEL="tenants.User",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    USE_TZ=True, SECRET_KEY="x", FLAGS_FRESHNESS=sys.argv[1], FLAGS_MAX_STALENESS_MS=1000,
)
django.setup()
assert threading.active_count() == 1
print(*sys.modules)
"""
# What decides, what it is decided from, and what hears of changes.
OURS = {
    *("flags.apps", "flags.models", "flags.releasemodels", "flags.batchmodels", "flags.callmodels", "flags.viewmodels"),
    *("flags.features", "flags.evaluation", "flags.answers", "flags.catalogue", "flags.registry", "flags.exceptions"),
    *("flags.snapshots", "flags.loading", "flags.resolution", "flags.versions", "flags.tracked", "flags.sharedcache"),
    *("flags.usage", "flags.signals", "flags.announcements", "flags.policies", "flags.placing", "flags.sqlanswers"),
    *("tenants.apps", "tenants.models", "tenants.later", "tenants.guard", "tenants.rls", "tenants.roles"),
    *("tenants.told", "tenants.patience", "tenants.forking"),
}
WATCHER = {"flags.watching", "flags.listening"}
HEAVY = {
    "jwt",
    "rest_framework",
    "drf_spectacular",
    "psycopg",
    "redis",
    "openfeature",
    "django.test",
    "django.db.migrations.loader",
}


def loaded(freshness: str) -> set[str]:
    command = [sys.executable, "-c", STARTING, freshness]
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(("freshness", "more"), [("exact", set()), ("streamed", WATCHER)])
def test_a_host_loads_what_answers_need_and_no_more(freshness, more):
    names = loaded(freshness)
    assert {name for name in names if name.startswith(("flags.", "tenants.", "config."))} == OURS | more
    assert names & HEAVY == set()


def test_every_check_is_registered_and_can_be_called():
    listed = {*flags_apps.CHECKS, *tenants_apps.CHECKS, *tenants_apps.DEPLOYMENT_CHECKS}
    there = {
        f"{module.__name__}.{name}"
        for module in (flags_checks, tenants_checks, deployment)
        for name, found in vars(module).items()
        if callable(found) and getattr(found, "__module__", "") == module.__name__ and not name.startswith("_")
    }
    assert listed == there
    registered = [check for check in registry.registry.get_checks(True) if check.__module__ == "tenants.later"]
    assert len(registered) == len(listed)


@pytest.mark.parametrize("path", [*tenants_apps.AFTER_MIGRATE, *flags_apps.AFTER_MIGRATE])
def test_what_follows_a_migration_is_there(path):
    assert callable(import_string(path))
