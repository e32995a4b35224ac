"""Lists made on the event loop: under a millisecond each as long as a catalogue is searched exactly and small."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from edge.feed.arms import ArmTable
from edge.feed.lists.maker import CommonLists, ListMaker, MakerPolicy
from foundation.errors import Unavailable
from inference.feed.columns import FeedColumns
from inference.feed.recommender import Pick, Ranked
from inference.feed.row_index import EXACT_LIMIT
from inference.feed.viewer import ViewerState

_MOST = 2 * EXACT_LIMIT
"""Videos; an exact search among more would hold up the event loop for too long."""


class ListsHere:
    """A maker in this process; its upkeep runs in a thread."""

    waiting = 0
    alive = True

    def __init__(self, columns: FeedColumns, policy: MakerPolicy, *, now_s: float) -> None:
        self._columns = columns
        self._maker = ListMaker(columns, policy, now_s=now_s)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="lists")

    @property
    def _too_many(self) -> bool:
        """The list process did not start."""
        return self._columns.count > _MOST

    async def recommend(self, state: ViewerState, *, arm: str, generation: int, count: int, now_s: float) -> Ranked:
        if self._too_many:
            raise Unavailable("so many videos are not searched in the PoP's own process")
        return self._maker.recommend(state, arm=arm, generation=generation, count=count, now_s=now_s)

    async def rerank(
        self, state: ViewerState, tail: tuple[Pick, ...], *, arm: str, generation: int, now_s: float
    ) -> Ranked:
        return self._maker.rerank(state, tail, arm=arm, generation=generation, now_s=now_s)

    async def rerun(self, state: ViewerState, *, count: int, oldest_first: list[int], now_s: float) -> list[int]:
        return self._maker.rerun(state, count=count, oldest_first=oldest_first, now_s=now_s)

    async def prepare(self, table: ArmTable) -> None:
        if self._too_many:
            return  # minutes and gigabytes for nothing
        await asyncio.get_running_loop().run_in_executor(self._executor, self._maker.prepare, table)

    async def keep(self, generation: int) -> None:
        if not self._too_many:
            self._maker.keep(generation)

    async def refresh(self, *, now_s: float) -> CommonLists:
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, lambda: self._maker.refresh(now_s=now_s)
        )

    async def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
