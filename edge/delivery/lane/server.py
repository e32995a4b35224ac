"""The listening socket: fast lane in front, aiohttp behind, limits on both."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from edge.delivery.lane.protocol import EdgeProtocol

if TYPE_CHECKING:
    from edge.delivery.delivery import Delivery

SWEEP_S = 1.0
NEVER_S = 10 * 86_400.0
BACKLOG = 2048


class _Answered(AbstractAccessLogger):
    """aiohttp calls its access logger when an answer is written: the sign that the connection is free again."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        transport = request.transport
        protocol = transport.get_protocol() if transport is not None else None
        if isinstance(protocol, EdgeProtocol):
            protocol.answered()


class _ClientFaults(logging.Filter):
    """aiohttp logs each malformed request as an error with its traceback; the client has its 400, that is enough."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_CLIENT_FAULTS = _ClientFaults()


class EdgeServer:
    """Connections of one worker. `close` drains: requests under way get `drain_s`."""

    def __init__(
        self, delivery: Delivery, make_inner: Callable[[], RequestHandler], *, relays_any_method: bool
    ) -> None:
        settings = delivery.settings
        self._delivery = delivery
        self._make_inner = make_inner
        self.relays_any_method = relays_any_method
        """Not where an application has routes of its own: a stand-in for an unknown method must not reach them."""
        self._max_connections = settings.max_connections
        self._header_timeout_s = settings.header_timeout_s
        self._keepalive_timeout_s = settings.keepalive_timeout_s
        self._stalled_client_s = settings.stalled_client_s
        self._connections: set[EdgeProtocol] = set()
        self.loop = asyncio.get_running_loop()
        self.now_s = self.loop.time()
        """Coarse: moved on by the sweep."""
        self.refused_connections = 0
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._inner_close: Callable[[float], Awaitable[None]] | None = None

    def __len__(self) -> int:
        return len(self._connections)

    async def listen(
        self,
        *,
        host: str,
        port: int,
        reuse_port: bool,
        sock: socket.socket | None,
        inner_close: Callable[[float], Awaitable[None]],
    ) -> None:
        self._inner_close = inner_close
        options: dict[str, Any] = (
            {"sock": sock} if sock is not None else {"host": host, "port": port, "reuse_port": reuse_port or None}
        )
        self._server = await self.loop.create_server(self._protocol, backlog=BACKLOG, **options)
        self._sweeper = asyncio.create_task(self._sweep_on())

    def _protocol(self) -> EdgeProtocol:
        return EdgeProtocol(self, self._delivery.lane, self._make_inner)

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    # -- connections -------------------------------------------------------------------------------------------------

    def add(self, protocol: EdgeProtocol) -> bool:
        """False when there are too many: the connection is to be dropped."""
        if len(self._connections) >= self._max_connections:
            self.refused_connections += 1
            return False
        self._connections.add(protocol)
        return True

    def remove(self, protocol: EdgeProtocol) -> None:
        self._connections.discard(protocol)

    async def _sweep_on(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep(self.loop.time())

    def sweep(self, now_s: float) -> None:
        """End what is too slow: heads not finished, idle connections, clients that take no bytes."""
        self.now_s = now_s
        self._delivery.lane.repeats.clear()
        for protocol in tuple(self._connections):
            if protocol.head_since_s is not None and now_s - protocol.head_since_s > self._header_timeout_s:
                protocol.time_out_head()
            elif self._is_stalled(protocol, now_s):
                protocol.abort()
            elif protocol.is_idle and now_s - protocol.last_active_s > self._keepalive_timeout_s:
                protocol.close()

    def _is_stalled(self, protocol: EdgeProtocol, now_s: float) -> bool:
        unsent = protocol.unsent_bytes
        if unsent == 0 or unsent != protocol.stalled_bytes:
            protocol.stalled_bytes = unsent
            protocol.stalled_since_s = now_s
            return False
        return now_s - protocol.stalled_since_s > self._stalled_client_s

    # -- end ---------------------------------------------------------------------------------------------------------

    async def close(self, *, drain_s: float = 10.0) -> None:
        """Stop listening, let answers under way finish within `drain_s`, close every connection."""
        if self._server is not None:
            self._server.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweeper
        for protocol in tuple(self._connections):
            if protocol.is_idle:
                protocol.close()
        if self._inner_close is not None:
            await self._inner_close(drain_s)
        for protocol in tuple(self._connections):
            protocol.abort()


async def serve_edge(
    delivery: Delivery,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    app: web.Application | None = None,
    reuse_port: bool = False,
    sock: socket.socket | None = None,
) -> EdgeServer:
    """Listen. With `app`, what is no hit goes to it (it routes delivered paths to `delivery.handle`); without, all
    paths are delivered. Raises OSError when the address is taken.
    """
    log = logging.getLogger("edge.delivery.slow_lane")
    log.addFilter(_CLIENT_FAULTS)
    options: dict[str, Any] = {
        "access_log_class": _Answered,
        "access_log": log,
        "logger": log,
        "keepalive_timeout": NEVER_S,
        "tcp_keepalive": True,
    }
    if app is None:
        plain = web.Server(delivery.handle, auto_decompress=False, handler_cancellation=True, **options)
        server = EdgeServer(delivery, plain, relays_any_method=True)
        await server.listen(host=host, port=port, reuse_port=reuse_port, sock=sock, inner_close=plain.shutdown)
        return server
    runner = web.AppRunner(app, handler_cancellation=True, **options)
    await runner.setup()
    assert runner.server is not None

    async def close_app(drain_s: float) -> None:
        assert runner.server is not None
        await runner.server.shutdown(drain_s)
        await runner.cleanup()

    server = EdgeServer(delivery, runner.server, relays_any_method=False)
    await server.listen(host=host, port=port, reuse_port=reuse_port, sock=sock, inner_close=close_app)
    return server
