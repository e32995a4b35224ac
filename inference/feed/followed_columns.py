"""The columns of another process: the same memory, read-only here."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from inference.feed.columns import FeedColumns, NewVideo
from inference.feed.layout import ARRAYS
from inference.feed.shared_memory import mapped


class Extent(msgspec.Struct, frozen=True, array_like=True):
    """How far the columns reached when a message was sent."""

    count: int
    version: int
    capacity: int


class FollowedColumns(FeedColumns):
    """What `FeedColumns.share` gave away. `follow` brings it up to an extent; one thread calls it.

    Ids lead to the last row a video has had: a removed one is there without its `alive` flag.
    """

    def __init__(self, *, space: str, files: Mapping[str, int]) -> None:
        # Not super().__init__: the memory is there already
        self.space = space
        self.count = self.version = self.capacity = 0
        self.row_of = {}
        self.rows_of_creator = {}
        self._files = files

    def follow(self, extent: Extent) -> None:
        """See what the owner had when it sent the extent. 0.3 us a new row."""
        if extent.capacity != self.capacity:
            self._place({name: mapped(self._files[name], kind, extent.capacity) for name, kind in ARRAYS.items()})
            self.capacity = extent.capacity
        new = range(self.count, extent.count)
        if new:
            self.row_of.update(zip(self.video_id[new.start : new.stop].tolist(), new, strict=True))
            for row, creator in zip(new, self.creator_id[new.start : new.stop].tolist(), strict=True):
                self.rows_of_creator.setdefault(creator, []).append(row)
        self.count, self.version = extent.count, extent.version

    def put(self, video: NewVideo) -> int:
        raise TypeError("put videos into the columns of the process that owns them")

    def remove(self, video_id: int) -> bool:
        raise TypeError("remove videos from the columns of the process that owns them")
