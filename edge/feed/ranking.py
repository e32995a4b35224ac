"""Runs the recommender, and keeps the shared lists and the index fresh in threads."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from edge.feed.arms import Arms
from edge.feed.breaker import CircuitBreaker
from edge.feed.metrics import FeedMetrics
from edge.feed.spaces import Spaces
from foundation.errors import Unavailable
from foundation.tasks import end_tasks
from inference.feed.columns import FeedColumns
from inference.feed.pools import PoolPolicy, Pools, make_pools
from inference.feed.recommender import Pick, Ranked, Recommender, Retrieved
from inference.feed.row_index import EXACT_LIMIT, RowIndex
from inference.feed.sources import Source, visible
from inference.feed.viewer import ViewerState

_log = logging.getLogger(__name__)
_COMPARED = 20
"""Places at the head of two lists that a shadow compares."""


class Ranking:
    """Owner of the executors and the upkeep task. Methods run on the event loop; close it."""

    def __init__(
        self,
        columns: FeedColumns,
        *,
        spaces: Spaces,
        arms: Arms,
        pool_policy: PoolPolicy,
        clock: Callable[[], float],
        rng: np.random.Generator,
        threads: int,
        timeout_s: float,
        pools_s: float,
        metrics: FeedMetrics,
    ) -> None:
        self._columns = columns
        self._spaces = spaces
        self.arms = arms
        self._after_upkeep: Callable[[Pools], Awaitable[None]] | None = None
        self._pool_policy = pool_policy
        self._clock = clock
        self._rng = rng
        self._timeout_s = timeout_s
        self._pools_s = pools_s
        self._metrics = metrics
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="rank-exact")
        self._upkeep_executor = ThreadPoolExecutor(1, thread_name_prefix="rank-upkeep")
        self._breaker = CircuitBreaker(failures=5, pause_s=2.0, clock=time.monotonic)
        self._pools = make_pools(columns, now_s=clock(), policy=pool_policy)
        self._rebuild_executor = ThreadPoolExecutor(1, thread_name_prefix="rank-rebuild")
        self._rebuilding: asyncio.Future[None] | None = None
        self._pools_cost_s = 0.0
        self._shadowing: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def index(self) -> RowIndex:
        """Control's."""
        return self.arms.control.index

    def open(self, *, after_upkeep: Callable[[Pools], Awaitable[None]]) -> None:
        self._after_upkeep = after_upkeep
        self._task = asyncio.create_task(self._upkeep(), name="feed-upkeep")

    async def close(self) -> None:
        if self._task is not None:
            await end_tasks([self._task])
        if self._shadowing is not None:
            self._shadowing.cancel()
            await asyncio.gather(self._shadowing, return_exceptions=True)
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._upkeep_executor.shutdown(wait=False, cancel_futures=True)
        self._rebuild_executor.shutdown(wait=False, cancel_futures=True)

    async def recommend(self, state: ViewerState, *, count: int, arm: str) -> Ranked:
        """A new list of one arm. Raises Unavailable when ranking fails, is late, or failed several times a moment
        ago."""
        now_s, recommender = self._clock(), self.arms.recommender(arm)
        state = self._in_space(state, recommender)
        with self._guarded():
            pools, retrieved = await self._retrieve(recommender, state, now_s)
            return recommender.recommend(pools, state, count=count, now_s=now_s, rng=self._rng, retrieved=retrieved)

    async def _retrieve(self, recommender: Recommender, state: ViewerState, now_s: float) -> tuple[Pools, Retrieved]:
        """Here and now with an index: under a millisecond, and a thread would wait longer for the interpreter (0309).
        Without one a search is exact, tens of milliseconds: a thread's. Raises TimeoutError."""

        def search() -> tuple[Pools, Retrieved]:
            pools = self._pools_for(now_s)
            return pools, recommender.retrieve(pools, state)

        if recommender.index.waiting <= EXACT_LIMIT:
            return search()
        async with asyncio.timeout(self._timeout_s):
            return await asyncio.get_running_loop().run_in_executor(self._executor, search)

    def rerank(self, state: ViewerState, tail: tuple[Pick, ...], *, arm: str) -> Ranked:
        """The tail in a new order. Raises Unavailable as `recommend`."""
        now_s, recommender = self._clock(), self.arms.recommender(arm)
        state = self._in_space(state, recommender)
        with self._guarded():
            return recommender.rerank(self._pools, state, tail, now_s=now_s, rng=self._rng)

    def shadow(self, state: ViewerState, served: tuple[Pick, ...], *, arm: str) -> None:
        """Make the arm's list beside the one served and measure how alike they are. One at a time; never waited for."""
        if self._shadowing is None or self._shadowing.done():
            self._shadowing = asyncio.create_task(self._compare(state, served, arm), name="feed-shadow")

    async def _compare(self, state: ViewerState, served: tuple[Pick, ...], arm: str) -> None:
        now_s, recommender = self._clock(), self.arms.recommender(arm)
        state, rng = self._in_space(state, recommender), self._rng.spawn(1)[0]  # a generator is one thread's
        try:
            ranked = await asyncio.get_running_loop().run_in_executor(
                self._upkeep_executor,
                lambda: recommender.recommend(self._pools_for(now_s), state, count=len(served), now_s=now_s, rng=rng),
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

    def _in_space(self, state: ViewerState, recommender: Recommender) -> ViewerState:
        """The model may have been swapped since the state was loaded, or be a shadow of another space."""
        space = recommender.columns.space
        if state.taste.space == space:
            return state
        return replace(state, taste=self._spaces.taste_in(space, state.taste))

    def popular(self, state: ViewerState, *, count: int) -> tuple[Pick, ...]:
        """Trending and popular videos in turn without any model: the fallback. Well under a millisecond."""
        pools = self._pools
        rows = np.concatenate([pools.trending[:count], pools.popular])
        _, first = np.unique(rows, return_index=True)
        rows = rows[np.sort(first)]
        rows = rows[visible(state, self._columns.take(rows))][:count]
        trending = set(pools.trending[:count].tolist())
        return tuple(
            Pick(
                video_id=int(self._columns.video_id[row]),
                source=Source.TRENDING if row in trending else Source.POPULAR,
                score=0.0,
            )
            for row in rows.tolist()
        )

    def rerun(
        self, state: ViewerState, served: frozenset[int], *, count: int, oldest_first: list[int]
    ) -> tuple[Pick, ...]:
        """Videos already seen, the longest ago first, when nothing else is left. `state` must not exclude seen ones."""
        rows = np.flatnonzero(self._pools_for(self._clock()).allowed)
        rows = rows[visible(state, self._columns.take(rows))]
        last_seen = {video_id: number for number, video_id in enumerate(oldest_first)}
        ids = [v for v in self._columns.video_id[rows].tolist() if v not in served]
        ids.sort(key=lambda video_id: last_seen.get(video_id, -1))
        return tuple(Pick(video_id=video_id, source=Source.RERUN, score=0.0) for video_id in ids[:count])

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
        except Exception as err:
            self._breaker.failed()
            _log.exception("ranking failed", extra={"event": "ranking_failed"})
            raise Unavailable("ranking failed") from err
        self._breaker.succeeded()

    def _pools_for(self, now_s: float) -> Pools:
        """Shared lists; made on the spot when the catalogue changed and is small enough for that to be cheap."""
        pools = self._pools
        if pools.version != self._columns.version and self._columns.count <= EXACT_LIMIT:
            pools = make_pools(self._columns, now_s=now_s, policy=self._pool_policy)
            self._pools = pools
        return pools

    async def _upkeep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(max(self._pools_s, 20 * self._pools_cost_s))  # at most a twentieth of a core
            try:
                due = await loop.run_in_executor(self._upkeep_executor, self._refresh)
                if due is not None and (self._rebuilding is None or self._rebuilding.done()):
                    self._rebuilding = loop.run_in_executor(self._rebuild_executor, self._rebuild, due)
                if self._after_upkeep is not None:
                    await self._after_upkeep(self._pools)
            except Exception:
                _log.exception("the shared lists could not be made", extra={"event": "upkeep_failed"})

    def _rebuild(self, index: RowIndex) -> None:
        """Minutes at a million videos; the old index and the exact block serve meanwhile."""
        try:
            index.rebuild()
        except Exception:
            _log.exception("the index could not be rebuilt", extra={"event": "rebuild_failed"})

    def _refresh(self) -> RowIndex | None:
        """Make the shared lists; the index that is to be rebuilt, if any."""
        started = time.perf_counter()
        pools = make_pools(self._columns, now_s=self._clock(), policy=self._pool_policy)
        indexes = self._spaces.indexes()
        for index in indexes:
            index.prepare(pools.allowed)
        self._pools = pools
        self._pools_cost_s = time.perf_counter() - started
        self._metrics.pools_s.set(self._pools_cost_s)
        self._metrics.waiting_rows.set(self.index.waiting)
        return next((index for index in indexes if index.needs_rebuild()), None)
