"""Greedy-Dual-Size-Frequency (Cherkasova 1998): keeps what is used often and is small.

Priority = clock + uses / size; the clock rises to the priority of what was thrown out, so old fame fades. A fetch costs
the same for every object (one round trip), which is why cost is constant: this maximises the object hit ratio.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Hashable

from edge.delivery.eviction.policy import Entry

_SCALE = 1 << 20


class Gdsf:
    """Size-aware tier for playlists, posters and prefixes. O(log n); uses are counted lazily, at eviction."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.used = 0
        self._clock = 0.0
        self._heap: list[tuple[float, int, Entry]] = []
        self._order = itertools.count()
        self._held = 0

    def __len__(self) -> int:
        return self._held

    def insert(self, key: Hashable, size: int) -> tuple[Entry, list[Entry]]:
        victims: list[Entry] = []
        while self.used + size > self.capacity and self._held:
            victims.append(self._evict_one())
        entry = Entry(key, size)
        entry.hits = 1
        self._push(entry)
        self.used += size
        self._held += 1
        return entry, victims

    def remove(self, entry: Entry) -> None:
        if entry.mark is None:
            return
        entry.mark = None
        self.used -= entry.size
        self._held -= 1
        if len(self._heap) > 2 * self._held + 64:  # removed entries must not pile up
            self._heap = [item for item in self._heap if item[2].mark is not None]
            heapq.heapify(self._heap)

    def _push(self, entry: Entry) -> None:
        """File under today's priority and note the uses it was computed from."""
        entry.mark = entry.hits
        priority = self._clock + entry.hits * _SCALE / max(entry.size, 1)
        heapq.heappush(self._heap, (priority, next(self._order), entry))

    def _evict_one(self) -> Entry:
        while True:
            priority, _, entry = heapq.heappop(self._heap)
            if entry.mark is None:
                continue
            if entry.hits != entry.mark:  # used since it was filed: file again
                self._push(entry)
                continue
            self._clock = priority
            entry.mark = None
            self.used -= entry.size
            self._held -= 1
            return entry
