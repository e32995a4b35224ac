"""Fetching ahead of viewers: bounded, in order of priority, cancellable, behind every viewer's own miss."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum

from edge.delivery.rules.byte_range import Span


class PrefetchPriority(IntEnum):
    """Lower goes first."""

    NEXT = 0
    """What a player says it wants next (CMCD nor)."""
    PLAYING = 1
    FEED = 2
    WARM = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefetchOrder:
    path: str
    """Root-relative path and query, without token."""
    span: Span | None = None
    """None: the prefix (slice 0)."""
    group: str = ""
    """Orders of one group (a session, a pre-warm) can be cancelled together."""


@dataclass(slots=True)
class PrefetchCounts:
    ordered: int = 0
    fetched: int = 0
    present: int = 0
    failed: int = 0
    dropped: int = 0
    cancelled: int = 0


Fetch = Callable[[PrefetchOrder], Awaitable[int]]
BURST_S = 2.0
"""Seconds of budget that may be used at once."""


class ByteBudget:
    """A bucket of bytes, filled at `bytes_per_s`. What is fetched is taken afterwards: its size is not known before."""

    def __init__(self, bytes_per_s: int, clock: Callable[[], float]) -> None:
        self._rate = bytes_per_s
        self._clock = clock
        self._held = bytes_per_s * BURST_S
        self._at_s = clock()

    def wait_s(self) -> float:
        """How long until there is anything to spend."""
        if not self._rate:
            return 0.0
        now_s = self._clock()
        self._held = min(self._rate * BURST_S, self._held + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        return max(0.0, -self._held / self._rate)

    def take(self, size: int) -> None:
        self._held -= size


class Prefetcher:
    """A bounded queue, a few workers and a byte budget. `fetch` returns 0 when all of it was here already."""

    def __init__(
        self,
        fetch: Fetch,
        *,
        workers: int,
        max_queued: int,
        bytes_per_s: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._budget = ByteBudget(bytes_per_s, clock)
        self._max_queued = max_queued
        self._queue: list[tuple[int, int, PrefetchOrder]] = []
        self._queued: set[tuple[str, Span | None]] = set()
        self._order = itertools.count()
        self._work = asyncio.Event()
        self._under_way = 0
        self._rest = asyncio.Event()
        self._rest.set()
        self._workers = [asyncio.create_task(self._run()) for _ in range(workers)]
        self.counts = PrefetchCounts()

    def order(self, orders: Iterable[PrefetchOrder], *, priority: PrefetchPriority) -> None:
        """Queue what is not queued yet. A full queue keeps the more urgent and, among equals, the older."""
        for wanted in orders:
            self.counts.ordered += 1
            if (wanted.path, wanted.span) in self._queued:
                continue
            if len(self._queue) >= self._max_queued and not self._make_room(priority):
                self.counts.dropped += 1
                continue
            self._queued.add((wanted.path, wanted.span))
            heapq.heappush(self._queue, (priority, next(self._order), wanted))
        if self._queue:
            self._rest.clear()
            self._work.set()

    async def idle(self) -> None:
        """Wait until nothing is queued or under way."""
        await self._rest.wait()

    def _make_room(self, priority: PrefetchPriority) -> bool:
        last = max(self._queue, key=lambda item: item[:2])
        if last[0] <= priority:
            return False
        self._remove(lambda item: item is last)
        self.counts.dropped += 1
        return True

    def cancel(self, group: str) -> int:
        """Forget what is queued for `group`; what is under way is finished. Returns how many."""
        before = len(self._queue)
        self._remove(lambda item: item[2].group == group)
        self.counts.cancelled += before - len(self._queue)
        return before - len(self._queue)

    def _remove(self, leaves: Callable[[tuple[int, int, PrefetchOrder]], bool]) -> None:
        for _, _, order in (gone := [item for item in self._queue if leaves(item)]):
            self._queued.discard((order.path, order.span))
        self._queue = [item for item in self._queue if item not in gone]
        heapq.heapify(self._queue)
        if not self._queue and not self._under_way:
            self._rest.set()

    async def _run(self) -> None:
        while True:
            while not self._queue:
                self._work.clear()
                await self._work.wait()
            if (wait_s := self._budget.wait_s()) > 0:
                await asyncio.sleep(min(wait_s, 1.0))
                continue
            _, _, order = heapq.heappop(self._queue)
            self._under_way += 1
            try:
                fetched = await self._fetch(order)
            except Exception:  # whatever a hint leads to must not end the worker; viewers see their own errors
                self.counts.failed += 1
            else:
                self._budget.take(fetched)
                self.counts.fetched += fetched > 0
                self.counts.present += fetched == 0
            finally:
                self._queued.discard((order.path, order.span))
                self._under_way -= 1
                if not self._queue and not self._under_way:
                    self._rest.set()

    async def close(self) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
