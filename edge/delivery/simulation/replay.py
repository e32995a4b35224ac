"""Running a trace through a policy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edge.delivery.eviction.gdsf import Gdsf
from edge.delivery.eviction.lru import Lru
from edge.delivery.eviction.policy import Entry, Policy
from edge.delivery.eviction.prefix_and_bulk import PrefixAndBulk
from edge.delivery.eviction.s3_fifo import S3Fifo
from edge.delivery.simulation.trace import Use


@dataclass(frozen=True, slots=True, kw_only=True)
class MissRatios:
    """Shares in 0..1. `prefix_miss_ratio` counts prefixes and small objects alone: what a start waits for."""

    uses: int
    object_miss_ratio: float
    byte_miss_ratio: float
    prefix_miss_ratio: float


class Counter:
    """Adds up misses."""

    def __init__(self) -> None:
        self._uses = self._misses = self._bytes = self._missed_bytes = 0
        self._prefixes = self._missed_prefixes = 0

    def note(self, use: Use, *, missed: bool) -> None:
        self._uses += 1
        self._bytes += use.size
        self._misses += missed
        self._missed_bytes += use.size * missed
        if use.key.endswith("#0"):
            self._prefixes += 1
            self._missed_prefixes += missed

    def ratios(self) -> MissRatios:
        return MissRatios(
            uses=self._uses,
            object_miss_ratio=self._misses / max(self._uses, 1),
            byte_miss_ratio=self._missed_bytes / max(self._bytes, 1),
            prefix_miss_ratio=self._missed_prefixes / max(self._prefixes, 1),
        )


class _Sliced:
    """The edge's own policy, told slices by (name, index) as the tiers do."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._policy = PrefixAndBulk(capacity)

    @property
    def used(self) -> int:
        return self._policy.used

    def __len__(self) -> int:
        return len(self._policy)

    def insert(self, key: object, size: int) -> tuple[Entry, list[Entry]]:
        name, _, index = str(key).rpartition("#")
        slice_key = (name, int(index or 0))
        if not self._policy.takes(slice_key, size):
            entry = Entry(slice_key, size)
            return entry, [entry]
        return self._policy.insert(slice_key, size)

    def remove(self, entry: Entry) -> None:
        self._policy.remove(entry)


POLICIES: dict[str, Callable[[int], Policy]] = {
    "lru": Lru,
    "s3-fifo": S3Fifo,
    "gdsf": Gdsf,
    "edge": _Sliced,
}


def replay(uses: Iterable[Use], policy: Policy) -> MissRatios:
    """Miss ratios of `policy`, starting empty."""
    held: dict[str, Entry] = {}
    names: dict[int, str] = {}
    counter = Counter()
    touch = policy.touch if isinstance(policy, Lru) else None
    for use in uses:
        entry = held.get(use.key)
        counter.note(use, missed=entry is None)
        if entry is not None:
            entry.hits += 1
            if touch is not None:
                touch(entry)
        elif use.size <= policy.capacity:
            _take_in(policy, use, held, names)
    return counter.ratios()


def _take_in(policy: Policy, use: Use, held: dict[str, Entry], names: dict[int, str]) -> None:
    entry, victims = policy.insert(use.key, use.size)
    held[use.key] = entry
    names[id(entry)] = use.key
    for victim in victims:
        del held[names.pop(id(victim))]
