"""Candidates -> features -> scores -> diversity -> exploration: the one path that PoPs, simulator and replay share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference.errors import ModelError
from inference.feed.columns import FeedColumns
from inference.feed.deviation import deviations
from inference.feed.diversity import DiversityPolicy, Group, diversify
from inference.feed.exploration import ExplorationPolicy, choose_trials, places
from inference.feed.features import NAMES, features
from inference.feed.model import FeedModel, Weights
from inference.feed.pools import Pools, look_up
from inference.feed.row_index import RowIndex
from inference.feed.sources import Candidates, Source, SourceSizes, candidates, gather, nearest, visible
from inference.feed.viewer import ViewerState

Scores = NDArray[np.float32]


class Pick(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One place of a list: the video, why, and what off-policy evaluation needs. (A struct: a session stores many.)

    Unknown to the garbage collector, as it refers to nothing that could refer back: the 280 of each of 5,000 viewers
    made a full collection stop everything for 170 ms, which takes 7 without them.
    """

    video_id: int
    source: Source
    score: float
    propensity: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    sizes: SourceSizes = field(default_factory=SourceSizes)
    diversity: DiversityPolicy = field(default_factory=DiversityPolicy)
    exploration: ExplorationPolicy = field(default_factory=ExplorationPolicy)
    diversified: int = 24
    """Places ordered by quality and difference; the rest waits for the next re-rank in score order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    picks: tuple[Pick, ...]
    degraded: bool
    """The ranker failed: ordered by the blend."""
    candidates: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """What the vector search found: `near` are rows, best first; both None as long as nothing was liked."""

    query: NDArray[np.float32] | None
    near: NDArray[np.int64] | None


class Recommender:
    """Synchronous: `retrieve` .7 ms over an index of a million rows (70 without one), the rest .7-1.2 ms of short steps
    that need the interpreter. Holds no viewer."""

    def __init__(self, columns: FeedColumns, index: RowIndex, *, model: FeedModel, policy: Policy) -> None:
        self.columns = columns
        self.index = index
        self.model = model
        self.policy = policy

    def retrieve(self, pools: Pools, state: ViewerState) -> Retrieved:
        query = self.model.search_vector(state.taste)
        if query is None:
            return Retrieved(query=None, near=None)
        near = nearest(self.columns, self.index, pools, state, query, self.policy.sizes.taste)
        return Retrieved(query=query, near=near)

    def recommend(
        self,
        pools: Pools,
        state: ViewerState,
        *,
        count: int,
        now_s: float,
        rng: np.random.Generator,
        retrieved: Retrieved | None = None,
    ) -> Ranked:
        """Up to `count` videos this viewer has not seen, best first. `retrieved` for the same pools and state, if it is
        there already."""
        retrieved = retrieved or self.retrieve(pools, state)
        found = self._gather(pools, state, retrieved)
        return self._order(pools, state, found, retrieved.query, count=count, now_s=now_s, rng=rng)

    def _gather(self, pools: Pools, state: ViewerState, retrieved: Retrieved) -> Candidates:
        return gather(self.columns, pools, self.model.item_to_item, state, near=retrieved.near, sizes=self.policy.sizes)

    def rerank(
        self, pools: Pools, state: ViewerState, tail: tuple[Pick, ...], *, now_s: float, rng: np.random.Generator
    ) -> Ranked:
        """The unseen rest of a session in a new order after the taste changed; trials keep their places' share."""
        rows, source = self._rows_of([pick for pick in tail if pick.source is not Source.EXPLORE])
        found, query = self._found(state, rows, source)
        found = found.only(np.flatnonzero(visible(state, found.records)))
        return self._order(pools, state, found, query, count=len(tail), now_s=now_s, rng=rng)

    def _rows_of(self, picks: Sequence[Pick]) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
        """Rows and sources of the picks that are still here."""
        rows = self.columns.find([pick.video_id for pick in picks])
        source = np.array([pick.source for pick in picks], np.int8)
        return rows[rows >= 0], source[rows >= 0]

    def _found(
        self, state: ViewerState, rows: NDArray[np.int64], source: NDArray[np.int8]
    ) -> tuple[Candidates, NDArray[np.float32] | None]:
        """Rows as candidates again, and the query that goes with them."""
        found = candidates(self.columns, rows, source, self.model.item_to_item.scores(state.taste))
        return found, self.model.search_vector(state.taste)

    def candidates(self, pools: Pools, state: ViewerState, *, now_s: float) -> tuple[NDArray[np.int64], Scores]:
        """Ids (n,) and features (n, WIDTH) of everything `recommend` would rank now: for training."""
        retrieved = self.retrieve(pools, state)
        found = self._gather(pools, state, retrieved)
        x = features(self.columns, pools, state, found, retrieved.query, now_s=now_s)
        return found.records["video_id"].copy(), x

    def inputs(self, pools: Pools, state: ViewerState, picks: list[Pick], *, now_s: float) -> Scores:
        """(n, WIDTH) features of picks as they are now: what a training log records next to what came of them."""
        found, query = self._found(state, *self._rows_of(picks))
        return features(self.columns, pools, state, found, query, now_s=now_s)

    def _order(
        self,
        pools: Pools,
        state: ViewerState,
        found: Candidates,
        query: NDArray[np.float32] | None,
        *,
        count: int,
        now_s: float,
        rng: np.random.Generator,
    ) -> Ranked:
        vectors = self.columns.vectors(found.rows)
        x = features(self.columns, pools, state, found, query, now_s=now_s, vectors=vectors)
        scores, degraded = self._score(x, pools, state, found, query)
        order = self._arrange(state, found, scores, vectors, count)
        ids = found.records["video_id"][order].tolist()
        reasons, values = found.source[order].tolist(), scores[order].tolist()
        picks = [
            Pick(video_id=video_id, source=_SOURCES[reason], score=value)
            for video_id, reason, value in zip(ids, reasons, values, strict=True)
        ]
        picks = self._explore(pools, state, picks, query, count=count, rng=rng)
        return Ranked(picks=tuple(picks[:count]), degraded=degraded, candidates=len(found.rows))

    def _score(
        self, x: Scores, pools: Pools, state: ViewerState, found: Candidates, query: NDArray[np.float32] | None
    ) -> tuple[Scores, bool]:
        """(n,) finite. Without any liked video popularity and chosen interests decide: models know nothing yet."""
        weights = self.model.weights
        if query is None:
            return _cold(x, look_up(pools.welcoming, found.rows), weights), False
        blend = _blend(x, found, state, weights)
        if not weights.ranker:
            return blend, False
        if self.model.ranker is None:
            return _blend(x, found, state, _WITHOUT_RANKER), False
        try:
            predicted = self.model.ranker.predict(x)
        except ModelError:
            return _blend(x, found, state, _WITHOUT_RANKER), True
        heads = np.array([weights.like, weights.share, weights.finish, weights.skip], np.float32)
        return blend + weights.ranker * _z(predicted.interest + predicted.heads @ heads), False

    def _arrange(
        self, state: ViewerState, found: Candidates, scores: Scores, vectors: Scores, count: int
    ) -> NDArray[np.int64]:
        """Positions in `found`: a diversified head, then the rest by score."""
        columns = self.columns
        short = np.argsort(-scores, kind="stable")[: max(count, 100)]
        shown = columns.rows(state.shown_ids)
        before, inside = columns.take(shown), found.records.take(short)
        head = diversify(
            scores[short],
            vectors[short],
            Group(creators=inside["creator_id"], sounds=inside["sound_id"]),
            k=min(self.policy.diversified, count),
            shown_vectors=columns.vectors(shown),
            shown_creators=before["creator_id"].tolist(),
            shown_sounds=before["sound_id"].tolist(),
            policy=self.policy.diversity,
        )
        rest = np.ones(len(short), bool)
        rest[head] = False
        return np.concatenate([short[head], short[rest]])[:count]

    def _explore(
        self,
        pools: Pools,
        state: ViewerState,
        picks: list[Pick],
        query: NDArray[np.float32] | None,
        *,
        count: int,
        rng: np.random.Generator,
    ) -> list[Pick]:
        """Give each reserved place to a new video; it leaves its own place further down, if it had one."""
        slots = places(min(count, len(picks)), every=self.policy.exploration.every, rng=rng)
        trials = choose_trials(self.columns, pools, state, query, count=len(slots), rng=rng)
        if not trials:
            return picks
        ids = [int(self.columns.video_id[trial.row]) for trial in trials]
        tried = set(ids)
        picks = [pick for pick in picks if pick.video_id not in tried]
        for slot, video_id, trial in zip(slots, ids, trials, strict=False):
            new = Pick(video_id=video_id, source=Source.EXPLORE, score=0.0, propensity=trial.propensity)
            picks.insert(min(slot, len(picks)), new)
        return picks


