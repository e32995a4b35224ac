"""How good was a watch? Its quantile among watches of videos of the same length (D2Q, Zhan et al., KDD 2022).

"More than half watched" as a label collapses a feed onto 9-14 s videos; seconds favour long ones. The quantile inside
the duration bucket does neither.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_GRID = np.linspace(0.0, 1.0, 25)
_DEFAULT_EDGES_S = (7.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0)
"""Upper edges of the buckets; the last bucket is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchQuantiles:
    """Empirical distribution of watch seconds per duration bucket."""

    edges_s: NDArray[np.float64]
    """(B-1,) rising."""
    watch_s: NDArray[np.float64]
    """(B, 25): watch seconds at quantiles 0, 1/24 ... 1, rising along a row."""

    def quantile(self, *, duration_s: float, watched_s: float) -> float:
        """0..1; a tie (many watch exactly to the end) gets the middle of its range."""
        row: list[float] = self.watch_s[bisect_left(self.edges_s, duration_s)].tolist()
        left, right = bisect_left(row, watched_s), bisect_right(row, watched_s)
        if right > left:
            return float((_GRID[left] + _GRID[right - 1]) / 2)
        if right in (0, len(row)):
            return float(right > 0)
        below, above = row[right - 1], row[right]
        return float(_GRID[right - 1] + (watched_s - below) / (above - below) * _GRID[1])

    def seconds(self, *, duration_s: float, quantile: float) -> float:
        """Watch seconds at a quantile: the inverse, for reports."""
        row = self.watch_s[int(np.searchsorted(self.edges_s, duration_s))]
        return float(np.interp(quantile, _GRID, row))


def fit(duration_s: NDArray[np.float64], watched_s: NDArray[np.float64], *, prior_weight: int = 200) -> WatchQuantiles:
    """Distributions from logged watches (n,), n >= 0; buckets with few watches keep to the default."""
    default = default_quantiles()
    bucket = np.searchsorted(default.edges_s, duration_s)
    table = default.watch_s.copy()
    for number in range(len(table)):
        inside = watched_s[bucket == number]
        if inside.size:
            share = inside.size / (inside.size + prior_weight)
            table[number] = (1 - share) * table[number] + share * np.quantile(inside, _GRID)
    return WatchQuantiles(edges_s=default.edges_s, watch_s=np.maximum.accumulate(table, axis=1))


def default_quantiles() -> WatchQuantiles:
    """A prior for a new installation: shares watched fall with length as in published short-video logs.

    For a bucket around d seconds: the quantile q of min(watch / d, 1.5) is (q ** shape) * 1.2 with shape 0.7 + 0.35
    ln(d / 7).
    """
    edges = np.array(_DEFAULT_EDGES_S)
    centres = np.concatenate([[5.0], np.sqrt(edges[:-1] * edges[1:]), [240.0]])
    shape = 0.7 + 0.35 * np.log(np.maximum(centres / 7.0, 1.0))
    return WatchQuantiles(edges_s=edges, watch_s=centres[:, None] * 1.2 * _GRID[None, :] ** shape[:, None])
