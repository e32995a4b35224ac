"""The catalogue as columns: what the recommender reads of a video, one row each, growing by doubling.

Written by one thread (the event loop of a PoP, or a simulation), read by the ranking threads without a lock: a row is
filled before `count` covers it, arrays are replaced (not resized) when they grow, and a removed row only loses its
`alive` flag.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xxhash
from numpy.typing import NDArray

from inference.errors import NotFinite
from inference.feed.half import as_float32
from inference.feed.layout import ARRAYS, CATALOGUE, FIELDS, MAX_HASHTAGS, STATISTICS, Array, Records, zeros
from inference.feed.outcome import Outcome
from inference.feed.shared_memory import SharedArrays

FAST_HALF_LIFE_S = 300.0
SLOW_HALF_LIFE_S = 7200.0
POPULAR_HALF_LIFE_S = 5 * 86_400.0
_ORDINARY_WATCH = 0.55
"""About what a newcomer's watch is worth on average (.55 for films, .6-.7 simulated): only more speaks for a video, not
that we showed it (0311)."""


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
    """See the module. Every column has `capacity` rows, of which only the first `count` mean something.

    Memory is the few arrays of `layout.ARRAYS`; the other columns are fields of `records`. Read single columns where
    all rows are looked at, and `take` whole records where some are.
    """

    records: Records
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
    newcomers: NDArray[np.float64]
    """By how much watches were better than ordinary, each over 1 + the videos its viewer had watched before (0311)."""
    counted_s: NDArray[np.float64]

    def __init__(self, *, space: str, capacity: int = 1024) -> None:
        self.space = space
        self.count = 0
        self.version = 0
        """Changes with every add, replace and remove."""
        self.live = 0
        self.row_of: dict[int, int] = {}
        self.rows_of_creator: dict[int, list[int]] = {}
        self._shared: SharedArrays | None = None
        self._place({name: self._allocate(name, capacity) for name in ARRAYS})

    def share(self) -> Mapping[str, int]:
        """Move into memory that a child process can map (`FollowedColumns`): files by name of the array. Once: .3 s
        at a million rows."""
        if self._shared is None:
            shared = SharedArrays()
            arrays = {name: shared.array(name, kind, len(self.records)) for name, kind in ARRAYS.items()}
            self._copy_to(arrays)
            self._place(arrays)
            self._shared = shared
        return self._shared.files

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
        self.records["views"][row] = self.views[row] = views
        self.likes[row], self.shares[row] = likes, shares
        return True

    def record(self, row: int, outcome: Outcome, *, now_s: float, watched_before: int) -> None:
        """Count one impression and how it ended, for a viewer who had watched so many videos before."""
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
        self.newcomers[row] += (worth - _ORDINARY_WATCH) / (1 + watched_before)

    def decay_to(self, row: int, now_s: float) -> None:
        """Bring the decayed counters of a row to `now_s`."""
        elapsed = max(now_s - self.counted_s[row], 0.0)
        self.fast[row] *= 2.0 ** (-elapsed / FAST_HALF_LIFE_S)
        self.slow[row] *= 2.0 ** (-elapsed / SLOW_HALF_LIFE_S)
        faded = 2.0 ** (-elapsed / POPULAR_HALF_LIFE_S)
        self.popular[row] *= faded
        self.newcomers[row] *= faded
        self.counted_s[row] = max(now_s, self.counted_s[row])

    def find(self, video_ids: NDArray[np.int64] | Sequence[int]) -> NDArray[np.int64]:
        """(n,) row of each id, -1 when it is not here."""
        ids = video_ids.tolist() if isinstance(video_ids, np.ndarray) else video_ids
        find = self.row_of.get  # one look per id: another thread may take a video out meanwhile
        return np.array([find(video_id, -1) for video_id in ids], np.int64)

    def rows(self, video_ids: NDArray[np.int64] | Sequence[int]) -> NDArray[np.int64]:
        """Rows of the ids that are here, in their order."""
        rows = self.find(video_ids)
        return rows[rows >= 0]

    def take(self, rows: NDArray[np.int64]) -> Records:
        """(n,) copies of the rows' records. 700 from anywhere among a million: 20 us, 65-90 with cold caches, where
        one column costs as much."""
        return self.records.take(rows)  # an index in brackets would copy field by field

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, 256) of the rows."""
        return as_float32(self.vector.take(rows, axis=0))

    def _same_vector(self, row: int, vector: NDArray[np.float32] | None) -> bool:
        return vector is None or bool(np.array_equal(self.vector[row], vector.astype(np.float16)))

    def _fill(self, row: int, video: NewVideo) -> None:
        has_vector = video.vector is not None
        tags = list(video.hashtags)[:MAX_HASHTAGS]
        self._from_catalogue[row] = (
            video.video_id,
            video.creator_id,
            video.sound_id,
            video.published_s,
            tags + [0] * (MAX_HASHTAGS - len(tags)),
            video.region,
            video.duration_s,
            video.views,
            True,
            video.public,
            has_vector,
        )
        self.published_s[row] = video.published_s
        self.views[row], self.likes[row], self.shares[row] = video.views, video.likes, video.shares
        self.alive[row], self.public[row], self.has_vector[row] = True, video.public, has_vector

    def _copy_statistics(self, old: int, new: int) -> None:
        for name in STATISTICS:
            column = getattr(self, name)
            column[new] = column[old]

    def _unlink(self, row: int) -> None:
        self.records["alive"][row] = self.alive[row] = False
        self.live -= 1
        creator = int(self.creator_id[row])
        rows = [other for other in self.rows_of_creator.get(creator, ()) if other != row]
        if rows:
            self.rows_of_creator[creator] = rows  # replaced, not changed: a reader may be walking the old list
        else:
            self.rows_of_creator.pop(creator, None)

    def _new_row(self) -> int:
        if self.count == len(self.records):
            self._resize(2 * self.count)
        return self.count

    def _resize(self, capacity: int) -> None:
        arrays = {name: self._allocate(name, capacity) for name in ARRAYS}
        if self._shared is None:  # shared memory grows in place
            self._copy_to(arrays)
        self._place(arrays)

    def _allocate(self, name: str, capacity: int) -> Array:
        kind = ARRAYS[name]
        return zeros(kind, capacity) if self._shared is None else self._shared.array(name, kind, capacity)

    def _copy_to(self, arrays: Mapping[str, Array]) -> None:
        for name, array in arrays.items():
            array[: self.count] = getattr(self, name)[: self.count]

    def _place(self, arrays: Mapping[str, Array]) -> None:
        """Make these the columns."""
        for name, array in arrays.items():
            setattr(self, name, array)
        for name in FIELDS:
            setattr(self, name, self.records[name])
        self._from_catalogue = self.records[[*CATALOGUE]]
        """The part of each record that `_fill` writes at once, in CATALOGUE's order."""
