"""A built index on disk, so that a restarted PoP searches at once instead of building for minutes.

    <folder>/index, index.effort   the index (`FaissIvfIndex.save`)
    <folder>/rows.npz              ids (n,) and marks (n,): which video each row of the index is, and of which vector

Rows are known by video id and by a mark of their vector, because a replica that was replayed has other row numbers and
a video may have another vector by now.
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.feed.columns import FeedColumns
from inference.feed.vector_index import FaissIvfIndex, Rows

_CHUNK = 50_000


def save(folder: Path, index: FaissIvfIndex, columns: FeedColumns, rows: Rows) -> None:
    """Written beside and moved into place: half a snapshot is never read. Raises OSError. Blocking, about a second."""
    beside = folder.with_name(folder.name + ".new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    index.save(beside / "index")
    np.savez(beside / "rows.npz", allow_pickle=False, ids=columns.video_id[rows], marks=marks(columns, rows))
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)


def restore(folder: Path, columns: FeedColumns) -> tuple[FaissIvfIndex, Rows] | None:
    """The index and the row of the columns for each of its rows (-1: gone, or of another vector by now).

    None without a usable snapshot. Blocking: about a second at a million rows.
    """
    try:
        with (folder / "rows.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            ids, kept = arrays["ids"], arrays["marks"]
        index = FaissIvfIndex.load(folder / "index")
    except (OSError, ValueError, KeyError, RuntimeError, EOFError, zipfile.BadZipFile):  # faiss raises RuntimeError
        return None
    if len(ids) != len(index) or len(kept) != len(index):
        return None
    rows = columns.find(ids)
    here = np.flatnonzero((rows >= 0) & columns.has_vector[rows])
    same = np.full(len(rows), -1, np.int64)
    unchanged = here[marks(columns, rows[here]) == kept[here]]
    same[unchanged] = rows[unchanged]
    return index, same


def marks(columns: FeedColumns, rows: Rows) -> NDArray[np.uint32]:
    """(n,) a number for each row's vector that another vector has with a chance of 2**-32."""
    weights = np.random.default_rng(5).integers(2**32, size=columns.vector.shape[1], dtype=np.uint32) | np.uint32(1)
    made = np.empty(len(rows), np.uint32)
    for start in range(0, len(rows), _CHUNK):
        part = columns.vector[rows[start : start + _CHUNK]].view(np.uint16).astype(np.uint32)
        made[start : start + _CHUNK] = (part * weights).sum(axis=1, dtype=np.uint32)
    return made
