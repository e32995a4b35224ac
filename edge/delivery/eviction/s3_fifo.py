"""S3-FIFO (Yang et al., SOSP 2023): a small probation queue, a main queue, and a memory of who was thrown out.

Most objects of a video trace are used once; they leave through the probation queue (a tenth of the space) without
disturbing the main one. An object asked for again after leaving goes straight to the main queue.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable

from edge.delivery.eviction.policy import Entry

PROBATION_SHARE = 0.1
MAX_HITS = 3
_PROBATION, _MAIN, _GONE = "probation", "main", "gone"


class S3Fifo:
    """Bytes-aware S3-FIFO. O(1) amortised."""

    def __init__(self, capacity: int, *, max_ghosts: int = 65_536) -> None:
        self.capacity = capacity
        self.used = 0
        self._probation: deque[Entry] = deque()
        self._main: deque[Entry] = deque()
        self._probation_bytes = 0
        self._ghosts: OrderedDict[Hashable, None] = OrderedDict()
        self._max_ghosts = max_ghosts
        self._held = 0

    def __len__(self) -> int:
        return self._held

    def insert(self, key: Hashable, size: int) -> tuple[Entry, list[Entry]]:
        victims: list[Entry] = []
        while self.used + size > self.capacity and self._held:
            self._evict_one(victims)
        entry = Entry(key, size)
        if self._ghosts.pop(key, self) is None:
            entry.mark = _MAIN
            self._main.append(entry)
        else:
            entry.mark = _PROBATION
            self._probation.append(entry)
            self._probation_bytes += size
        self.used += size
        self._held += 1
        return entry, victims

    def remove(self, entry: Entry) -> None:
        if entry.mark is not _GONE:
            self._forget(entry)  # its place in the queue stays and is stepped over later

    def _forget(self, entry: Entry) -> None:
        if entry.mark is _PROBATION:
            self._probation_bytes -= entry.size
        entry.mark = _GONE
        self.used -= entry.size
        self._held -= 1

    def _evict_one(self, victims: list[Entry]) -> None:
        from_probation = self._probation_bytes > self.capacity * PROBATION_SHARE or not self._main
        if from_probation and self._probation:
            self._evict_from_probation(victims)
        else:
            self._evict_from_main(victims)

    def _evict_from_probation(self, victims: list[Entry]) -> None:
        while self._probation:
            entry = self._probation.popleft()
            if entry.mark is _GONE:
                continue
            if entry.hits > 0:
                self._probation_bytes -= entry.size
                entry.hits = 0
                entry.mark = _MAIN
                self._main.append(entry)
                if self._probation_bytes <= self.capacity * PROBATION_SHARE:
                    return
                continue
            self._forget(entry)
            self._remember(entry.key)
            victims.append(entry)
            return

    def _evict_from_main(self, victims: list[Entry]) -> None:
        while self._main:
            entry = self._main.popleft()
            if entry.mark is _GONE:
                continue
            if entry.hits > 0:
                entry.hits = min(entry.hits, MAX_HITS) - 1
                self._main.append(entry)
                continue
            self._forget(entry)
            victims.append(entry)
            return

    def _remember(self, key: Hashable) -> None:
        self._ghosts[key] = None
        while len(self._ghosts) > min(self._max_ghosts, max(16, self._held)):
            self._ghosts.popitem(last=False)
