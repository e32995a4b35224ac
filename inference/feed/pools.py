"""Lists that every viewer shares: what may be shown at all, what is popular, trending, new, and owed a first audience.

Made anew every second or so from the columns (a few vector operations), read by all requests in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.feed.columns import FAST_HALF_LIFE_S, POPULAR_HALF_LIFE_S, SLOW_HALF_LIFE_S, FeedColumns

Rows = NDArray[np.int64]
DAY_S = 86_400.0
TREND_MIN_AGE_S = 90 * 60.0
"""Before that every new upload's first impressions look like a burst."""
_MIN_POOL = 500
_JUDGED_AFTER = 50
"""Impressions after which a mean quantile says what a video is worth."""
_PRIOR_GOOD_WATCHES = 20.0
"""Everybody's popularity weighs as much as that of about forty viewers who came to a video first and liked it."""
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
    welcome: Rows
    """Popular with who had watched little or nothing before."""
    welcoming: NDArray[np.float32]
    """(count,) that popularity, on the scale of the other."""
    trend: NDArray[np.float32]
    """(count,) log ratio of the fast to the slow rate, 0 when too young to say."""
    quota: int = 0
    """Impressions that `explore` videos are owed; looked at again when one is chosen, for a list is a second old."""

    def allow(self, rows: Rows) -> NDArray[np.bool_]:
        """Which of the rows are allowed; not those that came after these lists."""
        return look_up(self.allowed, rows)


Value = TypeVar("Value", bound=np.generic)


def look_up(column: NDArray[Value], rows: Rows) -> NDArray[Value]:
    """(n,) of one of the pools' columns: zero, the average of a z-score, for rows that came after the lists."""
    inside = rows < len(column)
    if inside.all():
        return column[rows]
    found = np.zeros(len(rows), column.dtype)
    found[inside] = column[rows[inside]]
    return found


