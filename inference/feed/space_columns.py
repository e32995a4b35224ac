"""The columns of a catalogue seen in a learned space: the same rows, other vectors.

Two models of different spaces can serve side by side (a canary) because each gets its own vectors and index, while
ids, counters and flags exist once. A row never changes its vector (`FeedColumns.put` takes a new row for that), so the
vectors here only ever grow, and what is placed once stays right.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.errors import ModelDamaged
from inference.feed.columns import FeedColumns, NewVideo
from inference.feed.layout import Records
from inference.feed.space import LearnedSpace
from inference.feed.taste import DIMENSIONS, Taste, rebuilt

_CHUNK = 4096


class SpaceColumns(FeedColumns):
    """Read-only: videos are put into the catalogue's columns. Any thread may read; new rows are placed on first use.

    Raises ModelDamaged when the space was trained on content vectors of another space.
    """

    def __init__(self, catalogue: FeedColumns, learned: LearnedSpace) -> None:
        # Not super().__init__: every other column is the catalogue's, see __getattr__
        if learned.content != catalogue.space:
            raise ModelDamaged(
                f"space {learned.name} maps vectors of {learned.content}, this catalogue has {catalogue.space}"
            )
        self.space = learned.name
        self._catalogue = catalogue
        self._learned = learned
        self._vector: NDArray[np.float16] = np.zeros((0, DIMENSIONS), np.float16)
        self._has_vector: NDArray[np.bool_] = np.zeros(0, bool)
        self._placed = 0
        self._growing = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)  # not set yet: never ask the catalogue for parts of this class
        return getattr(self._catalogue, name)

    @property
    def vector(self) -> NDArray[np.float16]:  # type: ignore[override]  # a column that is made on demand
        """(capacity, 256)."""
        if self._placed < self._catalogue.count:
            self.place_all()
        return self._vector

    @property
    def has_vector(self) -> NDArray[np.bool_]:  # type: ignore[override]  # a column that is made on demand
        if self._placed < self._catalogue.count:
            self.place_all()
        return self._has_vector

    def take(self, rows: NDArray[np.int64]) -> Records:
        records = self._catalogue.take(rows)
        records["has_vector"] = self.has_vector[rows]
        return records

    def place_all(self) -> None:
        """Place every row there is. 15 us a row: run in a thread before a space with many rows is used."""
        with self._growing:
            count = self._catalogue.count
            self._make_room()
            while self._placed < count:
                rows = slice(self._placed, min(self._placed + _CHUNK, count))
                vectors, known = placed(self._catalogue, self._learned, rows)
                self._vector[rows] = vectors
                self._has_vector[rows] = known
                self._placed = rows.stop  # after the rows are filled: readers look at this without the lock

    def put(self, video: NewVideo) -> int:
        raise TypeError("put videos into the catalogue's columns, not into a view of them")

    def remove(self, video_id: int) -> bool:
        raise TypeError("remove videos from the catalogue's columns, not from a view of them")

    def _make_room(self) -> None:
        capacity = len(self._catalogue.video_id)
        if len(self._vector) < capacity:
            vector = np.zeros((capacity, DIMENSIONS), np.float16)
            vector[: self._placed] = self._vector[: self._placed]
            has_vector = np.zeros(capacity, bool)
            has_vector[: self._placed] = self._has_vector[: self._placed]
            self._vector, self._has_vector = vector, has_vector


def taste_in(columns: FeedColumns, taste: Taste) -> Taste:
    """The taste itself, or, when it is of another space than the columns, rebuilt from the videos it last liked that
    are here."""
    if taste.space == columns.space:
        return taste
    rows, here = liked_rows(columns, taste)
    vectors, known = placed(columns, None, rows)
    return rebuilt(taste, space=columns.space, vectors=vectors, known=known & here)


def liked_rows(columns: FeedColumns, taste: Taste) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Rows of the videos that were liked last, and which of them are here (the others have row 0)."""
    rows = columns.find(taste.recent_ids)
    return np.maximum(rows, 0), rows >= 0


def placed(
    columns: FeedColumns, learned: LearnedSpace | None, rows: NDArray[np.int64] | slice
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Vectors (n, 256) of rows, mapped into a learned space if one is given, and which rows have one."""
    vectors, known = columns.vector[rows].astype(np.float32), columns.has_vector[rows]
    return (vectors, known) if learned is None else learned.place(columns.video_id[rows], vectors, known)
