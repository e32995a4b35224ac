"""Writing answers through aiohttp: the origin's own fields, nothing invented, and no end where bytes are missing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing

from aiohttp import hdrs, web
from multidict import CIMultiDict

from edge.delivery.answer import Answer
from edge.delivery.ask import Ask
from edge.delivery.errors import BodyTooSlow, DeliveryError
from edge.delivery.rules.byte_range import Span
from edge.delivery.rules.field_filter import end_to_end
from edge.delivery.store.stored_response import StoredResponse
from edge.delivery.upstream.body_fill import BodyFill
from edge.delivery.upstream.connection import Interim
from edge.delivery.upstream.slice_source import SliceSource

MIN_BODY_BYTES_PER_S = 1024
_BAD_REASON = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


class EdgeResponse(web.StreamResponse):
    """A stream response that does not add Server or a guessed Content-Type to what the origin said."""

    def __init__(self, *, status: int, reason: str, headers: CIMultiDict[str]) -> None:
        super().__init__(status=status, reason=_BAD_REASON.sub("", reason), headers=headers)
        self._told = frozenset(name.lower() for name in headers)
        self.is_truncated = False
        """The rest of the body could not be had and the connection was cut."""

    def cut(self, request: web.BaseRequest) -> None:
        """End the connection without ending the body: the client must see that it is not whole."""
        self.is_truncated = True
        if request.transport is not None:
            request.transport.abort()

    async def write_eof(self, data: bytes = b"") -> None:
        if not self.is_truncated:
            await super().write_eof(data)

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        for name in (hdrs.SERVER, hdrs.CONTENT_TYPE):
            if name.lower() not in self._told:
                self.headers.popall(name, None)


async def send(
    request: web.BaseRequest,
    ask: Ask,
    reply: Answer,
    stored: StoredResponse,
    *,
    source: SliceSource,
    fill: BodyFill | None,
    origin_headers: CIMultiDict[str],
) -> EdgeResponse:
    """Send `reply` out of `stored`. Raises DeliveryError before the first byte; after it, cuts."""
    response = EdgeResponse(status=reply.status, reason=reply.reason, headers=reply.headers)
    if ask.method == "HEAD" or reply.status in (204, 304, 416):
        await _finish(request, response)
        return response
    if fill is not None and stored.pinned_etag is None:
        await _send_from_fill(request, response, reply, fill, stored)
    else:
        await _send_slices(request, response, ask, reply, stored, source, origin_headers)
    return response


async def _finish(request: web.BaseRequest, response: EdgeResponse) -> None:
    await response.prepare(request)
    await response.write_eof()


async def _send_slices(
    request: web.BaseRequest,
    response: EdgeResponse,
    ask: Ask,
    reply: Answer,
    stored: StoredResponse,
    source: SliceSource,
    origin_headers: CIMultiDict[str],
) -> None:
    if reply.spans:
        await source.first_bytes(stored, reply.spans[0], request=origin_headers, priority=ask.priority)
    await response.prepare(request)
    try:
        for number, span in enumerate(reply.spans):
            if reply.parts:
                await response.write(reply.parts[number])
            chunks = source.read(stored, span, request=origin_headers, priority=ask.priority)
            async with aclosing(chunks):
                async for chunk in chunks:
                    await response.write(chunk)
    except DeliveryError:
        response.cut(request)
    await response.write_eof(reply.parts[-1] if reply.parts else b"")


async def _send_from_fill(
    request: web.BaseRequest, response: EdgeResponse, reply: Answer, fill: BodyFill, stored: StoredResponse
) -> None:
    """A body that cannot be fetched by parts, while it arrives. Its length may not be known yet."""
    fill.attach()
    try:
        spans = reply.spans or (Span(0, 1 << 62),)
        await response.prepare(request)
        for number, span in enumerate(spans):
            if reply.parts:
                await response.write(reply.parts[number])
            await _copy(response, fill, span, stored)
        await response.write_eof(reply.parts[-1] if reply.parts else b"")
    except DeliveryError:
        response.cut(request)
    finally:
        fill.detach()


async def _copy(response: EdgeResponse, fill: BodyFill, span: Span, stored: StoredResponse) -> None:
    """Write the bytes of `span`; a body of unknown length ends where its stream ends."""
    for piece in stored.layout.pieces(span):
        part = fill.slice(piece.slice_index)
        if part is None:
            raise DeliveryError("the stream went by faster than it was read")
        cursor = piece.start
        while cursor < piece.stop:
            if not await part.wait_past(cursor):
                if stored.total >= 0:
                    raise DeliveryError("the origin's body is shorter than it said")
                return
            chunk = part.read(cursor, piece.stop)
            cursor += len(chunk)
            await response.write(chunk)


# -- the request's own side ------------------------------------------------------------------------------------------


async def body_of(request: web.BaseRequest, *, patience_s: float) -> AsyncIterator[bytes]:
    """The body as it arrives, for passing on. Raises BodyTooSlow.

    The client may be `patience_s` behind MIN_BODY_BYTES_PER_S, no more: a connection to the origin waits with it, and a
    few clients that send a byte now and then would keep them all.
    """
    deadline = asyncio.get_running_loop().time() + patience_s
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                chunk = await request.content.readany()
        except TimeoutError as err:
            raise BodyTooSlow("the request body came too slowly") from err
        if not chunk:
            return
        deadline += len(chunk) / MIN_BODY_BYTES_PER_S
        yield chunk


def relay_to(request: web.BaseRequest) -> Interim | None:
    """Hands interim responses (102, 103) of the origin on at once; HTTP/1.0 clients must not see any."""
    if request.version < (1, 1):
        return None

    def write(status: int, reason: str, headers: CIMultiDict[str]) -> None:
        transport = request.transport
        if transport is None or status == 100 or request.task.done():
            return
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{n}: {v}" for n, v in end_to_end(headers).items())]
        transport.write(("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape"))

    return write
