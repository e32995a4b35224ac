"""Replays real interactions, in time order, through the serving code: what would it have recommended just before?

Each event is predicted from the state before its second (data sets have many events in one second), over the whole
catalogue less what the viewer has rated; then the event updates taste and counters exactly as a PoP does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inference.feed.columns import FeedColumns, NewVideo
from inference.feed.model import FeedModel
from inference.feed.outcome import Outcome
from inference.feed.pools import PoolPolicy, Pools, make_pools
from inference.feed.recommender import Policy, Recommender
from inference.feed.row_index import RowIndex
from inference.feed.space_columns import SpaceColumns, taste_in
from inference.feed.taste import Taste, updated
from inference.feed.viewer import ViewerState
from inference.training.paired import Paired, paired_over_groups

LIKED, NEUTRAL, SKIPPED = 1, 0, -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Interactions:
    """(n,) in time order: dense viewers and items, seconds, and a verdict of LIKED, NEUTRAL or SKIPPED."""

    viewer: NDArray[np.int64]
    item: NDArray[np.int64]
    at_s: NDArray[np.int64]
    verdict: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.viewer)

    def between(self, start: float, end: float) -> Interactions:
        """The part between two shares of the log."""
        return self._part(slice(int(start * len(self)), int(end * len(self))))

    def before(self, now_s: float) -> Interactions:
        """The past of a moment."""
        return self._part(slice(0, int(np.searchsorted(self.at_s, now_s))))

    def _part(self, part: slice) -> Interactions:
        return Interactions(
            viewer=self.viewer[part], item=self.item[part], at_s=self.at_s[part], verdict=self.verdict[part]
        )

    def moments(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """(viewer, positions) of each viewer's events within one second, in time order."""
        start = 0
        while start < len(self):
            end = start
            while end < len(self) and self.at_s[end] == self.at_s[start]:
                end += 1
            positions = np.arange(start, end)
            for viewer in np.unique(self.viewer[start:end]).tolist():
                yield viewer, positions[self.viewer[start:end] == viewer]
            start = end


class Predictor(Protocol):
    """Anything that ranks items for a viewer and learns from events."""

    def top(self, viewer: int, k: int, *, now_s: float) -> list[int]:
        """Up to k items (dense) the viewer has not met, best first."""
        ...

    def learn(self, viewer: int, item: int, verdict: int, *, now_s: float) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """(m,) per liked event: rank 0..k-1 or -1, its viewer, how many events of any kind the viewer had before."""

    rank: NDArray[np.int64]
    viewer: NDArray[np.int64]
    history: NDArray[np.int64]
    coverage: float
    """Share of the catalogue that appeared in some list."""

    def hit_rate(self) -> float:
        return float((self.rank >= 0).mean())

    def ndcg(self) -> NDArray[np.float64]:
        """(m,) per event; one relevant item each."""
        return np.where(self.rank >= 0, 1 / np.log2(np.maximum(self.rank, 0) + 2), 0.0)

    def hits(self) -> NDArray[np.float64]:
        """(m,) 1 where the liked item was among the k."""
        return (self.rank >= 0).astype(np.float64)

    def viewer_mean_ndcg(self) -> Paired:
        """Mean over viewers, with a 95 % bootstrap interval over viewers (seeded)."""
        return paired_over_groups(self.ndcg(), self.viewer)


def replay(
    predictor: Predictor, *, warm_up: Interactions, test: Interactions, n_items: int, k: int = 10
) -> ReplayResult:
    """Learn `warm_up` event by event, then predict and learn `test`."""
    before: Counter[int] = Counter()
    for viewer, item, at_s, verdict in _rows(warm_up, np.arange(len(warm_up))):
        predictor.learn(viewer, item, verdict, now_s=at_s)
        before[viewer] += 1
    ranks: list[tuple[int, int, int]] = []
    covered: set[int] = set()
    for viewer, positions in test.moments():
        targets = test.item[positions[test.verdict[positions] == LIKED]].tolist()
        if targets:
            top = predictor.top(viewer, k, now_s=float(test.at_s[positions[0]]))
            covered.update(top)
            place = {item: number for number, item in enumerate(top)}
            ranks += [(place.get(item, -1), viewer, before[viewer]) for item in targets]
        for _, item, at_s, verdict in _rows(test, positions):
            predictor.learn(viewer, item, verdict, now_s=at_s)
        before[viewer] += len(positions)
    table = np.array(ranks, np.int64)
    return ReplayResult(rank=table[:, 0], viewer=table[:, 1], history=table[:, 2], coverage=len(covered) / n_items)


