"""The exposure receipt of a video at this PoP: what was granted, what was really watched, and how it went.

Counted in Valkey (`feed:exposure:{id}`, 90 days) from the same impression tokens that the event log carries, so that
a receipt and the log of this PoP say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from edge.feed.impression import Impression
from foundation.errors import Unavailable
from foundation.stores.round_trips import Command, RoundTrips
from foundation.wire import Wire
from inference.feed.sources import Source

_KEEP_S = 90 * 86_400


class ExposureReceipt(Wire, frozen=True, kw_only=True):
    """Counts at one PoP. `granted` places were given to the video as new; `watched` of those were reported."""

    video_id: str
    granted: int
    quota: int
    watched: int
    mean_quantile: float
    """Watch quantile of those, 0..1 among videos of the same length; 0 without any."""


class ExposureCounts:
    """Counting leaves with the next round trip and is not waited for, so that no failure holds up a page or a report;
    reading says so when Valkey is away."""

    def __init__(self, valkey: Redis, *, quota: int, trips: RoundTrips) -> None:
        self._valkey = valkey
        self._trips = trips
        self._quota = quota

    def watched(self, impressions: Sequence[tuple[Impression | None, float]]) -> None:
        """Count reports that carry a token of an exploration place, with their watch quantiles."""
        trials = [(read, quantile) for read, quantile in impressions if read and read.source == Source.EXPLORE]
        if not trials:
            return
        commands: list[Command] = []
        for read, quantile in trials:
            key = _key(read.video_id)
            commands += [
                ("HINCRBY", key, "watched", 1),
                ("HINCRBYFLOAT", key, "quantiles", round(quantile, 4)),
                ("EXPIRE", key, _KEEP_S),
            ]
        self._trips.send(*commands)

    def granted(self, video_ids: Sequence[int]) -> None:
        """Count exploration places handed out."""
        if not video_ids:
            return
        commands: list[Command] = []
        for video_id in video_ids:
            key = _key(video_id)
            commands += [("HINCRBY", key, "granted", 1), ("EXPIRE", key, _KEEP_S)]
        self._trips.send(*commands)

    async def receipt(self, video_id: int) -> ExposureReceipt:
        """Raises Unavailable."""
        try:
            raw: Any = await self._valkey.hgetall(_key(video_id))
        except (RedisError, OSError, TimeoutError) as err:
            raise Unavailable("the receipt cannot be read right now", retry_after_s=2) from err
        watched = int(raw.get(b"watched", 0))
        return ExposureReceipt(
            video_id=str(video_id),
            granted=int(raw.get(b"granted", 0)),
            quota=self._quota,
            watched=watched,
            mean_quantile=round(float(raw.get(b"quantiles", 0)) / watched, 4) if watched else 0.0,
        )


def _key(video_id: int) -> str:
    return f"feed:exposure:{{{video_id}}}"
