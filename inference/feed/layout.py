"""How a row of the feed's columns lies in memory: one record of two cache lines, and apart what is read by columns.

A list takes some hundred rows from anywhere among a million. What it reads of a video lies together, so that one
gather fetches what a gather of a single column would cost (docs/decisions/0310). Passes over all rows would pay for
whole records, so what they look at lies in arrays of its own; a name that is in both means the same value twice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.feed.taste import DIMENSIONS

Array = NDArray[np.generic]
Records = NDArray[np.void]
"""(n,) of RECORD."""

MAX_HASHTAGS = 6
_RECORD_BYTES = 128
_Kind = str | tuple[str, tuple[int, ...]]
"""What numpy makes a type from."""

CATALOGUE: dict[str, _Kind] = {
    "video_id": "i8",
    "creator_id": "i8",
    "sound_id": "i8",
    "published_s": "f8",
    "hashtags": ("u4", (MAX_HASHTAGS,)),
    "region": "i4",
    "duration_s": "f4",
    "views": "f4",
    "alive": "?",
    "public": "?",
    "has_vector": "?",
}
"""Fields of a record that come from the catalogue."""
_COUNTED = ("seen_count", "quantile_sum", "liked_count", "shared_count", "finished_count", "skipped_count")
"""Fields of a record that this PoP counts itself, per impression."""
_FIELDS = CATALOGUE | dict.fromkeys(_COUNTED, "f4")
RECORD = np.dtype({"names": [*_FIELDS], "formats": [*_FIELDS.values()], "itemsize": _RECORD_BYTES}, align=True)

_APART: dict[str, _Kind] = {
    "published_s": "f8",
    "views": "f4",
    "likes": "f4",
    "shares": "f4",
    "alive": "?",
    "public": "?",
    "has_vector": "?",
    # Impressions granted to a new video
    "granted": "i4",
    # Decayed counters of good watches and the time each was last brought up to date, 0 before the first impression
    "fast": "f8",
    "slow": "f8",
    "popular": "f8",
    "newcomers": "f8",
    "counted_s": "f8",
}
ARRAYS: dict[str, np.dtype[np.generic]] = {
    "records": RECORD,
    "vector": np.dtype(("f2", (DIMENSIONS,))),
    **{name: np.dtype(kind) for name, kind in _APART.items()},
}
"""All memory of the columns: each array's name and what one row of it is."""
FIELDS = tuple(name for name in _FIELDS if name not in ARRAYS)
"""Fields that only the records have."""
STATISTICS = (*_COUNTED, "granted", "fast", "slow", "popular", "newcomers", "counted_s")
"""What a PoP counts itself: everything else comes from the catalogue."""


def zeros(kind: np.dtype[np.generic], rows: int) -> Array:
    """(rows,) of the kind, beginning on a record's boundary: numpy's own lie 16 bytes beside it, and every record
    then touches a third line."""
    size = rows * kind.itemsize
    raw = np.zeros(size + _RECORD_BYTES, np.uint8)
    start = -raw.ctypes.data % _RECORD_BYTES
    base, shape = kind.subdtype or (kind, ())
    made: Array = raw[start : start + size].view(base).reshape(rows, *shape)
    return made
