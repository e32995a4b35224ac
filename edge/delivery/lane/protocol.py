"""One client connection: heads are read here, hits answered at once, the rest handed to aiohttp byte for byte.

While aiohttp has a request, later bytes wait here (bounded), so answers keep the order of requests. A request whose end
only aiohttp can tell (chunked, upgrade, malformed) gives it the connection for good.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from edge.delivery.lane.fast_lane import FastLane
from edge.delivery.lane.link import LinkReport
from edge.delivery.lane.prepared_hit import JOIN_BYTES, Reply
from edge.delivery.lane.request_head import MAX_HEAD_BYTES, Framing, HeaderBlock

if TYPE_CHECKING:
    from edge.delivery.lane.server import EdgeServer

MAX_WAITING_BYTES = 65_536
WRITE_HIGH_BYTES = 256 * 1024
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_BAD = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_NO_TUNNEL = b"HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}")
_KNOWN_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE"})
_STAND_IN = b"POST"
"""llhttp refuses methods it has no name for, a cache must not (RFC 9111 section 4.4): they go through it as this."""


class EdgeProtocol(asyncio.Protocol):
    """`inner` is made when the first request needs it; most viewers' connections never do."""

    __slots__ = (
        "_body_left",
        "_buffer",
        "_busy",
        "_clock",
        "_heads",
        "_inner",
        "_known_blocks",
        "_lane",
        "_link",
        "_make_inner",
        "_reading_paused",
        "_repeats",
        "_server",
        "_sticky",
        "_transport",
        "_writing_paused",
        "head_since_s",
        "last_active_s",
        "stalled_bytes",
        "stalled_since_s",
        "unknown_method",
    )

    def __init__(self, server: EdgeServer, lane: FastLane, make_inner: Callable[[], RequestHandler]) -> None:
        self._server = server
        self._lane = lane
        self._heads = lane.heads
        self._known_blocks = lane.heads.known
        self._clock = lane.clock
        self._repeats = lane.repeats.known
        self._make_inner = make_inner
        self._inner: RequestHandler | None = None
        self._transport: asyncio.Transport | None = None
        self._link: LinkReport | None = None
        self._buffer = b""
        self._busy = False
        self._sticky = False
        self._body_left = 0
        self._writing_paused = False
        self._reading_paused = False
        self.last_active_s = server.now_s
        self.head_since_s: float | None = None
        """When the unfinished head in the buffer began."""
        self.stalled_since_s = 0.0
        self.stalled_bytes = 0
        self.unknown_method = ""
        """Of the request that aiohttp has, if aiohttp knows it under the stand-in's name; see `method_of`."""

    # -- asyncio.Protocol --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        self._link = LinkReport(self._transport, name=self._lane.name)
        if not self._server.add(self):
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.remove(self)
        self._transport = None
        self._buffer = b""
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def eof_received(self) -> bool | None:
        if self._inner is not None:
            self._inner.eof_received()
        return None

    def pause_writing(self) -> None:
        self._writing_paused = True
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._inner is not None:
            self._inner.resume_writing()
        self._go_on()

    def data_received(self, data: bytes) -> None:
        if self._sticky:
            self._feed(data)
        elif self._busy or self._writing_paused:
            self._wait_or_relay(data)
        elif self._buffer:
            self._process(self._buffer + data)
        elif (
            (repeat := self._repeats.get(data)) is not None
            and self._clock() < repeat.until_s
            and self._transport is not None
        ):
            reply = repeat.reply
            reply.uses += 1
            self.last_active_s = self._server.now_s
            if reply.wire:
                self._transport.write(reply.wire)
            else:
                self._transport.writelines(reply.buffers)
        else:
            self._process(data)

    # -- heads -------------------------------------------------------------------------------------------------------

    def _process(self, data: bytes) -> None:
        """Most often one whole request, whose header block came before: then its first line is all that is new."""
        line_end = data.find(b"\r\n")
        fields = data[line_end + 2 :]
        block = self._known_blocks.get(fields)
        if block is None and data.find(b"\r\n\r\n") == len(data) - 4:
            block = self._heads.read(fields)
        if (
            block is not None
            and block.is_plain
            and (reply := self._lane.answer(data[:line_end], block, self._link, request=data)) is not None
        ):
            self.head_since_s = None
            self._buffer = b""
            self._write_one(reply)
        else:
            self._process_each(data, block)

    def _process_each(self, data: bytes, block: HeaderBlock | None) -> None:
        """Answer or hand over the requests in `data` until one has to wait for more bytes, aiohttp or the client.

        `block` is of the first request, if it has been read already.
        """
        answers: list[bytes | memoryview] = []
        size = 0
        is_alone = True
        while data:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._write(answers, size)
                self._keep_partial(data)
                return
            self.head_since_s = None
            line_end = data.find(b"\r\n")
            line = data[:line_end]
            block = block or self._heads.block(data[line_end + 2 : end + 4])
            is_alone = is_alone and end + 4 == len(data)
            request = data if is_alone else b""
            reply = self._lane.answer(line, block, self._link, request=request) if block.is_plain else None
            if reply is None:
                self._write(answers, size)
                self._hand_over(data, line, end + 4, block)
                return
            block = None
            answers += reply.buffers
            size += reply.size
            data = data[end + 4 :]
            if data and size > WRITE_HIGH_BYTES:
                self._write(answers, size)
                answers, size = [], 0
                if self._writing_paused:
                    break
        self._write(answers, size)
        self._buffer = data

    def _write_one(self, reply: Reply) -> None:
        if self._transport is None:
            return
        self.last_active_s = self._server.now_s
        if reply.wire:
            self._transport.write(reply.wire)
        else:
            self._transport.writelines(reply.buffers)

    def _write(self, answers: list[bytes | memoryview], body_bytes: int) -> None:
        """Pipelined requests are answered in one go."""
        if not answers or self._transport is None:
            return
        self.last_active_s = self._server.now_s
        if body_bytes <= JOIN_BYTES:
            self._transport.write(b"".join(answers))
        else:
            self._transport.writelines(answers)

    def _keep_partial(self, data: bytes) -> None:
        """An unfinished head: wait for the rest, within limits of size and time."""
        if len(data) > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        elif _has_bare_line_feed(data):
            self._go_sticky(data)
        else:
            self._buffer = data
            if self.head_since_s is None:
                self.head_since_s = self._server.now_s

    def _hand_over(self, data: bytes, line: bytes, head_end: int, block: HeaderBlock) -> None:
        if b"  " in line:  # llhttp would let it pass; RFC 9112 section 3 has single spaces
            self._refuse(_BAD)
            return
        if line.startswith(b"CONNECT "):
            self._refuse(_NO_TUNNEL)
            return
        if block.framing is Framing.OPAQUE or not _is_request_line(line):
            self._go_sticky(data)
            return
        end = head_end + block.body_bytes
        self._busy = True
        self._body_left = max(0, end - len(data))
        self._buffer = data[end:]
        method = line[: line.index(b" ")]
        if method in _KNOWN_METHODS or not self._server.relays_any_method:
            self.unknown_method = ""
            self._feed(data[:end])
        else:
            self.unknown_method = method.decode()
            self._feed(_STAND_IN + data[len(method) : end])

    def _go_sticky(self, data: bytes) -> None:
        self._sticky = True
        self._buffer = b""
        self.head_since_s = None
        self._feed(data)

    # -- aiohttp's turn ----------------------------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        self.last_active_s = self._server.now_s
        if self._transport is None or self._transport.is_closing():
            return
        if self._inner is None:
            self._inner = self._make_inner()
            self._inner.connection_made(self._transport)
        self._inner.data_received(data)

    def _wait_or_relay(self, data: bytes) -> None:
        """Bytes that come while aiohttp works: the rest of its request's body, then requests that must wait."""
        if self._body_left:
            body, data = data[: self._body_left], data[self._body_left :]
            self._body_left -= len(body)
            self._feed(body)
        if data:
            self._buffer += data
            if len(self._buffer) > MAX_WAITING_BYTES and not self._reading_paused and self._transport is not None:
                self._reading_paused = True
                self._transport.pause_reading()

    def answered(self) -> None:
        """aiohttp has written its answer (called by its access logger)."""
        if not self._sticky:
            self._busy = False
            self.last_active_s = self._server.now_s
            # Not at once: aiohttp is still inside its own bookkeeping for this request.
            self._server.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._busy or self._sticky or self._writing_paused or self._body_left or self._transport is None:
            return
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        if self._buffer:
            data, self._buffer = self._buffer, b""
            self._process(data)

    # -- ending ------------------------------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        return not self._busy and not self._sticky and not self._writing_paused

    def _refuse(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(answer)
            self._transport.close()

    def time_out_head(self) -> None:
        self._refuse(_TIMEOUT)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    @property
    def unsent_bytes(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0


def _has_bare_line_feed(data: bytes) -> bool:
    return data.count(b"\n") != data.count(b"\r\n") or data[:1] in b"\r\n"


def _is_request_line(line: bytes) -> bool:
    """Three parts and HTTP/1.1: then the body's framing is what RFC 9112 says it is."""
    parts = line.split(b" ")
    if len(parts) != 3 or not all(parts) or parts[2] != b"HTTP/1.1":
        return False
    return _METHOD.fullmatch(parts[0]) is not None and parts[0] != b"PRI"


def method_of(request: web.BaseRequest) -> str:
    """The method as the client sent it."""
    protocol = request.transport.get_protocol() if request.transport is not None else None
    return (protocol.unknown_method if isinstance(protocol, EdgeProtocol) else "") or request.method
