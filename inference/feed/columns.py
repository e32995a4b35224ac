"""The catalogue as columns: what the recommender reads of a video, one row each, growing by doubling.

Written by one thread (the event loop of a PoP, or a simulation), read by the ranking threads without a lock: a row is
filled before `count` covers it, arrays are replaced (not resized) when they grow, and a removed row only loses its
`alive` flag.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xxhash
from numpy.typing import NDArray

from inference.errors import NotFinite
from inference.feed.outcome import Outcome
from inference.feed.taste import DIMENSIONS

MAX_HASHTAGS = 6
FAST_HALF_LIFE_S = 300.0
SLOW_HALF_LIFE_S = 7200.0
POPULAR_HALF_LIFE_S = 5 * 86_400.0

_SCHEMA: dict[str, tuple[str, tuple[int, ...]]] = {
    "video_id": ("i8", ()),
    "creator_id": ("i8", ()),
    "sound_id": ("i8", ()),
    "region": ("i4", ()),
    "published_s": ("f8", ()),
    "duration_s": ("f4", ()),
    "hashtags": ("u4", (MAX_HASHTAGS,)),
    "vector": ("f2", (DIMENSIONS,)),
    "has_vector": ("?", ()),
    "alive": ("?", ()),
    "public": ("?", ()),
    "views": ("f4", ()),
    "likes": ("f4", ()),
    "shares": ("f4", ()),
    # What this PoP saw itself, per impression
    "seen_count": ("f4", ()),
    "quantile_sum": ("f4", ()),
    "liked_count": ("f4", ()),
    "shared_count": ("f4", ()),
    "finished_count": ("f4", ()),
    "skipped_count": ("f4", ()),
    "granted": ("i4", ()),
    # Decayed counters of good watches and the time each was last brought up to date
    "fast": ("f8", ()),
    "slow": ("f8", ()),
    "popular": ("f8", ()),
    "counted_s": ("f8", ()),
}

STATISTICS = tuple(_SCHEMA)[list(_SCHEMA).index("seen_count") :]
"""Columns that this PoP counts itself: everything else comes from the catalogue."""


def tag_hash(tag: str) -> int:
    """32-bit hash of a hashtag, case-folded and without its '#'. 0 means none."""
    return (xxhash.xxh32_intdigest(tag.lstrip("#").casefold().encode()) or 1) & 0xFFFFFFFF


def region_code(region: str) -> int:
    return xxhash.xxh32_intdigest(region.encode()) & 0x7FFFFFFF if region else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVideo:
    """One video to add or replace; `vector` (256,) must be in the columns' space, or None."""

    video_id: int
    creator_id: int
    sound_id: int = 0
    region: int = 0
    published_s: float
    duration_s: float
    hashtags: Sequence[int] = ()
    vector: NDArray[np.float32] | None = None
    public: bool = True
    views: float = 0
    likes: float = 0
    shares: float = 0


