"""Stored responses across memory and disk, judged by the purge journal each time they are brought in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

import msgspec

from edge.delivery.store.purge_journal import Purge, PurgeJournal, Verdict
from edge.delivery.store.response_index import ResponseIndex, Variants
from edge.delivery.store.shelves import Shelves
from edge.delivery.store.stored_response import StoredResponse

MAX_MEMORIES = 65_536


class Departure(StrEnum):
    """Why something that was stored is not any more: the miss class of the next request for it."""

    EVICTED = "evicted"
    PURGED = "purged"
    CHANGED = "changed"


class Purged(NamedTuple):
    """Keys a purge touched in this worker."""

    removed: int
    marked_stale: int


class ResponseStore:
    def __init__(
        self, *, shelves: Shelves, journal: PurgeJournal, max_keys: int, on_change: Callable[[str], None]
    ) -> None:
        self.shelves = shelves
        self.journal = journal
        self.index = ResponseIndex(max_keys=max_keys, on_change=on_change)
        self._departed: OrderedDict[int, Departure] = OrderedDict()

    async def find(self, key: str) -> Variants:
        """Variants of `key` that no purge took."""
        if found := self.index.get(key):
            return found
        disk = self.shelves.disk
        if disk is None:
            return ()
        loaded = self._judged(await disk.read_responses(key))
        return self.index.get(key) or self._adopt(key, loaded)

    def _adopt(self, key: str, loaded: Variants) -> Variants:
        if loaded:
            self.index.set(key, loaded)
        return loaded

    def _judged(self, variants: Variants) -> Variants:
        kept: list[StoredResponse] = []
        for stored in variants:
            match self.journal.verdict(stored):
                case Verdict.KEEP:
                    kept.append(stored)
                case Verdict.STALE:
                    kept.append(msgspec.structs.replace(stored, purged_soft=True, sequence=self.journal.head))
                case Verdict.GONE:
                    self._part(stored, Departure.PURGED)
        return tuple(kept)

    def put(self, stored: StoredResponse) -> bool:
        """Store a response, unless a purge came since its fetch began (a soft one stores it stale)."""
        judged = self._judged((stored,))
        if not judged:
            return False
        for gone in self.index.put(judged[0]):
            self.shelves.drop(gone.body_id)
            if gone.key != stored.key:
                self._remember(gone.key, Departure.EVICTED)
                self._save(gone.key)
        self._departed.pop(hash(stored.key), None)
        self._save(stored.key)
        return True

    def drop(self, stored: StoredResponse, why: Departure) -> None:
        """Forget one variant and its bytes."""
        variants = self.index.get(stored.key)
        self.index.set(stored.key, tuple(v for v in variants if v.body_id != stored.body_id))
        self._part(stored, why)
        self._save(stored.key)

    def _part(self, stored: StoredResponse, why: Departure) -> None:
        self.shelves.drop(stored.body_id)
        self._remember(stored.key, why)

    def _remember(self, key: str, why: Departure) -> None:
        self._departed[hash(key)] = why
        while len(self._departed) > MAX_MEMORIES:
            self._departed.popitem(last=False)

    def why_absent(self, key: str) -> Departure | None:
        return self._departed.get(hash(key))

    def _save(self, key: str) -> None:
        if self.shelves.disk is not None:
            self.shelves.disk.write_responses(key, self.index.get(key))

    def apply(self, purge: Purge) -> Purged:
        """Carry out a purge the journal has recorded, on what is in memory; the disk is judged when read."""
        removed = stale = 0
        for key in self._keys_of(purge):
            before = self.index.get(key)
            after = self._judged(before)
            self.index.set(key, after)
            removed += len(before) - len(after)
            stale += sum(1 for v in after if v.purged_soft)
            self._save(key)
        return Purged(removed, stale)

    def _keys_of(self, purge: Purge) -> tuple[str, ...]:
        if purge.tag is not None:
            return self.index.keys_with_tag(purge.tag)
        if purge.prefix is not None:
            return self.index.keys_under(purge.prefix)
        return (purge.url,) if purge.url is not None and self.index.get(purge.url) else ()
