"""Two questions a machine asks: are you alive, and can you work?"""

from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.core.cache import cache as default_cache
from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import get_random_string

from config import startup
from flags import watching
from tenants import patience

PROBE_KEY = "config.health.probe"


def healthz(request: HttpRequest) -> HttpResponse:
    """Answer that the process is alive. No database, no cache, no session: a slow disk is no reason to be restarted."""
    return JsonResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 when requests can be served: the database is reachable and carries the schema this code expects.

    503 otherwise. A cache that fails is `degraded` and stays 200, since answers come without it, only slower; so is a
    database that takes no changes, and with `streamed` a watcher that is late: checks ask for themselves then.
    """
    with patience.at_most(patience.QUICK_SECONDS):
        database, migrations = _database_state()
    ready = database in ("ok", "read-only") and migrations == "ok"
    checks = {"database": database, "migrations": migrations, "cache": _cache_state()}
    if settings.FLAGS_FRESHNESS == "streamed":
        checks["watcher"] = "late" if watching.is_late() else "ok"
    status = "unavailable" if not ready else "ok" if set(checks.values()) == {"ok"} else "degraded"
    return JsonResponse(
        {"status": status, "checks": checks}, status=200 if ready else 503, headers={"Cache-Control": "no-store"}
    )


PROBES: dict[str, Callable[[HttpRequest], HttpResponse]] = {"/healthz": healthz, "/readyz": readyz}


class ProbeMiddleware:
    """Answer the probes before anything looks at the host, the scheme or the session.

    A load balancer asks by address and in plain HTTP: it must not be redirected to HTTPS, nor refused because
    its Host is not among `DJANGO_ALLOWED_HOSTS`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        probe = PROBES.get(request.path_info.removesuffix("/"))
        return probe(request) if probe else self.get_response(request)


@cache
def _newest_migrations() -> frozenset[tuple[str, str]]:
    """The last migration of every app, read from disk once: the code of a running process does not change."""
    return frozenset(MigrationLoader(None).graph.leaf_nodes())


def _database_state() -> tuple[str, str]:
    try:
        applied = MigrationRecorder(connection).applied_migrations()
        state = "read-only" if _takes_no_changes() else "ok"
        if not startup.is_safe():
            state = "unverified"
    except DatabaseError:
        connection.close()  # The next probe must not inherit a connection that is known to be broken.
        return "unreachable", "unknown"
    return state, "ok" if _newest_migrations() <= applied.keys() else "missing"


def _takes_no_changes() -> bool:
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("select current_setting('transaction_read_only')::bool")
        return cursor.fetchone()[0]


def _cache_state() -> str:
    written = get_random_string(12)
    try:
        default_cache.set(PROBE_KEY, written, timeout=10)
        return "ok" if default_cache.get(PROBE_KEY) == written else "degraded"
    except Exception:  # Whatever a cache backend raises, and they raise their client's own types: the cache is ill.
        return "degraded"