class FeedColumns:
    """See the module. Every column is an array of `capacity` rows; only the first `count` mean something."""

    video_id: NDArray[np.int64]
    creator_id: NDArray[np.int64]
    sound_id: NDArray[np.int64]
    region: NDArray[np.int32]
    published_s: NDArray[np.float64]
    duration_s: NDArray[np.float32]
    hashtags: NDArray[np.uint32]
    vector: NDArray[np.float16]
    has_vector: NDArray[np.bool_]
    alive: NDArray[np.bool_]
    public: NDArray[np.bool_]
    views: NDArray[np.float32]
    likes: NDArray[np.float32]
    shares: NDArray[np.float32]
    seen_count: NDArray[np.float32]
    quantile_sum: NDArray[np.float32]
    liked_count: NDArray[np.float32]
    shared_count: NDArray[np.float32]
    finished_count: NDArray[np.float32]
    skipped_count: NDArray[np.float32]
    granted: NDArray[np.int32]
    fast: NDArray[np.float64]
    slow: NDArray[np.float64]
    popular: NDArray[np.float64]
    counted_s: NDArray[np.float64]

    def __init__(self, *, space: str, capacity: int = 1024) -> None:
        self.space = space
        self.count = 0
        self.version = 0
        """Changes with every add, replace and remove."""
        self.live = 0
        self.row_of: dict[int, int] = {}
        self.rows_of_creator: dict[int, list[int]] = {}
        for name, (kind, shape) in _SCHEMA.items():
            setattr(self, name, np.zeros((capacity, *shape), kind))

    def put(self, video: NewVideo) -> int:
        """Add or replace; returns the row. A replaced vector takes a new row, because indexes hold the old one.

        Raises NotFinite: such a vector never enters.
        """
        vector = video.vector
        if vector is not None and not np.isfinite(vector).all():
            raise NotFinite(f"the vector of video {video.video_id} is not finite")
        old = self.row_of.get(video.video_id)
        if old is not None and (vector is None) == (not self.has_vector[old]) and self._same_vector(old, vector):
            self._fill(old, video)
            self.version += 1
            return old
        row = self._new_row()
        if old is not None:
            self._copy_statistics(old, row)
            self._unlink(old)
        self._fill(row, video)
        if vector is not None:
            self.vector[row] = vector
            self.has_vector[row] = True
        self.alive[row] = True
        self.row_of[video.video_id] = row
        self.rows_of_creator.setdefault(video.creator_id, []).append(row)
        self.count = row + 1
        self.live += 1
        self.version += 1
        return row

    def remove(self, video_id: int) -> bool:
        """Take a video out at once; False when it is not here."""
        row = self.row_of.pop(video_id, None)
        if row is None:
            return False
        self._unlink(row)
        self.version += 1
        return True

    def set_counters(self, video_id: int, *, views: float, likes: float, shares: float) -> bool:
        row = self.row_of.get(video_id)
        if row is None:
            return False
        self.views[row], self.likes[row], self.shares[row] = views, likes, shares
        return True

    def record(self, row: int, outcome: Outcome, *, now_s: float) -> None:
        """Count one impression and how it ended."""
        self.seen_count[row] += 1
        self.quantile_sum[row] += outcome.quantile
        self.liked_count[row] += outcome.liked
        self.shared_count[row] += outcome.shared
        self.finished_count[row] += outcome.finished
        self.skipped_count[row] += outcome.skipped
        self.decay_to(row, now_s)
        worth = min(outcome.liking, 2.0)
        self.fast[row] += worth
        self.slow[row] += worth
        self.popular[row] += worth

    def decay_to(self, row: int, now_s: float) -> None:
        """Bring the decayed counters of a row to `now_s`."""
        elapsed = max(now_s - self.counted_s[row], 0.0)
        self.fast[row] *= 2.0 ** (-elapsed / FAST_HALF_LIFE_S)
        self.slow[row] *= 2.0 ** (-elapsed / SLOW_HALF_LIFE_S)
        self.popular[row] *= 2.0 ** (-elapsed / POPULAR_HALF_LIFE_S)
        self.counted_s[row] = max(now_s, self.counted_s[row])

    def rows(self, video_ids: NDArray[np.int64] | Sequence[int]) -> NDArray[np.int64]:
        """Rows of the ids that are here, in their order."""
        ids = video_ids.tolist() if isinstance(video_ids, np.ndarray) else video_ids
        find = self.row_of.get  # one look per id: another thread may take a video out meanwhile
        return np.array([row for row in [find(video_id, -1) for video_id in ids] if row >= 0], np.int64)

    def _same_vector(self, row: int, vector: NDArray[np.float32] | None) -> bool:
        return vector is None or bool(np.array_equal(self.vector[row], vector.astype(np.float16)))

    def _fill(self, row: int, video: NewVideo) -> None:
        self.video_id[row], self.creator_id[row], self.sound_id[row] = video.video_id, video.creator_id, video.sound_id
        self.region[row], self.published_s[row], self.duration_s[row] = (
            video.region,
            video.published_s,
            video.duration_s,
        )
        self.public[row] = video.public
        self.views[row], self.likes[row], self.shares[row] = video.views, video.likes, video.shares
        tags = list(video.hashtags)[:MAX_HASHTAGS]
        self.hashtags[row] = tags + [0] * (MAX_HASHTAGS - len(tags))

    def _copy_statistics(self, old: int, new: int) -> None:
        for name in STATISTICS:
            column = getattr(self, name)
            column[new] = column[old]

    def _unlink(self, row: int) -> None:
        self.alive[row] = False
        self.live -= 1
        creator = int(self.creator_id[row])
        rows = [other for other in self.rows_of_creator.get(creator, ()) if other != row]
        if rows:
            self.rows_of_creator[creator] = rows  # replaced, not changed: a reader may be walking the old list
        else:
            self.rows_of_creator.pop(creator, None)

    def _new_row(self) -> int:
        if self.count == len(self.video_id):
            for name in _SCHEMA:
                column = getattr(self, name)
                grown = np.zeros((2 * len(column), *column.shape[1:]), column.dtype)
                grown[: len(column)] = column
                setattr(self, name, grown)
        return self.count
