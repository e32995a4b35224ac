"""The life of a service process: read settings, compose, listen, tell health, drain, end.

def main() -> None:
    run_service("origin", OriginSettings, compose)

@asynccontextmanager
async def compose(settings: OriginSettings) -> AsyncIterator[web.Application]:
    ... open stores ...
    app = new_app("origin", ready=probe)
    mount(app, ...)
    yield app          # listening happens here
    ... close stores ...
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry

from foundation.errors import BadInput, PopreelError, SettingsError, Unavailable
from foundation.http import openapi
from foundation.http.endpoint import ENDPOINTS, MAX_JSON_BYTES, render
from foundation.http.problem import problem_response, problems_middleware
from foundation.settings import Settings, load
from foundation.telemetry import logs
from foundation.telemetry.metrics import REGISTRY, HttpMetrics, metrics_middleware, metrics_page, new_registry
from foundation.telemetry.traces import NoTracer, Tracer, traces_middleware

_log = logging.getLogger(__name__)
DRAIN_S = 10.0
VERSION = "0.1.0"

ReadyProbe = Callable[[], Awaitable[None]]
"""Raises a PopreelError (its detail is shown) while the service cannot do its work."""


S = TypeVar("S", bound=Settings)
Compose = Callable[[S], AbstractAsyncContextManager[web.Application]]
Serve = Callable[[web.Application, str], AbstractAsyncContextManager[None]]
"""Listens for an application on HOST:PORT while the context is open."""


def new_app(
    service: str,
    *,
    ready: ReadyProbe | None = None,
    registry: CollectorRegistry | None = None,
    tracer: Tracer | None = None,
    max_body_bytes: int = MAX_JSON_BYTES,
    limits: openapi.MemberLimits | None = None,
) -> web.Application:
    """An application with problems, metrics, traces, /healthz, /readyz, /metrics and /openapi.json in place.

    `limits`: what this installation allows, for the document.
    """
    registry = registry or new_registry()
    app = web.Application(
        middlewares=[
            metrics_middleware(HttpMetrics(registry)),
            traces_middleware(tracer or NoTracer()),
            problems_middleware,
        ],
        client_max_size=max_body_bytes,
    )
    app[REGISTRY] = registry
    app[ENDPOINTS] = []
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz(ready))
    app.router.add_get("/metrics", metrics_page)
    app.router.add_get("/openapi.json", _openapi(service, limits or {}))
    return app


async def _healthz(request: web.Request) -> web.Response:
    return render({"status": "ok"})


def _readyz(ready: ReadyProbe | None) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def probe(request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(5):
                if ready is not None:
                    await ready()
        except PopreelError as err:
            return problem_response(Unavailable(err.detail, retry_after_s=1))
        except TimeoutError:
            return problem_response(Unavailable("a dependency does not answer", retry_after_s=1))
        return render({"status": "ready"})

    return probe


def _openapi(service: str, limits: openapi.MemberLimits) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def describe(request: web.Request) -> web.Response:
        endpoints = request.app[ENDPOINTS]
        return render(openapi.document(endpoints, title=f"popreel {service}", version=VERSION, limits=limits))

    return describe


def parse_listen(listen: str) -> tuple[str, int]:
    """("127.0.0.1", 8080) of "127.0.0.1:8080" or "[::1]:8080". Raises BadInput."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535 or not host:
        raise BadInput(f"{listen!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


@asynccontextmanager
async def listening(app: web.Application, listen: str, *, drain_s: float = DRAIN_S) -> AsyncIterator[None]:
    """Serve `app` on `listen`; on leaving, stop accepting, let requests under way finish within `drain_s`, close."""
    host, port = parse_listen(listen)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=drain_s, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        yield
    finally:
        await runner.cleanup()


def stop_signal() -> asyncio.Event:
    """An event set by SIGTERM or SIGINT. Call it on the running loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def run_service(name: str, settings_type: type[S], compose: Compose[S], *, serve: Serve = listening) -> None:
    """`python -m ... --config FILE`: run until told to stop. Exits with 2 and one clear line on unusable settings.

    `serve` replaces the plain aiohttp listener (a PoP has its own protocol on the socket).
    """
    parser = argparse.ArgumentParser(prog=f"python -m {name}.service")
    parser.add_argument("--config", type=Path, help="TOML settings; environment variables override it")
    config = parser.parse_args().config
    logs.configure(name, level=os.environ.get("POPREEL_LOG_LEVEL", "INFO"))
    try:
        settings = load(settings_type, file=config, environ=os.environ)
        uvloop.run(_live(name, settings, compose, serve))
    except SettingsError as err:
        print(f"{name}: {err}", file=sys.stderr)
        raise SystemExit(2) from None


async def _live(name: str, settings: S, compose: Compose[S], serve: Serve) -> None:
    listen: str = settings.listen  # type: ignore[attr-defined]  # every service's settings have it
    stop = stop_signal()
    async with compose(settings) as app, serve(app, listen):
        _log.info("listening", extra={"event": "listening", "listen": listen})
        await stop.wait()
        _log.info("draining", extra={"event": "draining"})
    _log.info("stopped", extra={"event": "stopped"})