def _rows(events: Interactions, positions: NDArray[np.int64]) -> Iterator[tuple[int, int, float, int]]:
    for at in positions.tolist():
        yield int(events.viewer[at]), int(events.item[at]), float(events.at_s[at]), int(events.verdict[at])


OUTCOMES = {
    LIKED: Outcome(quantile=0.9, liking=1.0, dislike=0.0, finished=True, skipped=False),
    NEUTRAL: Outcome(quantile=0.5, liking=0.0, dislike=0.0, finished=False, skipped=False),
    SKIPPED: Outcome(quantile=0.1, liking=0.0, dislike=1.0, finished=False, skipped=True),
}


CONTENT = "replay"
"""Space of the vectors that a replay's catalogue carries."""


class ServingPredictor:
    """The recommender a PoP runs, over a catalogue of items without media. Item i has video id i + 1."""

    def __init__(
        self,
        model: FeedModel,
        vectors: NDArray[np.float32],
        *,
        policy: Policy,
        start_s: float,
        refresh: Callable[[float], FeedModel | None] = lambda now_s: None,
        pools_every_s: float = 300.0,
    ) -> None:
        """vectors (n, 256): unit rows, or zero for an item without one. `refresh` may give a newer model at a time:
        vectors are swapped at once, a taste follows when its viewer comes next, as at a PoP."""
        self.catalogue = FeedColumns(space=CONTENT)
        self._policy = policy
        self._refresh = refresh
        self._pools: Pools | None = None
        self._pools_every_s = pools_every_s
        self._rng = np.random.default_rng(0)
        self._tastes: dict[int, Taste] = {}
        self._met: dict[int, set[int]] = {}
        for item, vector in enumerate(vectors):
            known = vector if vector.any() else None
            self.catalogue.put(
                NewVideo(video_id=item + 1, creator_id=item + 1, published_s=start_s, duration_s=60, vector=known)
            )
        self.recommender = self._serving(model)

    def _serving(self, model: FeedModel) -> Recommender:
        columns = self.catalogue if model.space is None else SpaceColumns(self.catalogue, model.space)
        return Recommender(columns, RowIndex(columns), model=model, policy=self._policy)

    def taste(self, viewer: int) -> Taste:
        columns = self.recommender.columns
        known = self._tastes.get(viewer)
        return Taste(space=columns.space) if known is None else taste_in(columns, known)

    def state(self, viewer: int) -> ViewerState:
        met = np.array(sorted(self._met.get(viewer, ())), np.int64)
        return ViewerState(taste=self.taste(viewer), seen_ids=met)

    def pools(self, now_s: float) -> Pools:
        if self._pools is None or now_s - self._pools.made_at_s >= self._pools_every_s:
            newer = self._refresh(now_s)
            if newer is not None:
                self.recommender = self._serving(newer)
            self._pools = make_pools(self.catalogue, now_s=now_s, policy=PoolPolicy(list_length=400))
        return self._pools

    def top(self, viewer: int, k: int, *, now_s: float) -> list[int]:
        ranked = self.recommender.recommend(self.pools(now_s), self.state(viewer), count=k, now_s=now_s, rng=self._rng)
        return [pick.video_id - 1 for pick in ranked.picks]

    def learn(self, viewer: int, item: int, verdict: int, *, now_s: float) -> None:
        columns, outcome = self.recommender.columns, OUTCOMES[verdict]
        row = columns.row_of[item + 1]
        taste = self.taste(viewer)
        self.catalogue.record(row, outcome, now_s=now_s, watched_before=taste.events)
        vector = columns.vector[row].astype(np.float32) if columns.has_vector[row] else None
        self._tastes[viewer] = updated(
            taste, vector=vector, outcome=outcome, video_id=item + 1, creator_id=item + 1, now_s=now_s
        )
        self._met.setdefault(viewer, set()).add(item + 1)
