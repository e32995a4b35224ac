"""Slices in memory: a size-aware tier for prefixes and small bodies, S3-FIFO for the bulk."""

from __future__ import annotations

from typing import cast

from edge.delivery.eviction.policy import Entry
from edge.delivery.eviction.prefix_and_bulk import PrefixAndBulk, SliceKey


class Cell:
    """One slice in memory. Whoever serves it adds 1 to `entry.hits`."""

    __slots__ = ("data", "entry")

    def __init__(self, data: bytes, entry: Entry) -> None:
        self.data = data
        self.entry = entry


Cells = dict[int, Cell]
"""Resident slices of one body by index. The same dictionary while any is resident, so holders see evictions."""


class RamTier:
    """Bounded by `capacity` bytes of slice data."""

    def __init__(self, capacity: int) -> None:
        self._policy = PrefixAndBulk(capacity)
        self._bodies: dict[str, Cells] = {}
        self.evicted_slices = 0

    @property
    def used(self) -> int:
        return self._policy.used

    def __len__(self) -> int:
        return len(self._policy)

    def cells(self, body_id: str) -> Cells | None:
        return self._bodies.get(body_id)

    def get(self, body_id: str, index: int) -> bytes | None:
        """The slice, counted as used."""
        cells = self._bodies.get(body_id)
        cell = None if cells is None else cells.get(index)
        if cell is None:
            return None
        cell.entry.hits += 1
        return cell.data

    def holds(self, body_id: str, index: int) -> bool:
        return index in self._bodies.get(body_id, ())

    def put(self, body_id: str, index: int, data: bytes) -> None:
        """Keep a complete slice; one larger than its tier is not kept."""
        if self.holds(body_id, index) or not self._policy.takes((body_id, index), len(data)):
            return
        entry, victims = self._policy.insert((body_id, index), len(data))
        self._bodies.setdefault(body_id, {})[index] = Cell(data, entry)
        for victim in victims:
            self._drop_victim(victim)

    def _drop_victim(self, victim: Entry) -> None:
        body_id, index = cast(SliceKey, victim.key)
        self.evicted_slices += 1
        cells = self._bodies[body_id]
        del cells[index]
        if not cells:
            del self._bodies[body_id]

    def drop_body(self, body_id: str) -> None:
        """Forget every slice of a body (purged or replaced)."""
        cells = self._bodies.pop(body_id, {})
        for cell in cells.values():
            self._policy.remove(cell.entry)
        cells.clear()  # holders of the dictionary must see it empty
