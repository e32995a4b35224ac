"""Lists that are ranked behind the viewer's back: asked for when a page was answered in the order that stood."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from edge.feed.ports import Viewer
from foundation.tasks import end_tasks

_log = logging.getLogger(__name__)


class RankAhead:
    """A list for each viewer who is waited for, a few at once. Close it."""

    def __init__(self, rank: Callable[[Viewer], Awaitable[None]], *, at_once: int, most_waiting: int) -> None:
        """`rank` brings one viewer's session up to date; what it raises is logged."""
        self._rank = rank
        self._turn = asyncio.Semaphore(at_once)
        self._most_waiting = most_waiting
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def busy(self) -> bool:
        """Somebody waits: who has a usable order leaves the lists to those who soon have none."""
        return bool(self._tasks)

    def ask(self, viewer: Viewer) -> None:
        """Queue the viewer, once; dropped when too many wait, for the next page asks again."""
        if viewer.id in self._tasks or len(self._tasks) >= self._most_waiting:
            return
        task = asyncio.create_task(self._work(viewer), name="feed-rank-ahead")
        self._tasks[viewer.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(viewer.id, None))

    async def close(self) -> None:
        await end_tasks(list(self._tasks.values()))

    async def _work(self, viewer: Viewer) -> None:
        async with self._turn:
            await asyncio.sleep(0)  # the page that asked goes first, and whatever else is ready
            try:
                await self._rank(viewer)
            except Exception:
                _log.exception("a list could not be ranked ahead", extra={"event": "rank_ahead_failed"})
