"""Follows the origin's catalogue into columns (for ranking) and a journal (for details and warm restarts)."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.catalogue.journal import CatalogueJournal, Place
from edge.catalogue.origin_client import CatalogueOrigin
from foundation.errors import Unavailable
from foundation.tasks import TurnShare, end_tasks
from foundation.wire.catalogue import CatalogueChange, CatalogueItem, SnapshotHead
from inference.feed.catalogue_row import new_video
from inference.feed.columns import FeedColumns

_log = logging.getLogger(__name__)
_BATCH = 500
_WAIT_MS = 20_000
_DECODED_ITEMS = 4096
_RECENT_CHANGES = 20_000
APPLYING_S = 0.0005
"""Of a turn of the event loop, for changes: some 35 of them."""
_REPLAYING_S = 0.02
"""The same at the start, when there are only health checks to hold up."""
_COMPACT_BYTES = 64 * 1024 * 1024
"""Below this a journal is not worth rewriting."""

OnTombstone = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaState:
    """For heartbeats and health."""

    seq: int
    videos: int
    connected: bool


class CatalogueReplica:
    """Owner of the journal and of the following task. All methods run on the event loop; close it."""

    def __init__(
        self,
        *,
        data_dir: Path,
        origin: CatalogueOrigin,
        columns: FeedColumns,
        on_tombstone: OnTombstone = lambda video_id: None,
        retry_first_s: float = 0.2,
        retry_most_s: float = 5.0,
    ) -> None:
        self.columns = columns
        self._origin = origin
        self._journal = CatalogueJournal(data_dir / "catalogue.journal")
        self._on_tombstone = on_tombstone
        self._retry_first_s, self._retry_most_s = retry_first_s, retry_most_s
        self._places: dict[int, Place] = {}
        self._counters: dict[int, CatalogueChange] = {}
        self._decoded: OrderedDict[int, CatalogueItem] = OrderedDict()
        self._live_bytes = 0
        self._seq = -1
        self._recent: deque[tuple[int, int]] = deque(maxlen=_RECENT_CHANGES)
        self._applying = asyncio.Lock()
        self._connected = False
        self._moved = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    @property
    def state(self) -> ReplicaState:
        return ReplicaState(seq=max(self._seq, 0), videos=self.columns.live, connected=self._connected)

    async def open(self) -> None:
        """Load the journal (about 60 us an item), then follow the origin in a task of its own."""
        share = TurnShare(_REPLAYING_S)
        for change, place in self._journal.replay():
            self._apply(change, place, replaying=True)
            await share.give_way()
        self._task = asyncio.create_task(self._follow(), name="catalogue-replica")

    async def close(self) -> None:
        if self._task is not None:
            await end_tasks([self._task])
        self._journal.close()

    async def wait_for(self, seq: int) -> None:
        """Return once the replica has applied everything up to `seq`."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._seq >= seq)

    def item(self, video_id: int) -> CatalogueItem | None:
        """Details of a live video, with its newest counters; about 15 us when not among the last 4096 asked for."""
        item = self._decoded.get(video_id)
        if item is None:
            item = self.stored(video_id)
            if item is None:
                return None
            self._decoded[video_id] = item
            if len(self._decoded) > _DECODED_ITEMS:
                self._decoded.popitem(last=False)
        return item

    def stored(self, video_id: int) -> CatalogueItem | None:
        """As `item`, always from the journal, and nothing is remembered."""
        place = self._places.get(video_id)
        return self._journal.read(place).item if place is not None else None

    async def _follow(self) -> None:
        delay_s = self._retry_first_s
        while True:
            try:
                await self._step()
                if not self._connected:
                    _log.info("the catalogue follows the origin", extra={"event": "replica_connected"})
                self._connected, delay_s = True, self._retry_first_s
            except Unavailable as err:
                if self._connected or delay_s == self._retry_first_s:
                    _log.warning("the catalogue cannot follow: %s", err.detail, extra={"event": "replica_cut_off"})
                self._connected = False
                await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
                delay_s = min(delay_s * 2, self._retry_most_s)

    async def _step(self) -> None:
        if self._seq < 0:
            await self._take_snapshot()
        wait_ms = _WAIT_MS if self._connected else 0  # the first answer tells that we follow: do not wait for news
        got = await self._origin.changes(after=self._seq, limit=_BATCH, wait_ms=wait_ms)
        if got.floor > self._seq + 1 or got.head < self._seq:  # we were away too long, or the origin was restored
            await self._take_snapshot()
        elif got.changes:
            async with self._applying:
                await self._accept(got.changes)
        async with self._applying:
            await self._compact_if_worth()

    async def _take_snapshot(self) -> None:
        """Everything anew; what is not in the snapshot is gone."""
        async with self._applying:
            await self._take_all()

    async def _take_all(self) -> None:
        head: SnapshotHead | None = None
        present: set[int] = set()
        batch: list[CatalogueChange] = []
        async for part in self._origin.snapshot():
            if isinstance(part, SnapshotHead):
                head = part
                continue
            present.add(int(part.id))
            batch.append(CatalogueChange(seq=-1, kind="upsert", video_id=part.id, item=part))
            if len(batch) == _BATCH:
                await self._accept(tuple(batch))
                batch.clear()
        if head is None or len(present) != head.count:
            raise Unavailable("the origin's snapshot ended early")
        gone = [CatalogueChange(seq=-1, kind="tombstone", video_id=str(v)) for v in self._places if v not in present]
        end = CatalogueChange(seq=head.seq, kind="tombstone", video_id="0")
        self._seq = -1  # an origin that was restored starts again at a lower number
        await self._accept((*batch, *gone, end))

    async def _accept(self, changes: tuple[CatalogueChange, ...]) -> None:
        """Journal first, then apply, beside the pages that are made meanwhile."""
        places = await asyncio.to_thread(self._journal.append, changes)
        share = TurnShare(APPLYING_S)
        for change, place in zip(changes, places, strict=True):
            self._apply(change, place)
            await share.give_way()
        async with self._moved:
            self._moved.notify_all()

    def _apply(self, change: CatalogueChange, place: Place, *, replaying: bool = False) -> None:
        self._seq = max(self._seq, change.seq)
        video_id = int(change.video_id)
        if change.seq >= 0:
            self._recent.append((change.seq, video_id))
        if change.kind == "upsert" and change.item is not None:
            self._put(video_id, change.item, place)
        elif change.kind == "counters" and change.counters is not None:
            self._count(video_id, change)
        elif change.kind == "tombstone" and video_id:
            self._drop(video_id)
            if not replaying:  # the media of what the journal says went was purged then
                self._on_tombstone(video_id)

    def _put(self, video_id: int, item: CatalogueItem, place: Place) -> None:
        self.columns.put(new_video(item, space=self.columns.space))
        old = self._places.get(video_id)
        self._live_bytes += place[1] - (old[1] if old else 0)
        self._places[video_id] = place
        self._decoded.pop(video_id, None)

    def _count(self, video_id: int, change: CatalogueChange) -> None:
        counters = change.counters
        if counters is None or not self.columns.set_counters(
            video_id, views=counters.views, likes=counters.likes, shares=counters.shares
        ):
            return
        self._counters[video_id] = change

    def counters(self, video_id: int) -> CatalogueChange | None:
        """The newest counters change of a video, if one came after its item."""
        return self._counters.get(video_id)

    def _drop(self, video_id: int) -> None:
        place = self._places.pop(video_id, None)
        self._counters.pop(video_id, None)
        self._decoded.pop(video_id, None)
        self.columns.remove(video_id)
        if place is not None:
            self._live_bytes -= place[1]

    async def _compact_if_worth(self) -> None:
        if self._journal.size_bytes < max(_COMPACT_BYTES, 3 * self._live_bytes):
            return
        ids = list(self._places)
        end = CatalogueChange(seq=self._seq, kind="tombstone", video_id="0")
        fresh, moved = await asyncio.to_thread(self._journal.rewritten, [self._places[v] for v in ids], end)
        old, self._journal = self._journal, fresh
        self._places = dict(zip(ids, moved, strict=True))
        old.close()

    def ids(self) -> Iterator[int]:
        return iter(self._places)

    def changed_since(self, seq: int) -> frozenset[int] | None:
        """Videos changed after a position of the log; None when that is longer ago than this remembers."""
        if self._seq > seq and (not self._recent or self._recent[0][0] > seq + 1):
            return None
        return frozenset(video_id for number, video_id in self._recent if number > seq)

    async def mend(self, items: Sequence[CatalogueItem], gone: Sequence[int]) -> None:
        """Take these items as they are, and these videos out: what a comparison with the origin found."""
        changes = [CatalogueChange(seq=-1, kind="upsert", video_id=item.id, item=item) for item in items]
        changes += [CatalogueChange(seq=-1, kind="tombstone", video_id=str(video_id)) for video_id in gone]
        async with self._applying:
            for item in items:  # put() keeps a row whose vector it takes for the same: a damaged one must go
                self.columns.remove(int(item.id))
            await self._accept(tuple(changes))