_SOURCES = tuple(Source)
_WITHOUT_RANKER = Weights(query_cosine=1.0, item_to_item=1.0, popularity=0.1, popularity_gate=2.0)
_COLUMN = {name: number for number, name in enumerate(NAMES)}


def _cold(x: Scores, welcoming: Scores, weights: Weights) -> Scores:
    """What newcomers liked here of late (`welcoming` (n,)), watched well by who saw it, chosen interests first,
    followed creators, and away from what was skipped."""
    away = x[:, _COLUMN["dislike_cosine_4"]]
    score: Scores = (
        welcoming
        + 2.0 * x[:, _COLUMN["interest_match"]]
        + 1.0 * x[:, _COLUMN["followed"]]
        + 0.3 * x[:, _COLUMN["same_region"]]
        + weights.cold_quantile * x[:, _COLUMN["quantile_posterior"]]
        - 1.5 * np.maximum(away, 0.0)
    ).astype(np.float32)
    return score


def _blend(x: Scores, found: Candidates, state: ViewerState, weights: Weights) -> Scores:
    popularity = weights.popularity + weights.popularity_gate / (1.0 + state.taste.likes)
    total = np.zeros(len(x), np.float32)
    for weight, values in (
        (weights.query_cosine, x[:, _COLUMN["query_cosine"]]),
        (weights.item_to_item, found.item_to_item),
        (popularity, x[:, _COLUMN["popularity"]]),
    ):
        if weight:
            total += np.float32(weight) * _z(values)
    return total


def _z(values: Scores) -> Scores:
    if not len(values):
        return values
    apart, deviation = deviations(values)
    z: Scores = apart / max(deviation, 1e-6)
    return z
