"""Lists that every viewer shares: what may be shown at all, what is popular, trending, new, and owed a first audience.

Made anew every second or so from the columns (a few vector operations), read by all requests in between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.feed.columns import FAST_HALF_LIFE_S, POPULAR_HALF_LIFE_S, SLOW_HALF_LIFE_S, FeedColumns

Rows = NDArray[np.int64]
DAY_S = 86_400.0
TREND_MIN_AGE_S = 90 * 60.0
"""Before that every new upload's first impressions look like a burst."""
_MIN_POOL = 500
_WINDOWS_DAYS = (7.0, 30.0, 365.0, 36_500.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPolicy:
    """What makes a video eligible and how many new ones are tried."""

    exploration_quota: int = 30
    exploration_max_age_s: float = 2 * DAY_S
    early_drop_after: int = 10
    early_drop_below: float = 0.42
    """Mean quantile under which a new video loses its quota after `early_drop_after` impressions."""
    quality_floor: float = 0.15
    """Mean quantile under which a video with many impressions is no candidate any more."""
    list_length: int = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Pools:
    """Rows best first. `allowed` (count,) is what may be recommended; every list is a part of it."""

    made_at_s: float
    version: int
    allowed: NDArray[np.bool_]
    allowed_count: int
    popular: Rows
    trending: Rows
    fresh: Rows
    explore: Rows
    popularity: NDArray[np.float32]
    """(count,) z-score of log popularity over the allowed rows."""
    trend: NDArray[np.float32]
    """(count,) log ratio of the fast to the slow rate, 0 when too young to say."""
    quota: int = 0
    """Impressions that `explore` videos are owed; looked at again when one is chosen, for a list is a second old."""


def make_pools(columns: FeedColumns, *, now_s: float, policy: PoolPolicy) -> Pools:
    """All lists. About 0.1 ms at 1,000 rows, 60 ms at a million."""
    count, version = columns.count, columns.version
    age_s = now_s - columns.published_s[:count]
    allowed = _allowed(columns, age_s, policy)
    popularity = _popularity(columns, now_s, count, allowed)
    trend = _trend(columns, now_s, count, age_s)
    trending = np.where(allowed & (trend > np.log(1.5)), trend + 0.5 * popularity, -np.inf)
    return Pools(
        made_at_s=now_s,
        version=version,
        allowed=allowed,
        allowed_count=int(allowed.sum()),
        popular=_top(np.where(allowed, popularity, -np.inf), policy.list_length),
        trending=_top(trending, policy.list_length),
        fresh=_top(np.where(allowed, -age_s, -np.inf), policy.list_length),
        explore=_explore(columns, age_s, allowed, policy),
        popularity=popularity,
        trend=trend,
        quota=policy.exploration_quota,
    )


def _allowed(columns: FeedColumns, age_s: NDArray[np.float64], policy: PoolPolicy) -> NDArray[np.bool_]:
    """Live, public, not shown to be poor, and recent; the window widens while the catalogue is small."""
    count = len(age_s)
    seen = columns.seen_count[:count]
    poor = (seen >= 50) & (columns.quantile_sum[:count] < policy.quality_floor * seen)
    base = columns.alive[:count] & columns.public[:count] & ~poor
    allowed = base
    for days in _WINDOWS_DAYS:
        allowed = base & (age_s <= days * DAY_S)
        if np.count_nonzero(allowed) >= _MIN_POOL:
            break
    return allowed


def _popularity(columns: FeedColumns, now_s: float, count: int, allowed: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Recent good watches at this PoP, with a little of the all-time counters for a PoP that just started."""
    elapsed = np.maximum(now_s - columns.counted_s[:count], 0.0)
    recent = columns.popular[:count] * np.exp2(-elapsed / POPULAR_HALF_LIFE_S)
    central = np.log1p(columns.likes[:count] + 3 * columns.shares[:count] + 0.05 * columns.views[:count])
    value = np.log1p(recent) + 0.1 * central
    chosen = value[allowed]
    if not chosen.size:
        return np.zeros(count, np.float32)
    z: NDArray[np.float32] = ((value - chosen.mean()) / max(float(chosen.std()), 1e-6)).astype(np.float32)
    return z


def _trend(columns: FeedColumns, now_s: float, count: int, age_s: NDArray[np.float64]) -> NDArray[np.float32]:
    """log((fast rate + 1) / (slow rate + 1)), both per five minutes; the ratio beat z-scores and CUSUM (FEED
    evidence)."""
    elapsed = np.maximum(now_s - columns.counted_s[:count], 0.0)
    fast = columns.fast[:count] * np.exp2(-elapsed / FAST_HALF_LIFE_S)
    slow = columns.slow[:count] * np.exp2(-elapsed / SLOW_HALF_LIFE_S) * (FAST_HALF_LIFE_S / SLOW_HALF_LIFE_S)
    ratio = np.log((fast + 1.0) / (slow + 1.0))
    return np.where(age_s >= TREND_MIN_AGE_S, ratio, 0.0).astype(np.float32)


def _explore(columns: FeedColumns, age_s: NDArray[np.float64], allowed: NDArray[np.bool_], policy: PoolPolicy) -> Rows:
    """New videos whose quota is not used up and who were not dropped early, least shown first."""
    count = len(age_s)
    seen, granted = columns.seen_count[:count], columns.granted[:count]
    dropped = (seen >= policy.early_drop_after) & (columns.quantile_sum[:count] < policy.early_drop_below * seen)
    owed = allowed & (age_s <= policy.exploration_max_age_s) & (granted < policy.exploration_quota) & ~dropped
    rows = np.flatnonzero(owed)
    return rows[np.lexsort((age_s[rows], granted[rows]))][: policy.list_length].astype(np.int64)


def _top(values: NDArray[np.float32] | NDArray[np.float64], k: int) -> Rows:
    rows = np.flatnonzero(np.isfinite(values))
    if len(rows) > k:
        rows = rows[np.argpartition(-values[rows], k - 1)[:k]]
    return rows[np.lexsort((rows, -values[rows]))].astype(np.int64)
