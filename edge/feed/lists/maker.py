"""Makes the lists of every arm over one catalogue: vector spaces, indexes, models and the shared lists behind them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from edge.feed.arms import ArmTable
from edge.feed.lists.spaces import Spaces
from edge.feed.virality import Suspect, suspects
from inference.experiments import CONTROL, Arm
from inference.feed.columns import FeedColumns
from inference.feed.model import FeedModel
from inference.feed.pools import PoolPolicy, Pools, make_pools
from inference.feed.recommender import Pick, Policy, Ranked, Recommender
from inference.feed.row_index import EXACT_LIMIT, RowIndex
from inference.feed.sources import visible
from inference.feed.viewer import ViewerState


class CommonLists(msgspec.Struct, frozen=True, kw_only=True):
    """What every viewer shares, a second old: for pages without ranking, alarms and metrics."""

    popular: list[int] = []
    """Rows, best first."""
    trending: list[int] = []
    suspects: list[Suspect] = []
    cost_s: float = 0.0
    waiting_rows: int = 0
    """Rows searched exactly until a rebuild."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MakerPolicy:
    """What a maker is made with."""

    pools: PoolPolicy
    lists: Policy
    seed: int
    snapshots: Path | None
    """Folder that keeps the built indexes for the next start."""


class ListMaker:
    """Synchronous. Lists are asked for, and tables kept, in one thread; `prepare`, `refresh` and a rebuild of what is
    `due` may each run in another."""

    def __init__(self, columns: FeedColumns, policy: MakerPolicy, *, now_s: float) -> None:
        self._columns = columns
        self._policy = policy
        self._rng = np.random.default_rng(policy.seed)
        self._spaces = Spaces(columns, snapshots=policy.snapshots)
        self._tables: dict[int, dict[str, Recommender]] = {}
        self._pools = make_pools(columns, now_s=now_s, policy=policy.pools)

    def restore(self) -> bool:
        """Serve the catalogue's space with the index of the last run, if it was kept. Blocking, about a second."""
        return self._spaces.restore()

    def prepare(self, table: ArmTable) -> None:
        """Open the spaces of a table beside the one that serves: a list names its table. 15 us a video and an index
        build when a space is new. Raises ModelDamaged: nothing changed."""
        arms = table.experiment.arms if table.experiment is not None else {}
        made = {name: self._recommender(model, arms.get(name)) for name, model in table.models.items()}
        self._tables = {**self._tables, table.generation: made}

    def keep(self, generation: int) -> None:
        """Forget every other table, and the spaces that only they used."""
        self._tables = {generation: self._tables[generation]}
        self._spaces.keep(recommender.model for recommender in self._tables[generation].values())

    def _recommender(self, model: FeedModel, arm: Arm | None) -> Recommender:
        columns, index = self._spaces.open(model)
        return Recommender(columns, index, model=model, policy=_policy_of(self._policy.lists, arm))

    def recommend(self, state: ViewerState, *, arm: str, generation: int, count: int, now_s: float) -> Ranked:
        """A new list. 1.5-4 ms with an index over a million rows."""
        recommender = self._of(arm, generation)
        pools = self._pools_for(now_s)
        return recommender.recommend(pools, state, count=count, now_s=now_s, rng=self._rng)

    def rerank(self, state: ViewerState, tail: tuple[Pick, ...], *, arm: str, generation: int, now_s: float) -> Ranked:
        """The tail in a new order."""
        recommender = self._of(arm, generation)
        return recommender.rerank(self._pools, state, tail, now_s=now_s, rng=self._rng)

    def rerun(self, state: ViewerState, *, count: int, oldest_first: list[int], now_s: float) -> list[int]:
        """Ids of videos already seen, the longest ago first. `state` must not exclude seen ones."""
        rows = np.flatnonzero(self._pools_for(now_s).allowed)
        rows = rows[visible(state, self._columns.take(rows))]
        last_seen = {video_id: number for number, video_id in enumerate(oldest_first)}
        ids: list[int] = self._columns.video_id[rows].tolist()
        ids.sort(key=lambda video_id: last_seen.get(video_id, -1))
        return ids[:count]

    def refresh(self, *, now_s: float) -> CommonLists:
        """Make the shared lists anew."""
        started = time.perf_counter()
        pools = make_pools(self._columns, now_s=now_s, policy=self._policy.pools)
        indexes = self._spaces.indexes()
        for index in indexes:
            index.prepare(pools.allowed)
        self._pools = pools
        return CommonLists(
            popular=pools.popular.tolist(),
            trending=pools.trending.tolist(),
            suspects=suspects(self._columns, pools, now_s=now_s),
            cost_s=time.perf_counter() - started,
            waiting_rows=max(index.waiting for index in indexes),
        )

    def due(self) -> RowIndex | None:
        """The index that is to be rebuilt, if any."""
        return next((index for index in self._spaces.indexes() if index.needs_rebuild()), None)

    def _of(self, arm: str, generation: int) -> Recommender:
        """Control's for an arm that went away since it was assigned."""
        table = self._tables[generation]
        return table.get(arm) or table[CONTROL]

    def _pools_for(self, now_s: float) -> Pools:
        """Shared lists; made on the spot when the catalogue changed and is small enough for that to be cheap."""
        pools = self._pools
        if pools.version != self._columns.version and self._columns.count <= EXACT_LIMIT:
            pools = self._pools = make_pools(self._columns, now_s=now_s, policy=self._policy.pools)
        return pools


def _policy_of(policy: Policy, arm: Arm | None) -> Policy:
    if arm is not None and arm.explore_every is not None:
        policy = replace(policy, exploration=replace(policy.exploration, every=arm.explore_every))
    if arm is not None and arm.diversity_theta is not None:
        policy = replace(policy, diversity=replace(policy.diversity, theta=arm.diversity_theta))
    return policy
