"""Lists for viewers, wherever they are made, and what a page gets when there are none."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge.feed.arms import Arms, ArmTable
from edge.feed.breaker import CircuitBreaker
from edge.feed.lists.here import ListsHere
from edge.feed.lists.maker import CommonLists, MakerPolicy
from edge.feed.lists.port import Lists
from edge.feed.lists.process import ListProcess
from edge.feed.metrics import FeedMetrics
from edge.feed.settings import FeedSettings
from edge.feed.taste_spaces import TasteSpaces
from foundation.errors import Unavailable
from foundation.tasks import end_tasks
from inference.feed.columns import FeedColumns
from inference.feed.recommender import Pick, Ranked
from inference.feed.sources import Source, visible
from inference.feed.viewer import ViewerState

_log = logging.getLogger(__name__)
_COMPARED = 20
"""Places at the head of two lists that a shadow compares."""
_NEWEST = 2000
"""New videos that stand in when a viewer has seen everything popular and ranking is still away."""
_AGAIN_S = 5.0
"""Between two starts of a list process that ended."""


class Ranking:
    """Owner of what makes lists and of the upkeep task. Methods run on the event loop; close it."""

    def __init__(
        self,
        columns: FeedColumns,
        settings: FeedSettings,
        *,
        arms: Arms,
        spaces: TasteSpaces,
        policy: MakerPolicy,
        model_dir: Path | None,
        clock: Callable[[], float],
        metrics: FeedMetrics,
    ) -> None:
        self._columns = columns
        self._settings = settings
        self.arms = arms
        self._spaces = spaces
        self._policy = policy
        self._model_dir = model_dir
        self._clock = clock
        self._metrics = metrics
        self._lists: Lists = ListsHere(columns, policy, now_s=clock())
        self._tried_s = -math.inf
        self._changing = asyncio.Lock()
        self._common = CommonLists()
        self._breaker = CircuitBreaker(failures=5, pause_s=2.0, clock=time.monotonic)
        self._shadowing: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self, *, after_upkeep: Callable[[CommonLists], Awaitable[None]]) -> None:
        """Lists can be asked for from now on. Raises ModelError."""
        await self._upkeep()
        if isinstance(self._lists, ListsHere):
            await self._lists.prepare(self.arms.table)
        self._task = asyncio.create_task(self._keep_up(after_upkeep), name="feed-upkeep")

    async def close(self) -> None:
        if self._task is not None:
            await end_tasks([self._task])
        if self._shadowing is not None:
            self._shadowing.cancel()
            await asyncio.gather(self._shadowing, return_exceptions=True)
        await self._lists.close()

    async def serve(self, table: ArmTable) -> None:
        """Swap models, spaces and experiment in one step. Raises ModelError, Unavailable: then nothing changed."""
        async with self._changing:
            try:
                await self._lists.prepare(table)
            except TimeoutError as err:
                raise Unavailable("the models were not ready in time") from err
            self.arms.swap(table)
            with suppress(Unavailable, TimeoutError):  # what is not forgotten now ends with its process
                await self._lists.keep(table.generation)

    @property
    def process_id(self) -> int | None:
        """Of the list process, if there is one."""
        return self._lists.process_id if isinstance(self._lists, ListProcess) else None

    @property
    def apart(self) -> bool:
        """Are lists made in a process of their own, so that making one holds up nobody?"""
        return self.process_id is not None

    def crowded(self, pages: int) -> bool:
        """Is more asked for than can be ranked? `pages` are being made now."""
        most = self._settings.pages_ranked
        return pages > most or self._lists.waiting >= most

    async def recommend(self, state: ViewerState, *, count: int, arm: str) -> Ranked:
        """A new list of one arm. Raises Unavailable when ranking fails, is late, or failed several times a moment
        ago."""
        state, table = self._in_space(state, arm), self.arms.table
        with self._guarded():
            return await self._lists.recommend(
                state, arm=arm, generation=table.generation, count=count, now_s=self._clock()
            )

    async def rerank(self, state: ViewerState, tail: tuple[Pick, ...], *, arm: str) -> Ranked:
        """The tail in a new order. Raises Unavailable as `recommend`."""
        state, table = self._in_space(state, arm), self.arms.table
        with self._guarded():
            return await self._lists.rerank(state, tail, arm=arm, generation=table.generation, now_s=self._clock())

    def shadow(self, state: ViewerState, served: tuple[Pick, ...], *, arm: str) -> None:
        """Make the arm's list beside the one served and measure how alike they are. One at a time; never waited for."""
        if self._shadowing is None or self._shadowing.done():
            self._shadowing = asyncio.create_task(self._compare(state, served, arm), name="feed-shadow")

    async def _compare(self, state: ViewerState, served: tuple[Pick, ...], arm: str) -> None:
        state, table = self._in_space(state, arm), self.arms.table
        try:
            ranked = await self._lists.recommend(
                state, arm=arm, generation=table.generation, count=len(served), now_s=self._clock()
            )
        except Exception:
            _log.exception("a shadowed arm failed", extra={"event": "shadow_failed", "arm": arm})
            self._metrics.shadow_failures.inc()
            return
        if ranked.degraded:
            self._metrics.shadow_failures.inc()
        head = {pick.video_id for pick in served[:_COMPARED]}
        common = head & {pick.video_id for pick in ranked.picks[:_COMPARED]}
        self._metrics.shadow_overlap.observe(len(common) / max(len(head), 1))

    def _in_space(self, state: ViewerState, arm: str) -> ViewerState:
        """The model may have been swapped since the state was loaded, or be a shadow of another space."""
        space = self.arms.space(arm)
        if state.taste.space == space:
            return state
        return replace(state, taste=self._spaces.taste_in(space, state.taste))

    def popular(self, state: ViewerState, *, count: int) -> tuple[Pick, ...]:
        """Trending, popular and then the newest videos without any model: the fallback. Well under a millisecond."""
        trending, end = self._common.trending[:count], self._columns.count
        newest = range(end - 1, max(end - _NEWEST, 0) - 1, -1)
        rows = np.array([*dict.fromkeys([*trending, *self._common.popular, *newest])], np.int64)
        rows = rows[visible(state, self._columns.take(rows))][:count]
        first, popular = set(trending), set(self._common.popular)
        return tuple(
            Pick(video_id=video_id, source=_fallback_source(row, first, popular), score=0.0)
            for row, video_id in zip(rows.tolist(), self._columns.video_id[rows].tolist(), strict=True)
        )

    async def rerun(self, state: ViewerState, *, count: int, oldest_first: list[int]) -> tuple[Pick, ...]:
        """Videos already seen, the longest ago first, when nothing else is left. `state` must not exclude seen ones.
        Raises Unavailable."""
        with self._guarded():
            ids = await self._lists.rerun(state, count=count, oldest_first=oldest_first, now_s=self._clock())
        return tuple(Pick(video_id=video_id, source=Source.RERUN, score=0.0) for video_id in ids)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Whatever goes wrong inside, in numpy or onnxruntime, costs one viewer's order, not the page (F4)."""
        if self._breaker.open:
            raise Unavailable("ranking failed several times: popular videos for a moment")
        try:
            yield
        except TimeoutError as err:
            self._breaker.failed()
            raise Unavailable("ranking was late") from err
        except Unavailable:
            self._breaker.failed()
            raise
        except Exception as err:
            self._breaker.failed()
            _log.exception("ranking failed", extra={"event": "ranking_failed"})
            raise Unavailable("ranking failed") from err
        self._breaker.succeeded()

    async def _keep_up(self, after_upkeep: Callable[[CommonLists], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(max(self._settings.pools_s, 20 * self._common.cost_s))  # at most a twentieth of a core
            try:
                await self._upkeep()
                await after_upkeep(self._common)
            except Exception:
                _log.exception("the shared lists could not be made", extra={"event": "upkeep_failed"})

    async def _upkeep(self) -> None:
        if self._process_is_due():
            try:
                await self._start_process()
            except (Unavailable, TimeoutError) as err:
                _log.error("no list process: %s", err, extra={"event": "list_process_failed"})
        if self._lists.alive:
            self._common = await self._lists.refresh(now_s=self._clock())
            self._metrics.pools_s.set(self._common.cost_s)
            self._metrics.waiting_rows.set(self._common.waiting_rows)

    def _process_is_due(self) -> bool:
        large = self._columns.count >= self._settings.list_process_from
        served = self._lists.alive and not isinstance(self._lists, ListsHere)
        return large and not served and time.monotonic() > self._tried_s + _AGAIN_S

    async def _start_process(self) -> None:
        """Until the new one can make lists they are made as before; after the end of another, not at all."""
        self._tried_s = time.monotonic()
        if not self._lists.alive:
            _log.error("the list process ended: starting another", extra={"event": "list_process_ended"})
        process = await ListProcess.start(
            self._columns,
            self._policy,
            model_dir=self._model_dir,
            now_s=self._clock(),
            timeout_s=self._settings.rank_timeout_s,
        )
        async with self._changing:
            try:
                await process.prepare(self.arms.table)
            except BaseException:
                await process.close()
                raise
            before, self._lists = self._lists, process
        await before.close()


def _fallback_source(row: int, trending: set[int], popular: set[int]) -> Source:
    if row in trending:
        return Source.TRENDING
    return Source.POPULAR if row in popular else Source.FRESH
