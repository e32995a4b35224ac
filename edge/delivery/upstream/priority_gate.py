"""Who may use a connection next: viewers before read-ahead, read-ahead before prefetch; a bounded queue."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from enum import IntEnum

from edge.delivery.errors import OriginBusy


class Priority(IntEnum):
    """Lower goes first."""

    URGENT = 0
    """A player that is starting or has an empty buffer (CMCD su, bl=0)."""
    VIEWER = 1
    READ_AHEAD = 2
    PREFETCH = 3

    @property
    def is_background(self) -> bool:
        return self >= Priority.READ_AHEAD


class PriorityGate:
    """`slots` holders at once, of which at most `background_slots` are background; `max_waiting` in the queue."""

    def __init__(self, *, slots: int, background_slots: int, max_waiting: int) -> None:
        self._free = slots
        self._background_free = min(background_slots, slots)
        self._max_waiting = max_waiting
        self._order = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def enter(self, priority: Priority) -> None:
        """Wait for a slot. Raises OriginBusy when the queue is full."""
        if self._may_enter(priority) and not any(waiting[0] <= priority for waiting in self._waiting[:1]):
            self._take(priority)
            return
        if len(self._waiting) >= self._max_waiting:
            raise OriginBusy("the queue for the origin is full", retry_after_s=1)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._order), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the slot was ours already: pass it on
                self.leave(priority)
            raise

    def leave(self, priority: Priority) -> None:
        self._free += 1
        if priority.is_background:
            self._background_free += 1
        self._wake()

    def _may_enter(self, priority: Priority) -> bool:
        return self._free > 0 and (not priority.is_background or self._background_free > 0)

    def _take(self, priority: Priority) -> None:
        self._free -= 1
        if priority.is_background:
            self._background_free -= 1

    def _wake(self) -> None:
        while self._waiting:
            level, _, turn = self._waiting[0]
            if turn.done():  # cancelled while waiting
                heapq.heappop(self._waiting)
                continue
            if not self._may_enter(Priority(level)):
                return
            heapq.heappop(self._waiting)
            self._take(Priority(level))
            turn.set_result(None)
