"""The edge's policy for slices: slice 0 of a body (playlist, poster, prefix) under GDSF, the rest under S3-FIFO.

Measured by `popreel cache-sim`: S3-FIFO has the best byte miss ratio of the simple policies on a short-video trace, a
size-aware one the best object miss ratio; a start needs slice 0 alone, so it gets the latter.
"""

from __future__ import annotations

from edge.delivery.eviction.gdsf import Gdsf
from edge.delivery.eviction.policy import Entry, Policy
from edge.delivery.eviction.s3_fifo import S3Fifo

SliceKey = tuple[str, int]
"""(body id, slice index)"""
SMALL_SHARE = 0.3


class PrefixAndBulk:
    """Two policies side by side, chosen by the slice's index."""

    def __init__(self, capacity: int, *, small_share: float = SMALL_SHARE) -> None:
        self.capacity = capacity
        self._small = Gdsf(int(capacity * small_share))
        self._bulk = S3Fifo(capacity - self._small.capacity)

    @property
    def used(self) -> int:
        return self._small.used + self._bulk.used

    def __len__(self) -> int:
        return len(self._small) + len(self._bulk)

    def takes(self, key: SliceKey, size: int) -> bool:
        """Whether a slice of this size can be held at all."""
        return 0 < size <= self._tier(key).capacity

    def insert(self, key: SliceKey, size: int) -> tuple[Entry, list[Entry]]:
        return self._tier(key).insert(key, size)

    def remove(self, entry: Entry) -> None:
        self._tier(entry.key).remove(entry)  # type: ignore[arg-type]  # only slice keys come in

    def _tier(self, key: SliceKey) -> Policy:
        return self._small if key[1] == 0 else self._bulk
