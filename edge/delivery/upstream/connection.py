"""One HTTP/1.1 connection to the origin, for one exchange at a time.

An own client because a cache must see what general clients hide: interim responses to relay, the difference between a
whole body and one cut short, and bytes that no request asked for. llhttp (httptools) parses; lenient nowhere.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import cast

import httptools
from multidict import CIMultiDict

from edge.delivery.errors import OriginBroke, OriginTimeout

MAX_HEAD_BYTES = 65_536
MAX_FIELDS = 200
READ_AHEAD_BYTES = 512 * 1024
"""Received but not consumed: above this the socket is not read."""

Interim = Callable[[int, str, CIMultiDict[str]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    status: int
    reason: str
    headers: CIMultiDict[str]
    delimited: bool
    """The body's end is marked (Content-Length, chunked or no body): only then can truncation be told."""


class OriginConnection(asyncio.Protocol):
    """`send` a request, await `head`, iterate `body`; then `reusable` says whether another exchange may follow."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._closed: OriginBroke | None = None
        self._can_write = asyncio.Event()
        self._can_write.set()
        self._idle = True
        self._reset("GET", None)

    def _reset(self, method: str, interim: Interim | None) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._method = method
        self._interim = interim
        self._head: asyncio.Future[ResponseHead] | None = None
        self._reason = b""
        self._fields: CIMultiDict[str] = CIMultiDict()
        self._head_bytes = 0
        self._got_head = False
        self._complete = False
        self._keep_alive = False
        self._delimited = True
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._more = asyncio.Event()
        self._got_body = False
        self._is_held = False
        """Nothing is read behind the first bytes yet: else the loop takes in all there is before they are passed on."""
        self.got_bytes = False

    # -- the exchange ------------------------------------------------------------------------------------------------

    @property
    def reusable(self) -> bool:
        return self._complete and self._keep_alive and self._closed is None and not self._chunks

    async def send(
        self,
        head: bytes,
        *,
        method: str,
        interim: Interim | None,
        body: AsyncIterator[bytes] | None,
        chunked: bool,
        timeout_s: float,
    ) -> None:
        """Write a request. Raises OriginBroke when the connection is gone, OriginTimeout when it takes no more."""
        self._reset(method, interim)
        self._idle = False
        self._head = self._loop.create_future()
        self._write(head)
        if body is not None:
            await self._send_body(body, chunked=chunked, timeout_s=timeout_s)

    async def _send_body(self, body: AsyncIterator[bytes], *, chunked: bool, timeout_s: float) -> None:
        async for chunk in body:
            if chunk:
                self._write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
            try:
                async with asyncio.timeout(timeout_s):
                    await self._can_write.wait()
            except TimeoutError as err:
                raise OriginTimeout(f"the origin took nothing of the body for {timeout_s:g} s") from err
            if self._got_head:  # answered early (413 ...): the rest is not wanted
                self._keep_alive = False
                return
        if chunked:
            self._write(b"0\r\n\r\n")

    def _write(self, data: bytes) -> None:
        if self._closed is not None or self._transport is None:
            raise self._closed or OriginBroke("the connection to the origin is closed")
        self._transport.write(data)

    async def head(self, *, timeout_s: float) -> ResponseHead:
        """The final response's head. Raises OriginBroke, OriginTimeout."""
        assert self._head is not None
        try:
            async with asyncio.timeout(timeout_s):
                return await self._head
        except TimeoutError as err:
            raise OriginTimeout(f"no response head from the origin in {timeout_s:g} s") from err

    async def body(self, *, timeout_s: float) -> AsyncIterator[bytes]:
        """The body's chunks. Raises OriginBroke when it ends early, OriginTimeout after `timeout_s` without a byte."""
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self._buffered -= len(chunk)
                if self._buffered <= READ_AHEAD_BYTES // 2 and not self._is_held:
                    self._resume_reading()
                yield chunk
            if self._is_held:
                await self._let_go()
            if self._complete:
                return
            if self._closed is not None:
                raise self._closed
            self._more.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._more.wait()
            except TimeoutError as err:
                raise OriginTimeout(f"the origin sent nothing for {timeout_s:g} s") from err

    async def _let_go(self) -> None:
        """Read on, when those who waited for the first bytes have had two turns to write them."""
        for _ in range(2):
            await asyncio.sleep(0)
        self._is_held = False
        self._resume_reading()

    def _resume_reading(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def rest(self) -> None:
        """Back to the pool: from now on any byte that comes is unasked for."""
        self._idle = True

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    @property
    def is_open(self) -> bool:
        return self._closed is None and self._transport is not None

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def pause_writing(self) -> None:
        self._can_write.clear()

    def resume_writing(self) -> None:
        self._can_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._got_head and not self._delimited and exc is None:
            self._finish(keep_alive=False)
        self._fail(OriginBroke("the origin closed the connection before the answer was whole"))

    def _fail(self, error: OriginBroke) -> None:
        self._closed = self._closed or error
        self._can_write.set()
        self._more.set()
        if self._head is not None and not self._head.done():
            self._head.set_exception(self._closed)
            self._head.exception()  # nobody may be waiting any more
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._idle or self._complete:  # bytes nobody asked for: this connection is not to be trusted
            self._keep_alive = False
            self._fail(OriginBroke("the origin sent bytes outside any answer"))
            return
        self.got_bytes = True
        if not self._got_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES + len(data):
                self._fail(OriginBroke("the origin's response head is too large"))
                return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(OriginBroke("the origin switched protocols unasked"))
        except httptools.HttpParserError as err:
            if not self._complete:
                self._fail(OriginBroke(f"the origin's answer is not HTTP/1.1: {err}"))
            self._keep_alive = False
        if (self._is_held or self._buffered > READ_AHEAD_BYTES) and self._transport is not None:
            self._transport.pause_reading()

    # -- llhttp callbacks --------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._complete:
            self._keep_alive = False

    def on_status(self, status: bytes) -> None:
        self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._got_head:
            return  # a trailer
        if len(self._fields) >= MAX_FIELDS:
            raise ValueError("too many header fields")  # llhttp turns it into a parser error
        self._fields.add(name.decode("latin-1"), _text(value).strip(" \t"))

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        status = self._parser.get_status_code()
        reason, fields = self._reason.decode("latin-1"), self._fields
        self._reason, self._fields = b"", CIMultiDict()
        if 100 <= status < 200:
            if self._interim is not None:
                self._interim(status, reason, fields)
            return
        self._got_head = True
        bodiless = self._method == "HEAD" or status in (204, 304)
        self._delimited = bodiless or "Content-Length" in fields or "Transfer-Encoding" in fields
        assert self._head is not None
        if not self._head.done():
            head = ResponseHead(status=status, reason=reason, headers=fields, delimited=self._delimited)
            self._head.set_result(head)
        if bodiless:
            self._finish(keep_alive=self._parser.should_keep_alive() and self._method != "HEAD")

    def on_body(self, body: bytes) -> None:
        if self._complete:
            return
        if not self._got_body:
            self._got_body = self._is_held = True
        self._chunks.append(body)
        self._buffered += len(body)
        self._more.set()

    def on_message_complete(self) -> None:
        if self._got_head and not self._complete:
            self._finish(keep_alive=self._parser.should_keep_alive())

    def _finish(self, *, keep_alive: bool) -> None:
        self._complete = True
        self._is_held = False
        self._keep_alive = keep_alive and self._delimited
        self._more.set()


def _text(value: bytes) -> str:
    """UTF-8 where it is that, since aiohttp writes fields so; else Latin-1, the old meaning of such bytes."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
