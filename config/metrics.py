"""What a process knows of itself, for Prometheus. Reads memory only: asking must not cost what is being watched."""

from collections.abc import Iterator
from hmac import compare_digest
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from flags import guardedcache, snapshots, usage, watching
from tenants import refusals

prometheus_client: Any = None
if find_spec("prometheus_client"):  # The extra `metrics`.
    import prometheus_client
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

BEARER = "Bearer "


class Collector:
    """The state of answers in this process, as gauges, and how many requests it has refused."""

    def collect(self) -> Iterator["CounterMetricFamily | GaugeMetricFamily"]:
        """Yield each figure with what it means."""
        known = snapshots.known()
        yield GaugeMetricFamily(
            "headgate_rules_version", "Version of the newest rules here; 0 for none.", known.version
        )
        yield GaugeMetricFamily("headgate_flags", "Flags in the newest rules here.", known.flags)
        yield GaugeMetricFamily("headgate_companies_known", "Companies whose answers are kept here.", known.companies)
        yield GaugeMetricFamily("headgate_usage_waiting", "Counts of use not written down yet.", usage.waiting())
        yield GaugeMetricFamily(
            "headgate_cache_left_alone", "1 while a failing cache is left alone.", int(guardedcache.is_left_alone())
        )
        refused = CounterMetricFamily("headgate_refusals", "Requests that were refused, by status.", labels=["status"])
        for status in refusals.REFUSALS:
            refused.add_metric([str(status)], refusals.counted[status])
        yield refused
        if settings.FLAGS_FRESHNESS == "streamed":
            yield GaugeMetricFamily(
                "headgate_watcher_age_seconds",
                "How old what the watcher has read is; infinite before the first check.",
                watching.age(),
            )


def _may_ask(request: HttpRequest) -> bool:
    """Let in this machine, unless a proxy on it speaks for others, and whoever knows METRICS_TOKEN."""
    said = request.headers.get("Authorization", "")
    if settings.METRICS_TOKEN and said.startswith(BEARER):
        return compare_digest(said.removeprefix(BEARER).encode(), settings.METRICS_TOKEN.encode())
    try:
        is_here = ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        is_here = False
    return is_here and "X-Forwarded-For" not in request.headers and "Forwarded" not in request.headers


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer in Prometheus' text format; 404 to strangers, 501 where the extra `metrics` is not installed."""
    if not _may_ask(request):
        return HttpResponse("Not found.\n", status=404, content_type="text/plain")
    if prometheus_client is None:
        return HttpResponse("Install headgate[metrics] for this.\n", status=501, content_type="text/plain")
    registry = prometheus_client.CollectorRegistry()
    registry.register(Collector())
    for collector in (prometheus_client.PLATFORM_COLLECTOR, prometheus_client.PROCESS_COLLECTOR):
        registry.register(collector)
    body = prometheus_client.generate_latest(registry)
    return HttpResponse(body, content_type=prometheus_client.CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})
