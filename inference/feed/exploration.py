"""Slots for new videos: one in ten, given to the new video that matches the viewer best, logged with its propensity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.feed.columns import FeedColumns
from inference.feed.half import as_float32
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
    rows = pools.explore[: _LOOK_AT * 4]
    rows = rows[columns.granted[rows] < pools.quota]
    rows = rows[visible(columns, pools, state, rows)][:_LOOK_AT]
    if not count or not len(rows):
        return []
    match = as_float32(columns.vector[rows]) @ query if query is not None else np.zeros(len(rows), np.float32)
    weight = np.exp((match - match.max()) / _TEMPERATURE).astype(np.float64)
    creators, numbers = columns.creator_id[rows], rows.tolist()
    trials: list[Trial] = []
    for chance in rng.random(min(count, len(numbers))).tolist():
        cumulated = weight.cumsum()
        total = float(cumulated[-1])
        if total <= 0:
            break
        pick = min(int(cumulated.searchsorted(chance * total, "right")), len(numbers) - 1)
        trials.append(Trial(row=numbers[pick], propensity=float(weight[pick]) / total))
        weight[creators == creators[pick]] *= 0.01  # not one creator in all slots
        weight[pick] = 0.0
    return trials


def places(count: int, *, every: int, rng: np.random.Generator) -> list[int]:
    """One place, drawn at random, in each stretch of `every`: never the very first of the list."""
    if every <= 0:
        return []
    return [int(rng.integers(max(start, 1), start + every)) for start in range(0, count - every + 1, every)]
