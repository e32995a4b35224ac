"""Both tiers as one: a slice from RAM, else from disk (brought up into RAM), else not here."""

from __future__ import annotations

import asyncio
import secrets

from edge.delivery.store.disk_tier import DiskTier
from edge.delivery.store.ram_tier import RamTier
from edge.delivery.store.stored_response import StoredResponse

_CODED = ".gzip"


def coded_id(body_id: str) -> str:
    """Names the gzipped bytes made of a body; they are kept in RAM only, and go when it goes."""
    return body_id + _CODED


def is_coded(body_id: str) -> bool:
    return body_id.endswith(_CODED)


class Shelves:
    def __init__(self, ram: RamTier, disk: DiskTier | None) -> None:
        self.ram = ram
        self.disk = disk
        self._reading: dict[tuple[str, int], asyncio.Task[bytes | None]] = {}

    def new_body_id(self) -> str:
        return self.disk.new_body_id() if self.disk else secrets.token_hex(16)

    async def get(self, body_id: str, index: int) -> bytes | None:
        """The slice's bytes. Many who want the same cold slice share one read."""
        if (data := self.ram.get(body_id, index)) is not None:
            return data
        if self.disk is None:
            return None
        key = (body_id, index)
        if (reading := self._reading.get(key)) is None:
            reading = self._reading[key] = asyncio.create_task(self._bring_up(self.disk, body_id, index))
            reading.add_done_callback(lambda _: self._reading.pop(key, None))
        return await asyncio.shield(reading)  # a reader that leaves must not cancel the others' read

    async def _bring_up(self, disk: DiskTier, body_id: str, index: int) -> bytes | None:
        data = await disk.read(body_id, index)
        if data is not None:
            self.ram.put(body_id, index, data)
        return data

    async def has_all(self, stored: StoredResponse) -> bool:
        """Whether the whole body is at hand; needed of one that cannot be completed from the origin."""
        if all(self.ram.holds(stored.body_id, index) for index in range(stored.slices)):
            return True
        return self.disk is not None and await self.disk.has_all(stored)

    def holds(self, body_id: str, index: int) -> bool:
        """In RAM or known to be on disk: cheap, for rankers and prefetch."""
        return self.ram.holds(body_id, index) or (self.disk is not None and self.disk.knows(body_id, index))

    def keep(self, body_id: str, index: int, data: bytes) -> None:
        self.ram.put(body_id, index, data)
        if self.disk is not None:
            self.disk.write(body_id, index, data)

    def drop(self, body_id: str) -> None:
        self.ram.drop_body(body_id)
        self.ram.drop_body(coded_id(body_id))
        if self.disk is not None:
            self.disk.drop_body(body_id)
