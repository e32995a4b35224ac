"""The origin as the cache sees it: ask, get a head and a body; pooled connections, one retry, fail-over."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from multidict import CIMultiDict

from edge.delivery.errors import OriginBroke, OriginTimeout, OriginUnreachable
from edge.delivery.settings import DeliverySettings
from edge.delivery.upstream.connection import Interim, OriginConnection, ResponseHead
from edge.delivery.upstream.priority_gate import Priority, PriorityGate
from foundation.errors import SettingsError

MAX_IDLE = 32
DOWN_S = 3.0
"""After a failure the next origin is preferred for this long."""
_FAIL_OVER = frozenset({502, 503, 504})
_RETRIED = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginRequest:
    """`target` is path and query; `headers` are end-to-end ones, without Host. `body` None means no body."""

    method: str
    target: str
    headers: CIMultiDict[str]
    body: AsyncIterator[bytes] | None = None
    body_length: int | None = None
    """None with a body: sent chunked."""
    interim: Interim | None = None
    priority: Priority = Priority.VIEWER


@dataclass(slots=True, kw_only=True)
class Exchange:
    """An answer under way. Iterate `body()` once, then (or instead) `close()`; closing early costs the connection."""

    head: ResponseHead
    connection: OriginConnection
    idle_timeout_s: float
    on_close: Callable[[], None]
    closed: bool = field(default=False)

    def body(self) -> AsyncIterator[bytes]:
        return self.connection.body(timeout_s=self.idle_timeout_s)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.on_close()


class Origin:
    """One origin server and its connections."""

    def __init__(self, url: str, settings: DeliverySettings) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
            raise SettingsError(f"origin {url!r} is not http(s)://HOST[:PORT]")
        self.url = url
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._authority = parts.netloc.rpartition("@")[2]
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._settings = settings
        self._idle: deque[OriginConnection] = deque()
        self._gate = PriorityGate(
            slots=settings.origin_connections,
            background_slots=settings.background_connections,
            max_waiting=settings.origin_queue,
        )

    async def ask(self, request: OriginRequest) -> Exchange:
        """Send a request and wait for the final response's head. Raises DeliveryError."""
        await self._gate.enter(request.priority)
        try:
            return await self._exchange(request)
        except BaseException:
            self._gate.leave(request.priority)
            raise

    async def _exchange(self, request: OriginRequest) -> Exchange:
        while (pooled := self._pooled()) is not None:
            try:
                return await self._on(pooled, request)
            except OriginBroke:
                # An idle connection may have been closed by the origin just now; that is no answer, so ask again on
                # another (RFC 9112 section 9.3.1), unless it did answer or the request must not be repeated.
                if pooled.got_bytes or request.body is not None or request.method not in _RETRIED:
                    raise
        return await self._on(await self._connect(), request)

    def _pooled(self) -> OriginConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    async def _connect(self) -> OriginConnection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                _, connection = await loop.create_connection(OriginConnection, self._host, self._port, ssl=self._tls)
        except TimeoutError as err:
            raise OriginUnreachable("no connection to the origin in time") from err
        except OSError as err:
            raise OriginUnreachable("the origin refuses connections or is not there") from err
        return connection

    async def _on(self, connection: OriginConnection, request: OriginRequest) -> Exchange:
        try:
            await connection.send(
                self._head_of(request),
                method=request.method,
                interim=request.interim,
                body=request.body,
                chunked=request.body_length is None,
                timeout_s=self._settings.idle_timeout_s,
            )
            head = await connection.head(timeout_s=self._settings.first_byte_timeout_s)
        except BaseException:
            connection.close()
            raise

        def release() -> None:
            if connection.reusable and len(self._idle) < MAX_IDLE:
                connection.rest()
                self._idle.append(connection)
            else:
                connection.close()
            self._gate.leave(request.priority)

        return Exchange(
            head=head, connection=connection, idle_timeout_s=self._settings.idle_timeout_s, on_close=release
        )

    def _head_of(self, request: OriginRequest) -> bytes:
        lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {self._authority}"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        if request.body is not None:
            framing = (
                "Transfer-Encoding: chunked"
                if request.body_length is None
                else f"Content-Length: {request.body_length}"
            )
            lines.append(framing)
        if any("\r" in line or "\n" in line or "\0" in line for line in lines):
            raise OriginBroke("a header field holds a line break")  # never write a request we did not mean
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


class Origins:
    """Origins in order of preference. A safe request goes to the next when one is away or answers 502, 503 or 504."""

    def __init__(self, settings: DeliverySettings, *, clock: Callable[[], float]) -> None:
        self._origins = [Origin(url, settings) for url in settings.origins]
        self._down_until = dict.fromkeys(range(len(self._origins)), 0.0)
        self._clock = clock
        self.failovers = 0

    async def ask(self, request: OriginRequest) -> Exchange:
        """Raises DeliveryError of the last origin tried."""
        order = self._order()
        may_repeat = request.method in _RETRIED and request.body is None
        for place, number in enumerate(order):
            is_last = place == len(order) - 1 or not may_repeat
            try:
                exchange = await self._origins[number].ask(request)
            except (OriginUnreachable, OriginTimeout, OriginBroke):
                self._down_until[number] = self._clock() + DOWN_S
                if is_last:
                    raise
            else:
                if exchange.head.status not in _FAIL_OVER or is_last:
                    return exchange
                exchange.close()
            self.failovers += 1
        raise OriginUnreachable("no origin is set")

    def _order(self) -> Sequence[int]:
        now = self._clock()
        return sorted(range(len(self._origins)), key=lambda number: (self._down_until[number] > now, number))

    def close(self) -> None:
        for origin in self._origins:
            origin.close()
