"""Walks the replica range by range, compares it with the origin's digest, and mends what differs.

A lost or damaged change would otherwise stay for as long as nobody touches that video: a deleted video that goes on
being recommended, a vector with a flipped bit. One range of 1,000 videos every ten seconds costs the PoP about 30 ms in
slices and the origin 10 ms; a million videos are gone through in three hours.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from enum import StrEnum

import msgspec
import numpy as np
from prometheus_client import CollectorRegistry, Counter

from edge.catalogue.origin_client import CatalogueOrigin
from edge.catalogue.replica import CatalogueReplica
from foundation.catalogue_checksum import checksum
from foundation.errors import Unavailable
from foundation.tasks import end_tasks
from foundation.wire.catalogue import CatalogueItem, RangeDigest, SnapshotHead
from inference.feed.catalogue_row import new_video
from inference.feed.columns import FeedColumns

_log = logging.getLogger(__name__)
RANGE = 1000
_AT_ONCE = 25
"""Videos between two looks at the event loop: under a millisecond."""
_WAIT_S = 10.0
"""For the log to reach the position of a digest."""


class Verdict(StrEnum):
    EQUAL = "equal"
    MENDED = "mended"
    MOVED = "moved"
    """The range changed while it was compared: looked at again on the next round."""
    UNREACHABLE = "unreachable"


class ReplicaVerifier:
    """Owner of the walking task; close it. `step` compares the next range."""

    def __init__(
        self,
        replica: CatalogueReplica,
        origin: CatalogueOrigin,
        *,
        every_s: float,
        registry: CollectorRegistry,
        videos: int = RANGE,
    ) -> None:
        self._replica = replica
        self._origin = origin
        self._every_s = every_s
        self._videos = videos
        self._after = 0
        self._task: asyncio.Task[None] | None = None
        self._ranges = Counter(
            "catalogue_ranges_verified_total",
            "Ranges of the replica compared with the origin, by verdict.",
            ["verdict"],
            registry=registry,
        )
        self._mended = Counter(
            "catalogue_videos_mended_total",
            "Videos that differed from the origin and were taken anew.",
            registry=registry,
        )

    def open(self) -> None:
        self._task = asyncio.create_task(self._walk(), name="catalogue-verifier")

    async def close(self) -> None:
        if self._task is not None:
            await end_tasks([self._task])

    async def _walk(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.step()
            except Exception:
                _log.exception("a range could not be verified", extra={"event": "verification_failed"})

    async def step(self) -> Verdict:
        """Compare the next range, mend it if it differs."""
        try:
            verdict = await self._compare()
        except (Unavailable, TimeoutError):
            verdict = Verdict.UNREACHABLE
        self._ranges.labels(verdict.value).inc()
        return verdict

    async def _compare(self) -> Verdict:
        after = self._after
        theirs = await self._origin.digest(after=after, limit=self._videos)
        self._after = 0 if theirs.last else int(theirs.up_to)
        async with asyncio.timeout(_WAIT_S):
            await self._replica.wait_for(theirs.seq)
        ids = self._ids(after, int(theirs.up_to))
        ours = await _digest_of(self._replica, ids)
        if ours == (theirs.count, theirs.digest):
            return Verdict.EQUAL
        changed = self._replica.changed_since(theirs.seq)
        if changed is None or changed & set(ids):
            return Verdict.MOVED
        await self._mend(after, theirs, ids)
        return Verdict.MENDED

    def _ids(self, after: int, up_to: int) -> list[int]:
        return sorted(video_id for video_id in self._replica.ids() if after < video_id <= up_to)

    async def _mend(self, after: int, theirs: RangeDigest, ids: Sequence[int]) -> None:
        items: dict[int, CatalogueItem] = {}
        seq = theirs.seq
        async for part in self._origin.snapshot(after=after, up_to=int(theirs.up_to)):
            if isinstance(part, SnapshotHead):
                seq = part.seq
            else:
                items[int(part.id)] = part
        newer = self._replica.changed_since(seq)
        if newer is None:
            return  # the log ran far ahead meanwhile: next round
        wrong = [item for v, item in items.items() if v not in newer and not _agrees(self._replica, item)]
        gone = [video_id for video_id in ids if video_id not in items and video_id not in newer]
        await self._replica.mend(wrong, gone)
        self._mended.inc(len(wrong) + len(gone))
        _log.error(
            "the replica differed from the origin: %d videos taken anew, %d removed",
            len(wrong),
            len(gone),
            extra={"event": "replica_mended"},
        )


async def _digest_of(replica: CatalogueReplica, ids: Sequence[int]) -> tuple[int, str]:
    """Count and digest of what is recommended from: a video whose row disagrees with its item counts as absent."""
    count, total = 0, 0
    for number, video_id in enumerate(ids):
        item = _stored(replica, video_id)
        if item is not None and _row_agrees(replica.columns, item):
            count, total = count + 1, total + checksum(item)
        if number % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0)  # pages go first
    return count, str(total)


def _stored(replica: CatalogueReplica, video_id: int) -> CatalogueItem | None:
    """None also for what cannot be read any more."""
    try:
        return replica.stored(video_id)
    except (msgspec.DecodeError, OSError):
        return None


def _agrees(replica: CatalogueReplica, item: CatalogueItem) -> bool:
    ours = _stored(replica, int(item.id))
    return ours is not None and checksum(ours) == checksum(item) and _row_agrees(replica.columns, ours)


def _row_agrees(columns: FeedColumns, item: CatalogueItem) -> bool:
    row = columns.row_of.get(int(item.id))
    if row is None or not columns.alive[row]:
        return False
    wanted = new_video(item, space=columns.space)
    if wanted.vector is not None and not np.array_equal(columns.vector[row], wanted.vector.astype(np.float16)):
        return False
    return (
        bool(columns.has_vector[row]) == (wanted.vector is not None)
        and bool(columns.public[row]) == wanted.public
        and int(columns.creator_id[row]) == wanted.creator_id
    )
