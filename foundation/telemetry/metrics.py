"""Metrics every HTTP service has. A package declares its own in its metrics.py, on the registry it is given.

Each process (and each test) has a registry of its own: nothing is registered globally.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

# OpenTelemetry's HTTP buckets, with finer ones below 5 ms for cache hits.
DURATION_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REGISTRY: web.AppKey[CollectorRegistry] = web.AppKey("metrics_registry", CollectorRegistry)


def new_registry() -> CollectorRegistry:
    """A registry with the process's own figures (memory, CPU, open files) in it."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class HttpMetrics:
    """http_server_request_duration_seconds by method, route template and status; requests under way."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.duration_s = Histogram(
            "http_server_request_duration_seconds",
            "Time to answer, by route template.",
            ["method", "route", "status"],
            buckets=DURATION_BUCKETS_S,
            registry=registry,
        )
        self.in_flight = Gauge("http_server_active_requests", "Requests under way.", registry=registry)
        self.problems = Counter(
            "http_server_problems_total",
            "Answers that were errors, by status class.",
            ["status_class"],
            registry=registry,
        )


def metrics_middleware(metrics: HttpMetrics) -> Middleware:
    """Measures every request; goes outside the problems middleware."""

    @web.middleware
    async def measure(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        started = time.perf_counter()
        status = 500
        with metrics.in_flight.track_inprogress():
            try:
                response = await handler(request)
                status = response.status
                return response
            except web.HTTPException as err:
                status = err.status
                raise
            finally:
                resource = request.match_info.route.resource
                route = resource.canonical if resource is not None else "unmatched"
                method = request.method if request.method in _METHODS else "_OTHER"
                metrics.duration_s.labels(method, route, str(status)).observe(time.perf_counter() - started)
                if status >= 400:
                    metrics.problems.labels(f"{status // 100}xx").inc()

    return measure


async def metrics_page(request: web.Request) -> web.Response:
    """GET /metrics in the Prometheus text format."""
    body = generate_latest(request.app[REGISTRY])
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
