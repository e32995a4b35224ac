"""What this PoP saw of its videos, kept in Valkey so that a restart forgets neither popularity nor granted quotas.

One key, `feed:statistics`: numpy's npz of the statistics of every video that has any, written every half minute.
"""

from __future__ import annotations

import asyncio
import io
import zipfile

import numpy as np
from numpy.typing import NDArray
from redis.asyncio import Redis
from redis.exceptions import RedisError

from inference.feed.columns import FeedColumns
from inference.feed.layout import STATISTICS

KEY = "feed:statistics"


class StatisticsStore:
    """Losing a write costs half a minute of counting: failures are swallowed and reported as False."""

    def __init__(self, valkey: Redis) -> None:
        self._valkey = valkey

    async def save(self, columns: FeedColumns) -> bool:
        blob = await asyncio.to_thread(pack, columns)
        try:
            await self._valkey.set(KEY, blob)
        except (RedisError, OSError, TimeoutError):
            return False
        return True

    async def restore(self, columns: FeedColumns) -> int:
        """How many videos got their statistics back."""
        try:
            blob = await self._valkey.get(KEY)
        except (RedisError, OSError, TimeoutError):
            return 0
        return unpack(blob, columns) if isinstance(blob, bytes) else 0


def pack(columns: FeedColumns) -> bytes:
    """Statistics of the videos that have any, by video id."""
    count = columns.count
    rows = np.flatnonzero(columns.alive[:count] & ((columns.seen_count[:count] > 0) | (columns.granted[:count] > 0)))
    arrays: dict[str, NDArray[np.generic]] = {name: getattr(columns, name)[rows] for name in STATISTICS}
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, video_id=columns.video_id[rows], **arrays)
    return file.getvalue()


def unpack(blob: bytes, columns: FeedColumns) -> int:
    """Into the rows of videos that are still here; damage counts as nothing stored."""
    try:
        with np.load(io.BytesIO(blob), allow_pickle=False) as arrays:
            rows = np.array([columns.row_of.get(int(v), -1) for v in arrays["video_id"]], np.int64)
            here = rows >= 0
            for name in STATISTICS:
                if name in arrays:  # else counted only since that was stored: it starts at zero
                    getattr(columns, name)[rows[here]] = arrays[name][here]
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile):
        return 0
    return int(here.sum())
