"""What chooses the next page: the recommender itself, and what it has to beat."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inference.feed.columns import FeedColumns
from inference.feed.model import FeedModel
from inference.feed.outcome import judge
from inference.feed.pools import PoolPolicy, Pools, make_pools
from inference.feed.recommender import Pick, Policy, Recommender
from inference.feed.row_index import RowIndex
from inference.feed.sources import Source
from inference.feed.taste import Taste, updated
from inference.feed.viewer import ViewerState
from inference.simulation.world import Reaction

SPACE = "simulated"
_POOLS_EVERY_S = 60.0


class FeedPolicy(Protocol):
    """Pages for viewers 0..n-1 over shared columns, whose rows are added by the run."""

    columns: FeedColumns

    def page(self, viewer: int, *, count: int, now_s: float, rng: np.random.Generator) -> list[Pick]: ...

    def watched(self, viewer: int, pick: Pick, reaction: Reaction, *, now_s: float) -> None: ...


class Ours:
    """The serving code, without its shell. `blend_random` shuffles in that share of random videos (training logs)."""

    def __init__(
        self, model: FeedModel, *, viewers: int, policy: Policy | None = None, blend_random: float = 0.0
    ) -> None:
        self.columns = FeedColumns(space=SPACE)
        self.model = model
        self.recommender = Recommender(self.columns, RowIndex(self.columns), model=model, policy=policy or Policy())
        self._pool_policy = PoolPolicy()
        self._pools: Pools | None = None
        self._blend_random = blend_random
        self.states = [ViewerState(taste=Taste(space=SPACE)) for _ in range(viewers)]

    def pools(self, now_s: float) -> Pools:
        if self._pools is None or now_s - self._pools.made_at_s >= _POOLS_EVERY_S:
            self._pools = make_pools(self.columns, now_s=now_s, policy=self._pool_policy)
        return self._pools

    def page(self, viewer: int, *, count: int, now_s: float, rng: np.random.Generator) -> list[Pick]:
        state, pools = self.states[viewer], self.pools(now_s)
        picks = list(self.recommender.recommend(pools, state, count=count, now_s=now_s, rng=rng).picks)
        if self._blend_random:
            picks = self._with_random(picks, state, pools, rng)
        for pick in picks:
            if pick.source is Source.EXPLORE:
                self.columns.granted[self.columns.row_of[pick.video_id]] += 1
        ids = [pick.video_id for pick in picks]
        self.states[viewer] = replace(
            state,
            seen_ids=np.union1d(state.seen_ids, np.array(ids, np.int64)),
            shown_ids=(*state.shown_ids, *ids)[-10:],
        )
        return picks

    def watched(self, viewer: int, pick: Pick, reaction: Reaction, *, now_s: float) -> None:
        columns, state = self.columns, self.states[viewer]
        row = columns.row_of[pick.video_id]
        outcome = judge(
            self.model.quantiles,
            duration_s=float(columns.duration_s[row]),
            watched_s=reaction.watched_s,
            liked=reaction.liked,
            shared=reaction.shared,
        )
        columns.record(row, outcome, now_s=now_s, watched_before=state.taste.events)
        taste = updated(
            state.taste,
            vector=columns.vector[row].astype(np.float32),
            outcome=outcome,
            video_id=pick.video_id,
            creator_id=int(columns.creator_id[row]),
            now_s=now_s,
        )
        self.states[viewer] = replace(state, taste=taste)

    def _with_random(self, picks: list[Pick], state: ViewerState, pools: Pools, rng: np.random.Generator) -> list[Pick]:
        ids = self.columns.video_id[np.flatnonzero(pools.allowed)]
        taken = {*state.seen_ids.tolist(), *(pick.video_id for pick in picks)}
        for place in range(len(picks)):
            if rng.random() < self._blend_random:
                video_id = int(rng.choice(ids))
                if video_id not in taken:
                    taken.add(video_id)
                    picks[place] = Pick(video_id=video_id, source=Source.FRESH, score=0.0)
        return picks


class OneAverage:
    """The usual first version: one running mean (.9 / .1, +1 over half watched, -.5 under), nearest videos, 20 %
    random."""

    def __init__(self, *, viewers: int) -> None:
        self.columns = FeedColumns(space=SPACE)
        self._means = np.zeros((viewers, 256), np.float32)
        self._seen: list[set[int]] = [set() for _ in range(viewers)]

    def page(self, viewer: int, *, count: int, now_s: float, rng: np.random.Generator) -> list[Pick]:
        n = self.columns.count
        scores = self.columns.vector[:n].astype(np.float32) @ self._means[viewer]
        if not self._means[viewer].any():
            scores = rng.random(n).astype(np.float32)
        fresh = [r for r in np.argsort(-scores).tolist() if int(self.columns.video_id[r]) not in self._seen[viewer]]
        chosen = fresh[:count]
        for place in range(len(chosen)):
            if rng.random() < 0.2:
                chosen[place] = int(rng.choice(fresh[count:])) if len(fresh) > count else chosen[place]
        ids = list(dict.fromkeys(int(self.columns.video_id[row]) for row in chosen))
        self._seen[viewer].update(ids)
        return [Pick(video_id=video_id, source=Source.TASTE, score=0.0) for video_id in ids]

    def watched(self, viewer: int, pick: Pick, reaction: Reaction, *, now_s: float) -> None:
        row = self.columns.row_of[pick.video_id]
        signal = 1.0 if reaction.watched_s > 0.5 * self.columns.duration_s[row] else -0.5
        self._means[viewer] = 0.9 * self._means[viewer] + 0.1 * signal * self.columns.vector[row].astype(np.float32)


class Shared:
    """Every viewer gets the best of one list: by popularity, or at random."""

    def __init__(self, *, viewers: int, random: bool) -> None:
        self.columns = FeedColumns(space=SPACE)
        self._random = random
        self._worth: dict[int, float] = {}
        self._seen: list[set[int]] = [set() for _ in range(viewers)]

    def page(self, viewer: int, *, count: int, now_s: float, rng: np.random.Generator) -> list[Pick]:
        ids: NDArray[np.int64] = self.columns.video_id[: self.columns.count]
        worth = rng.random(len(ids)) * 1e-3
        if not self._random:
            worth += np.array([self._worth.get(v, 0.0) for v in ids.tolist()])
        ranked = [int(v) for v in ids[np.argsort(-worth)] if int(v) not in self._seen[viewer]][:count]
        self._seen[viewer].update(ranked)
        return [Pick(video_id=video_id, source=Source.POPULAR, score=0.0) for video_id in ranked]

    def watched(self, viewer: int, pick: Pick, reaction: Reaction, *, now_s: float) -> None:
        row = self.columns.row_of[pick.video_id]
        share = min(reaction.watched_s / float(self.columns.duration_s[row]), 1.0)
        self._worth[pick.video_id] = self._worth.get(pick.video_id, 0.0) + share
