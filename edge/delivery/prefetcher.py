"""Fetching ahead of viewers: bounded, in order of priority, given up when passed by, behind every viewer's own miss."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

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
    stream: str = ""
    """Of the player that wants it next (Cmcd.stream); empty: nobody in particular."""

    @property
    def key(self) -> tuple[str, Span | None]:
        return self.path, self.span


@dataclass(slots=True)
class PrefetchCounts:
    ordered: int = 0
    fetched: int = 0
    present: int = 0
    failed: int = 0
    dropped: int = 0
    cancelled: int = 0


Fetch = Callable[[PrefetchOrder], Awaitable[int]]
_Place: TypeAlias = tuple[int, int, PrefetchOrder]
"""In the queue: priority, number, order."""
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
        self._queue: list[_Place] = []
        self._queued: dict[tuple[str, Span | None], str] = {}
        """What is queued or under way, and the stream it is for; empty when it is for several, or for nobody."""
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
            known = self._queued.get(wanted.key)
            if known is not None:
                if known != wanted.stream:
                    self._queued[wanted.key] = ""
                continue
            if len(self._queue) >= self._max_queued and not self._make_room(priority):
                self.counts.dropped += 1
                continue
            self._queued[wanted.key] = wanted.stream
            heapq.heappush(self._queue, (priority, next(self._order), wanted))
        if self._queue:
            self._rest.clear()
            self._work.set()

    async def idle(self) -> None:
        """Wait until nothing is queued or under way."""
        while self._queue or self._under_way:
            await self._rest.wait()

    def _make_room(self, priority: PrefetchPriority) -> bool:
        last = max(self._queue, key=lambda item: item[:2])
        if last[0] <= priority:
            return False
        self._remove(lambda item: item is last)
        self.counts.dropped += 1
        return True

    def move_on(self, stream: str, orders: Collection[PrefetchOrder], *, priority: PrefetchPriority) -> None:
        """What `stream` wants next now; what is still queued for it alone has been passed by and is forgotten.

        So a player holds no more of the queue than its last hint. What is under way is finished.
        """
        if stream and stream in self._queued.values():
            wanted = {order.key for order in orders}
            self.counts.cancelled += self._remove(
                lambda item: item[2].key not in wanted and self._queued[item[2].key] == stream
            )
        self.order(orders, priority=priority)

    def _remove(self, leaves: Callable[[_Place], bool]) -> int:
        gone = [item for item in self._queue if leaves(item)]
        for _, _, order in gone:
            del self._queued[order.key]
        self._queue = [item for item in self._queue if item[2].key in self._queued]
        heapq.heapify(self._queue)
        if not self._queue and not self._under_way:
            self._rest.set()
        return len(gone)

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
                del self._queued[order.key]
                self._under_way -= 1
                if not self._queue and not self._under_way:
                    self._rest.set()

    async def close(self) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
