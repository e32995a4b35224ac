"""A whole body arriving in one stream, cut into slices on the way and kept ahead of its readers by a bounded amount."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from edge.delivery.errors import BodyLost, DeliveryError
from edge.delivery.store.layout import Layout
from edge.delivery.upstream.slice_fill import SliceFill

AHEAD_SLICES = 8
"""How far a stream that can be continued later may run ahead of its furthest reader."""

KeepSlice = Callable[[int, bytes], None]


class BodyFill:
    """The writer is `run`; readers attach, take `slice(index)` in order, detach.

    `retain`: slices stay here until the end, because they cannot be fetched again one by one (no strong ETag). Without
    it a finished slice is handed to `keep` and dropped, and the stream waits for readers, or ends when there are none.
    """

    def __init__(self, layout: Layout, *, retain: bool, limit_bytes: int, keep: KeepSlice) -> None:
        self._layout = layout
        self._retain = retain
        self._limit_bytes = limit_bytes
        self._keep = keep
        self._fills: dict[int, SliceFill] = {}
        self._current = 0
        self._received = 0
        self._readers = 0
        self._furthest = 0
        self._moved = asyncio.Event()
        self._error: DeliveryError | None = None
        self.total: int | None = None
        """Known when the stream has ended."""
        self.overflowed = False
        """Longer than may be retained: what is read here is no longer complete from the start."""

    def attach(self) -> None:
        self._readers += 1

    def detach(self) -> None:
        self._readers -= 1
        self._moved.set()

    def slice(self, index: int) -> SliceFill | None:
        """The slice if this stream has it, fills it, or will soon; None if it has gone by or is far off."""
        self._furthest = max(self._furthest, index)
        self._moved.set()
        if index in self._fills:
            return self._fills[index]
        if index < self._current or (not self._retain and index > self._current + AHEAD_SLICES // 2):
            return None
        fill = self._fills[index] = SliceFill()
        self._end_if_over(index, fill)
        return fill

    def _end_if_over(self, index: int, fill: SliceFill) -> None:
        if self._error is not None:
            fill.fail(self._error)
        elif self.total is not None and self._layout.span(index).start >= self.total:
            fill.finish()

    async def run(self, chunks: AsyncIterator[bytes]) -> bool:
        """Take in the stream; True if it came to its end. Raises DeliveryError after telling the readers."""
        try:
            async for chunk in chunks:
                await self._take(memoryview(chunk))
                if not self._retain and self._readers == 0 and self._at_slice_start():
                    self._abandon(BodyLost("nobody reads this stream any more"))
                    return False
        except DeliveryError as err:
            self._abandon(err)
            raise
        except BaseException:
            self._abandon(BodyLost("the fetch was cancelled"))
            raise
        self._finish()
        return True

    async def _take(self, view: memoryview) -> None:
        while view:
            span = self._layout.span(self._current)
            part = view[: span.stop - self._received]
            self._fill(self._current).feed(part)
            self._received += len(part)
            view = view[len(part) :]
            if self._received == span.stop:
                self._complete_slice()
                await self._wait_for_readers()

    def _fill(self, index: int) -> SliceFill:
        return self._fills.setdefault(index, SliceFill())

    def _complete_slice(self) -> None:
        fill = self._fill(self._current)
        data = fill.finish()
        if not self.overflowed:
            self._keep(self._current, data)
        if not self._retain:
            del self._fills[self._current]
        elif self._received > self._limit_bytes:
            self.overflowed = True
        self._current += 1

    async def _wait_for_readers(self) -> None:
        """Do not run away from the readers, and free what all of them have passed once the body is too long to keep."""
        while self._readers and not self._retain and self._current > self._furthest + AHEAD_SLICES:
            self._moved.clear()
            await self._moved.wait()
        if self.overflowed:
            for index in [i for i in self._fills if i < self._furthest - 1]:
                del self._fills[index]
            while self._readers and self._current > self._furthest + AHEAD_SLICES:
                self._moved.clear()
                await self._moved.wait()

    def _at_slice_start(self) -> bool:
        return self._received == self._layout.span(self._current).start

    def _finish(self) -> None:
        self.total = self._received
        if not self._at_slice_start():
            self._complete_slice()
        for fill in self._fills.values():
            if not fill.ended:
                fill.finish()

    def _abandon(self, error: DeliveryError) -> None:
        self._error = error
        for fill in self._fills.values():
            fill.fail(error)
