"""Lists that are ranked behind the viewer's back: asked for when a page was answered in the order that stood."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from edge.feed.ports import Viewer
from foundation.tasks import end_tasks

_log = logging.getLogger(__name__)


class RankAhead:
    """One list in a turn of the event loop, so that everything else goes on between two of them. Close it."""

    def __init__(self, rank: Callable[[Viewer], Awaitable[None]], *, most_waiting: int) -> None:
        """`rank` brings one viewer's session up to date; what it raises is logged."""
        self._rank = rank
        self._most_waiting = most_waiting
        self._waiting: OrderedDict[str, Viewer] = OrderedDict()
        self._task: asyncio.Task[None] | None = None

    def ask(self, viewer: Viewer) -> None:
        """Queue the viewer, once; dropped when too many wait, for the next page asks again."""
        if viewer.id not in self._waiting and len(self._waiting) >= self._most_waiting:
            return
        self._waiting[viewer.id] = viewer
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="feed-rank-ahead")

    async def close(self) -> None:
        self._waiting.clear()
        if self._task is not None:
            await end_tasks([self._task])

    async def _work(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(0)  # the page that asked goes first, and whatever else is ready
                _, viewer = self._waiting.popitem(last=False)
                try:
                    await self._rank(viewer)
                except Exception:
                    _log.exception("a list could not be ranked ahead", extra={"event": "rank_ahead_failed"})
        finally:
            self._task = None
