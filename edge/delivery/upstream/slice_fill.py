"""A slice while it arrives: one writer, any number of readers, each with a cursor of its own."""

from __future__ import annotations

import asyncio

from edge.delivery.errors import DeliveryError


class SliceFill:
    """The writer calls `feed`, then `finish` or `fail`; readers `wait_past` a cursor and `read`.

    It belongs to no reader: one that leaves hurts nobody, and bytes already here are never asked for twice.
    """

    __slots__ = ("_data", "_error", "_more", "_whole")

    def __init__(self) -> None:
        self._data = bytearray()
        self._whole: bytes | None = None
        self._error: DeliveryError | None = None
        self._more = asyncio.Event()

    def feed(self, chunk: bytes | memoryview) -> None:
        self._data += chunk
        self._more.set()
        self._more = asyncio.Event()

    def finish(self) -> bytes:
        """The slice is whole; returns it."""
        self._whole = bytes(self._data)
        self._more.set()
        return self._whole

    def fail(self, error: DeliveryError) -> None:
        if self._whole is None and self._error is None:
            self._error = error
            self._more.set()

    @property
    def ended(self) -> bool:
        return self._whole is not None or self._error is not None

    @property
    def size(self) -> int:
        """Bytes here so far."""
        return len(self._data) if self._whole is None else len(self._whole)

    async def wait_past(self, cursor: int) -> bool:
        """Wait until there is a byte at `cursor`; False if the slice ended before it. Raises what broke the fetch."""
        while self.size <= cursor:
            if self._whole is not None:
                return False
            if self._error is not None:
                raise self._error
            await self._more.wait()
        return True

    def read(self, start: int, stop: int) -> memoryview:
        """Bytes start..stop as far as they are here."""
        if self._whole is not None:
            return memoryview(self._whole)[start:stop]
        with memoryview(self._data) as view:  # a view that stayed would keep the writer from adding
            return memoryview(bytes(view[start:stop]))
