"""Slots for new videos: one in ten, given to the new video that matches the viewer best, logged with its propensity."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from inference.feed.columns import FeedColumns
from inference.feed.pools import Pools
from inference.feed.sources import visible
from inference.feed.viewer import ViewerState

_LOOK_AT = 60
"""New videos compared per request, those with the fewest impressions first."""
_TEMPERATURE = 0.15
"""Softmax temperature of the choice: a match .3 better is seven times as likely; everybody keeps a chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplorationPolicy:
    every: int = 10
    """One slot in this many places; 0 turns exploration off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    row: int
    propensity: float


def choose_trials(
    columns: FeedColumns,
    pools: Pools,
    state: ViewerState,
    query: NDArray[np.float32] | None,
    *,
    count: int,
    rng: np.random.Generator,
) -> list[Trial]:
    """Up to `count` different new videos for this viewer. Propensity: chance of the draw that chose it."""
    rows = _owed(columns, pools, state)
    if not count or not len(rows):
        return []
    match = columns.vectors(rows) @ query if query is not None else np.zeros(len(rows), np.float32)
    weights: list[float] = np.exp((match - match.max()) / _TEMPERATURE).astype(np.float64).tolist()
    creators, numbers = columns.creator_id[rows].tolist(), rows.tolist()
    trials: list[Trial] = []
    # Lists, not arrays: an array of sixty costs more in calls than in sums
    for chance in rng.random(min(count, len(numbers))).tolist():
        cumulated = list(accumulate(weights))
        total = cumulated[-1]
        if total <= 0:
            break
        pick = min(bisect_right(cumulated, chance * total), len(numbers) - 1)
        trials.append(Trial(row=numbers[pick], propensity=weights[pick] / total))
        if creators.count(creators[pick]) > 1:  # not one creator in all slots
            weights = [w * 0.01 if c == creators[pick] else w for w, c in zip(weights, creators, strict=True)]
        weights[pick] = 0.0
    return trials


def _owed(columns: FeedColumns, pools: Pools, state: ViewerState) -> NDArray[np.int64]:
    """Up to _LOOK_AT rows that are owed an audience and that this viewer may see."""
    rows = np.zeros(0, np.int64)
    for looked in (_LOOK_AT + 20, _LOOK_AT * 4):  # the first nearly always do
        rows = pools.explore[:looked]
        rows = rows[columns.granted[rows] < pools.quota]
        rows = rows[visible(state, columns.take(rows), allowed=pools.allow(rows))][:_LOOK_AT]
        if len(rows) == _LOOK_AT:
            break
    return rows


def places(count: int, *, every: int, rng: np.random.Generator) -> list[int]:
    """One place, drawn at random, in each stretch of `every`: never the very first of the list."""
    if every <= 0:
        return []
    starts = range(int(every == 1), count - every + 1, every)
    return [int(rng.integers(max(start, 1), start + every)) for start in starts]