def make_pools(columns: FeedColumns, *, now_s: float, policy: PoolPolicy) -> Pools:
    """All lists. About 0.1 ms at 1,000 rows, 15 ms at a million: passes over all rows are compares, one logarithm and
    one standard deviation, and touch no record; what was counted here is looked at only where something was."""
    count, version = columns.count, columns.version
    counted = _counted(columns, count)
    allowed = _allowed(columns, counted, now_s, policy)
    rows = np.flatnonzero(allowed)
    popularity, welcoming = _popularity(columns, counted, now_s, rows)
    trend = _trend(columns, counted, now_s)
    rising = np.flatnonzero(allowed & (trend > np.log(1.5)))
    return Pools(
        made_at_s=now_s,
        version=version,
        allowed=allowed,
        allowed_count=len(rows),
        popular=_top(rows, popularity[rows], policy.list_length),
        trending=_top(rising, trend[rising] + 0.5 * popularity[rising], policy.list_length),
        fresh=_top(rows, columns.published_s[rows], policy.list_length),
        explore=_explore(columns, counted, now_s, allowed, policy),
        popularity=popularity,
        welcome=_top(rows, welcoming[rows], policy.list_length),
        welcoming=welcoming,
        trend=trend,
        quota=policy.exploration_quota,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """(m,) the rows of `count` that this PoP counted something of, and what it saw of them."""

    count: int
    rows: Rows
    seen: NDArray[np.float32]
    quantile_sum: NDArray[np.float32]

    def poor(self, *, after: int, below: float) -> Rows:
        """Those with a mean quantile under `below`, once they were seen so often."""
        return self.rows[(self.seen >= after) & (self.quantile_sum < below * self.seen)]


def _counted(columns: FeedColumns, count: int) -> _Counted:
    rows = np.flatnonzero(columns.counted_s[:count] > 0)
    return _Counted(count=count, rows=rows, seen=columns.seen_count[rows], quantile_sum=columns.quantile_sum[rows])


def _allowed(columns: FeedColumns, counted: _Counted, now_s: float, policy: PoolPolicy) -> NDArray[np.bool_]:
    """Live, public, not shown to be poor, and recent; the window widens while the catalogue is small."""
    count = counted.count
    base = columns.alive[:count] & columns.public[:count]
    base[counted.poor(after=_JUDGED_AFTER, below=policy.quality_floor)] = False
    allowed = base
    for days in _WINDOWS_DAYS:
        allowed = base & (columns.published_s[:count] >= now_s - days * DAY_S)
        if np.count_nonzero(allowed) >= _MIN_POOL:
            break
    return allowed


def _popularity(
    columns: FeedColumns, counted: _Counted, now_s: float, allowed: Rows
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Recent good watches at this PoP, with a little of the all-time counters for a PoP that just started: of
    everybody, and as they would be if all watched like newcomers."""
    count = counted.count
    value: NDArray[np.float32] = np.log(
        1.0 + columns.likes[:count] + 3 * columns.shares[:count] + np.float32(0.05) * columns.views[:count]
    )
    value *= np.float32(0.1)
    watched = counted.rows
    faded = np.exp2(-_idle_s(columns, now_s, watched) / POPULAR_HALF_LIFE_S)
    good = columns.popular[watched] * faded
    recent = np.log1p(good)
    value[watched] += recent
    chosen = value[allowed]
    if not chosen.size:
        return np.zeros(count, np.float32), np.zeros(count, np.float32)
    spread = max(float(chosen.std(dtype=np.float64)), 1e-6)
    value -= chosen.mean(dtype=np.float64)
    value /= spread
    welcoming = value.copy()
    as_newcomers = _shared_out(good, np.maximum(columns.newcomers[watched] * faded, 0.0))
    welcoming[watched] += (np.log1p(as_newcomers) - recent) / spread
    return value, welcoming


def _shared_out(good: NDArray[np.float64], newcomers: NDArray[np.float64]) -> NDArray[np.float64]:
    """(m,) the same sum of good watches in the shares that newcomers give, with everybody's as their prior."""
    parts: NDArray[np.float64] = newcomers * good.sum() + _PRIOR_GOOD_WATCHES * good
    return parts / (float(newcomers.sum()) + _PRIOR_GOOD_WATCHES)


def _trend(columns: FeedColumns, counted: _Counted, now_s: float) -> NDArray[np.float32]:
    """log((fast rate + 1) / (slow rate + 1)), both per five minutes; the ratio beat z-scores and CUSUM (FEED
    evidence)."""
    trend = np.zeros(counted.count, np.float32)
    watched = counted.rows[columns.published_s[counted.rows] <= now_s - TREND_MIN_AGE_S]
    idle_s = _idle_s(columns, now_s, watched)
    fast = columns.fast[watched] * np.exp2(-idle_s / FAST_HALF_LIFE_S)
    slow = columns.slow[watched] * np.exp2(-idle_s / SLOW_HALF_LIFE_S) * (FAST_HALF_LIFE_S / SLOW_HALF_LIFE_S)
    trend[watched] = np.log((fast + 1.0) / (slow + 1.0))
    return trend


def _idle_s(columns: FeedColumns, now_s: float, rows: Rows) -> NDArray[np.float64]:
    """Seconds since the decayed counters of the rows were brought up to date."""
    return np.maximum(now_s - columns.counted_s[rows], 0.0)


def _explore(
    columns: FeedColumns, counted: _Counted, now_s: float, allowed: NDArray[np.bool_], policy: PoolPolicy
) -> Rows:
    """New videos whose quota is not used up and who were not dropped early, least shown first, then newest."""
    count, newest_s = counted.count, policy.exploration_max_age_s
    owed = allowed & (columns.published_s[:count] >= now_s - newest_s)
    owed &= columns.granted[:count] < policy.exploration_quota
    owed[counted.poor(after=policy.early_drop_after, below=policy.early_drop_below)] = False
    rows = np.flatnonzero(owed)
    age_s = now_s - columns.published_s[rows]
    return _top(rows, -(columns.granted[rows] * (newest_s + 1.0) + age_s), policy.list_length)


_SAMPLED = 64
"""One row in this many is looked at to guess where the highest begin."""


def _top(rows: Rows, values: NDArray[np.float32] | NDArray[np.float64], k: int) -> Rows:
    """The k rows of highest value, best first; ties by lower row. `rows` ascending."""
    sample = values[::_SAMPLED]
    most = 3 * k // _SAMPLED + 8
    if len(sample) > most:
        likely = np.flatnonzero(values >= np.partition(sample, len(sample) - most)[len(sample) - most])
        if len(likely) >= k:  # else the sample misled, and all are looked at
            rows, values = rows[likely], values[likely]
    return rows[np.argsort(-values, kind="stable")[:k]]
