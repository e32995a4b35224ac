"""Least recently used: the yardstick of `cache-sim`, not used by the tiers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from edge.delivery.eviction.policy import Entry


class Lru:
    """Strict recency: the replay calls `touch` on every use."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.used = 0
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def touch(self, entry: Entry) -> None:
        self._entries.move_to_end(entry.key)

    def insert(self, key: Hashable, size: int) -> tuple[Entry, list[Entry]]:
        victims: list[Entry] = []
        while self.used + size > self.capacity and self._entries:
            _, victim = self._entries.popitem(last=False)
            self.used -= victim.size
            victims.append(victim)
        entry = self._entries[key] = Entry(key, size)
        self.used += size
        return entry, victims

    def remove(self, entry: Entry) -> None:
        if self._entries.pop(entry.key, None) is not None:
            self.used -= entry.size
