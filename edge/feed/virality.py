"""Viral alarms: videos whose rate of good watches grows, found within about 100 views, ordered into the cache ahead,
here and (with the next heartbeats) at every other PoP.

A video alarms when the ratio of its 5-minute to its 2-hour rate says it doubles, at real volume; or when it has
10,000 good watches an hour, burst or not. It alarms once and again only after it calmed down.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from edge.feed.hydrate import media_base
from edge.feed.ports import Catalogue, PrefetchOrder
from inference.feed.columns import FAST_HALF_LIFE_S, SLOW_HALF_LIFE_S, FeedColumns
from inference.feed.pools import Pools

_log = logging.getLogger(__name__)
_BURST = np.log(3.0)
_CALM = np.log(1.3)
_LEAST_FAST = 15.0
"""Good watches in the decayed 5-minute counter: about 25 in five minutes."""
_SUSPECT_FAST = _LEAST_FAST / 3
_PER_HOUR = 10_000.0
_TOLD, _REMEMBERED = 50, 10_000
_RATE_OF_SLOW = float(np.log(2)) * 3600 / SLOW_HALF_LIFE_S
"""Good watches an hour for each one in the decayed 2-hour counter, in a steady state."""


Suspect = tuple[int, float, float, float]
"""A row that could alarm: row, log ratio of the fast to the slow rate, good watches in five minutes and an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    video_id: int
    ratio: float
    per_hour: float


class ViralWatch:
    """Remembers who alarmed; called by the feed's upkeep, off the request path."""

    def __init__(self) -> None:
        self._raised: set[int] = set()
        self._heard: OrderedDict[int, None] = OrderedDict()

    @property
    def going(self) -> tuple[int, ...]:
        """What is viral here now, at most 50: told to the other PoPs."""
        return tuple(sorted(self._raised, reverse=True)[:_TOLD])

    def heard(self, video_ids: Iterable[int]) -> list[int]:
        """Videos that went viral at other PoPs and that nobody here has been told of yet."""
        fresh = [v for v in video_ids if v not in self._heard and v not in self._raised]
        self._heard.update(dict.fromkeys(fresh))
        while len(self._heard) > _REMEMBERED:
            self._heard.popitem(last=False)
        return fresh

    def look(self, columns: FeedColumns, suspects: Sequence[Suspect]) -> list[Alarm]:
        """New alarms among those who could; who is neither hot nor rising any more has calmed down."""
        alarms, going = [], set[int]()
        for row, trend, fast, per_hour in suspects:
            video_id = int(columns.video_id[row])
            hot = (trend > _BURST and fast > _LEAST_FAST) or per_hour > _PER_HOUR
            if hot and video_id not in self._raised:
                ratio = float(np.exp(trend))
                alarms.append(Alarm(video_id=video_id, ratio=ratio, per_hour=per_hour))
                _log.info("a video goes viral", extra={"event": "viral", "video": video_id, "ratio": round(ratio, 1)})
            if hot or (trend >= _CALM and video_id in self._raised):
                going.add(video_id)
        self._raised = going
        return alarms


def suspects(columns: FeedColumns, pools: Pools, *, now_s: float) -> list[Suspect]:
    """Videos whose counters are so high that they could alarm, or could still be going. About 1 ms for a million."""
    count = len(pools.trend)
    counted = (columns.fast[:count] > _SUSPECT_FAST) | (columns.slow[:count] > _PER_HOUR / _RATE_OF_SLOW)
    rows = np.flatnonzero(counted & pools.allowed)
    elapsed = np.maximum(now_s - columns.counted_s[rows], 0.0)
    fast = columns.fast[rows] * np.exp2(-elapsed / FAST_HALF_LIFE_S)
    per_hour = columns.slow[rows] * np.exp2(-elapsed / SLOW_HALF_LIFE_S) * _RATE_OF_SLOW
    return list(zip(rows.tolist(), pools.trend[rows].tolist(), fast.tolist(), per_hour.tolist(), strict=True))


def warm_orders(catalogue: Catalogue, video_ids: Iterable[int], *, region: str) -> list[PrefetchOrder]:
    """Start of every rung and the whole first rung of each video."""
    orders: list[PrefetchOrder] = []
    for video_id in video_ids:
        item = catalogue.item(video_id)
        if item is None:
            continue
        for number, rung in enumerate(item.manifest.renditions):
            last = rung.size_bytes if number == 0 else rung.prefix_bytes
            path = f"{media_base(region, item)}/{rung.name}.mp4"
            orders.append(PrefetchOrder(path=path, first_byte=0, last_byte=max(last - 1, 0), priority=number))
    return orders
