"""OpenTelemetry traces, off unless an OTLP endpoint is set (needs the extra `popreel[otel]`).

Off, `tracer()` costs one attribute look-up and spans are no-ops of our own, so nothing imports OpenTelemetry.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

from foundation.errors import SettingsError


class Tracer(Protocol):
    """The part of tracing we use."""

    def span(self, name: str, attributes: Mapping[str, Any] | None = None) -> AbstractContextManager[None]: ...

    def server_span(
        self, name: str, headers: Mapping[str, str], attributes: Mapping[str, Any]
    ) -> AbstractContextManager[None]: ...

    def inject(self, headers: MutableMapping[str, str]) -> None:
        """Write `traceparent` for the next hop."""

    def shutdown(self) -> None: ...


class NoTracer:
    """Tracing switched off."""

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Any] | None = None) -> Iterator[None]:
        yield

    @contextmanager
    def server_span(self, name: str, headers: Mapping[str, str], attributes: Mapping[str, Any]) -> Iterator[None]:
        yield

    def inject(self, headers: MutableMapping[str, str]) -> None:
        return None

    def shutdown(self) -> None:
        return None


class OtlpTracer:
    """Spans sent in batches over OTLP/HTTP to `endpoint` (".../v1/traces"); W3C traceparent across hops."""

    def __init__(self, *, service: str, endpoint: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace import SpanKind
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError as err:
            raise SettingsError("traces need the extra: pip install 'popreel[otel]', or unset otlp_endpoint") from err
        self._provider = TracerProvider(resource=Resource.create({"service.name": service}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
        self._tracer = self._provider.get_tracer("popreel")
        self._propagator = TraceContextTextMapPropagator()
        self._server_kind = SpanKind.SERVER

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Any] | None = None) -> Iterator[None]:
        with self._tracer.start_as_current_span(name, attributes=dict(attributes or {})):
            yield

    @contextmanager
    def server_span(self, name: str, headers: Mapping[str, str], attributes: Mapping[str, Any]) -> Iterator[None]:
        carrier = {"traceparent": headers.get("traceparent", ""), "tracestate": headers.get("tracestate", "")}
        parent = self._propagator.extract(carrier)
        with self._tracer.start_as_current_span(
            name, context=parent, kind=self._server_kind, attributes=dict(attributes)
        ):
            yield

    def inject(self, headers: MutableMapping[str, str]) -> None:
        self._propagator.inject(headers)

    def shutdown(self) -> None:
        """Flush what is queued. Blocks for up to the exporter's timeout: call it after the loop has ended."""
        self._provider.shutdown()


def make_tracer(*, service: str, endpoint: str) -> Tracer:
    """NoTracer when `endpoint` is empty."""
    return OtlpTracer(service=service, endpoint=endpoint) if endpoint else NoTracer()


def traces_middleware(tracer: Tracer) -> Middleware:
    """One server span a request, named by method and route template."""

    @web.middleware
    async def trace(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "unmatched"
        attributes = {"http.request.method": request.method, "http.route": route, "url.scheme": request.scheme}
        with tracer.server_span(f"{request.method} {route}", request.headers, attributes):
            return await handler(request)

    return trace
