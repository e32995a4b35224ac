"""Slices of a stored body, wherever they are: RAM, disk, on their way, or at the origin."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from typing import Any

from multidict import CIMultiDict

from edge.delivery.errors import BodyChanged, BodyLost, DeliveryError, OriginBroke
from edge.delivery.rules.byte_range import Span, parse_content_range
from edge.delivery.rules.preconditions import strong_etag
from edge.delivery.store.layout import Piece
from edge.delivery.store.shelves import Shelves
from edge.delivery.store.stored_response import StoredResponse
from edge.delivery.upstream.body_fill import BodyFill
from edge.delivery.upstream.origin import Exchange, OriginRequest, Origins
from edge.delivery.upstream.priority_gate import Priority
from edge.delivery.upstream.slice_fill import SliceFill

ATTEMPTS = 2
"""A pinned slice that breaks off is fetched once more; the same ETag means the same bytes, so the reader goes on."""
CHUNK_BYTES = 256 * 1024

Spawn = Callable[[Coroutine[Any, Any, None]], None]


class SliceSource:
    """Single flight per slice: `(body, index)` is fetched once however many wait, by no one's request."""

    def __init__(
        self,
        *,
        shelves: Shelves,
        origins: Origins,
        read_ahead: int,
        spawn: Spawn,
        on_changed: Callable[[StoredResponse], None],
    ) -> None:
        self._shelves = shelves
        self._origins = origins
        self._read_ahead = read_ahead
        self._spawn = spawn
        self._on_changed = on_changed
        self._fills: dict[tuple[str, int], SliceFill] = {}
        self._streams: dict[str, BodyFill] = {}
        self.fetched_slices = 0

    # -- what is under way -------------------------------------------------------------------------------------------

    def add_stream(self, body_id: str, fill: BodyFill) -> None:
        self._streams[body_id] = fill

    def end_stream(self, body_id: str) -> None:
        self._streams.pop(body_id, None)

    def stream(self, body_id: str) -> BodyFill | None:
        return self._streams.get(body_id)

    def _under_way(self, stored: StoredResponse, index: int) -> SliceFill | None:
        if (fill := self._fills.get((stored.body_id, index))) is not None:
            return fill
        stream = self._streams.get(stored.body_id)
        return stream.slice(index) if stream is not None else None

    # -- reading -----------------------------------------------------------------------------------------------------

    async def read(
        self, stored: StoredResponse, span: Span, *, request: CIMultiDict[str], priority: Priority
    ) -> AsyncGenerator[memoryview, None]:
        """The bytes of `span`, in chunks. `request`: end-to-end fields for fetches of what is missing.

        Raises DeliveryError when they cannot be had; what was yielded until then is right.
        """
        stream = self._streams.get(stored.body_id)
        if stream is not None:
            stream.attach()
        try:
            for piece in stored.layout.pieces(span):
                if not priority.is_background:
                    self._look_ahead(stored, piece.slice_index, request)
                async for chunk in self._read_piece(stored, piece, request, priority):
                    yield chunk
        finally:
            if stream is not None:
                stream.detach()

    async def _read_piece(
        self, stored: StoredResponse, piece: Piece, request: CIMultiDict[str], priority: Priority
    ) -> AsyncGenerator[memoryview, None]:
        cursor = piece.start
        for attempt in range(1, ATTEMPTS + 1):
            try:
                source = await self._slice(stored, piece.slice_index, request, priority)
                if isinstance(source, bytes):
                    yield memoryview(source)[cursor : piece.stop]
                    return
                while cursor < piece.stop and await source.wait_past(cursor):
                    chunk = source.read(cursor, min(piece.stop, cursor + CHUNK_BYTES))
                    cursor += len(chunk)
                    yield chunk
                if cursor < piece.stop:
                    raise BodyLost("the body is shorter than it said")
                return
            except BodyChanged:
                raise
            except DeliveryError:
                if attempt == ATTEMPTS or stored.pinned_etag is None:
                    raise

    async def first_bytes(
        self, stored: StoredResponse, span: Span, *, request: CIMultiDict[str], priority: Priority
    ) -> None:
        """Wait until the first byte of `span` is at hand: after this a head may be sent. Raises DeliveryError."""
        piece = next(stored.layout.pieces(span))
        source = await self._slice(stored, piece.slice_index, request, priority)
        if isinstance(source, SliceFill) and not await source.wait_past(piece.start):
            raise BodyLost("the body is shorter than it said")

    async def _slice(
        self, stored: StoredResponse, index: int, request: CIMultiDict[str], priority: Priority
    ) -> bytes | SliceFill:
        if (data := self._shelves.ram.get(stored.body_id, index)) is not None:
            return data
        if (fill := self._under_way(stored, index)) is not None:
            return fill
        if (data := await self._shelves.get(stored.body_id, index)) is not None:
            return data
        # Others may have come this far while the disk was asked.
        if (fill := self._under_way(stored, index)) is not None:
            return fill
        if (data := self._shelves.ram.get(stored.body_id, index)) is not None:
            return data
        return self.begin(stored, index, request, priority)

    def _look_ahead(self, stored: StoredResponse, index: int, request: CIMultiDict[str]) -> None:
        """Fetch the slices after `index` behind the reader's back; only where they can be fetched alone."""
        if stored.pinned_etag is None or stored.body_id in self._streams:
            return
        for ahead in range(index + 1, min(index + 1 + self._read_ahead, stored.slices)):
            in_hand = self._shelves.ram.holds(stored.body_id, ahead) or (stored.body_id, ahead) in self._fills
            if not in_hand:
                self._spawn(self._bring_ahead(stored, ahead, request))

    async def _bring_ahead(self, stored: StoredResponse, index: int, request: CIMultiDict[str]) -> None:
        """Up from disk if it is there, else begin to fetch."""
        with suppress(DeliveryError):  # the reader will meet the trouble itself
            await self._slice(stored, index, request, Priority.READ_AHEAD)

    # -- fetching ----------------------------------------------------------------------------------------------------

    def begin(self, stored: StoredResponse, index: int, request: CIMultiDict[str], priority: Priority) -> SliceFill:
        """Start to fetch one slice of a pinned body. Raises BodyLost for one that is not."""
        if stored.pinned_etag is None:
            self._on_changed(stored)
            raise BodyLost("a part of the object is no longer cached")
        fill = self._fills[(stored.body_id, index)] = SliceFill()
        self._spawn(self._fetch(stored, index, fill, request, priority))
        return fill

    def adopt(self, stored: StoredResponse, index: int, exchange: Exchange) -> None:
        """A 206 that is exactly this slice is on its way already."""
        fill = self._fills[(stored.body_id, index)] = SliceFill()
        self._spawn(self._pump(stored, index, fill, exchange))

    async def _fetch(
        self, stored: StoredResponse, index: int, fill: SliceFill, request: CIMultiDict[str], priority: Priority
    ) -> None:
        span = stored.layout.span(index, stored.total)
        headers = CIMultiDict(request)
        headers["Range"] = f"bytes={span.start}-{span.stop - 1}"
        headers["If-Range"] = stored.pinned_etag or ""
        try:
            exchange = await self._origins.ask(
                OriginRequest(method="GET", target=stored.key, headers=headers, priority=priority)
            )
        except BaseException as err:
            self._broken(stored, index, fill, err)
            if not isinstance(err, DeliveryError):
                raise
            return
        if (fault := _mismatch(stored, span, exchange)) is not None:
            exchange.close()
            self._broken(stored, index, fill, fault)
            return
        await self._pump(stored, index, fill, exchange)

    async def _pump(self, stored: StoredResponse, index: int, fill: SliceFill, exchange: Exchange) -> None:
        expected = stored.layout.span(index, stored.total).size
        try:
            async for chunk in exchange.body():
                if fill.size + len(chunk) > expected:
                    raise OriginBroke("the origin sent more than the range it announced")
                fill.feed(chunk)
            if fill.size != expected:
                raise OriginBroke("the origin sent less than the range it announced")
        except BaseException as err:
            self._broken(stored, index, fill, err)
            if not isinstance(err, DeliveryError):
                raise
            return
        finally:
            exchange.close()
        self.fetched_slices += 1
        self._shelves.keep(stored.body_id, index, fill.finish())
        self._fills.pop((stored.body_id, index), None)

    def _broken(self, stored: StoredResponse, index: int, fill: SliceFill, err: BaseException) -> None:
        self._fills.pop((stored.body_id, index), None)
        fill.fail(err if isinstance(err, DeliveryError) else BodyLost("the fetch was cancelled"))
        if isinstance(err, BodyChanged):
            self._on_changed(stored)


def _mismatch(stored: StoredResponse, span: Span, exchange: Exchange) -> DeliveryError | None:
    """Why this answer is not the slice asked for; None if it is."""
    head = exchange.head
    if head.status in (200, 404, 410, 412, 416):
        return BodyChanged("the object is another one now")
    if head.status != 206:
        return OriginBroke(f"the origin answered {head.status} to a range it should have")
    if strong_etag(head.headers) != stored.pinned_etag:
        return BodyChanged("the object's ETag is another one now")
    told = parse_content_range(head.headers.get("Content-Range", ""))
    if told is None or told.span != span or told.total not in (None, stored.total):
        return BodyChanged("the origin sent another range than asked for")
    return None
