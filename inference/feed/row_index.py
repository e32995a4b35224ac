"""The vectors of the columns, searchable: a built index over the older rows and an exact block over the newest.

An index is not safe to add to while it is searched, so new rows go to the block (their matrix product is
exact and cheap), and a rebuild in the background folds the block in and is swapped with one assignment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.feed import index_snapshot
from inference.feed.columns import FeedColumns
from inference.feed.vector_index import FaissIvfIndex, Matrix, Rows, Scores, VectorIndex, best

EXACT_LIMIT = 20_000
"""Rows that are searched exactly (about 1 ms); more wait for a rebuild."""

Build = Callable[[Matrix], VectorIndex]
_NO_ROWS = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class _Parts:
    index: VectorIndex | None
    built_rows: Rows
    """Row of the columns for each row of the index; -1 when it has none (any more)."""
    place: NDArray[np.int32]
    """Row of the index for each of the columns' first rows, -1 when it is not in it."""
    loose: Rows
    """Rows before `start` that the index lacks: searched exactly (only after a restart)."""
    start: int
    """First row of the columns that is searched exactly."""

    def outside(self, rows: Rows) -> Rows:
        """Rows of the index for those of the columns that have one."""
        at = self.place[rows[rows < len(self.place)]]
        return at[at >= 0].astype(np.int64)


def _parts(columns: FeedColumns, index: VectorIndex | None, rows: Rows, *, start: int) -> _Parts:
    place = np.full(start, -1, np.int32)
    known = np.flatnonzero(rows >= 0)
    place[rows[known]] = known
    loose = np.flatnonzero(columns.alive[:start] & columns.has_vector[:start] & (place < 0))
    return _Parts(index, rows, place, loose, start)


@dataclass(slots=True)
class _Block:
    """The vectors that are searched exactly, loose rows first; of the others `filled` are converted."""

    parts: _Parts
    buffer: Matrix
    filled: int = 0


class RowIndex:
    """Owner of the parts. `search` may run in any thread; `rebuild` in one at a time."""

    def __init__(self, columns: FeedColumns, *, build: Build = FaissIvfIndex, snapshot: Path | None = None) -> None:
        """`snapshot`: folder in which a built index is kept for the next start."""
        self._columns = columns
        self._build = build
        self._snapshot = snapshot
        self._parts = _parts(columns, None, np.zeros(0, np.int64), start=0)
        self._block = _Block(self._parts, np.zeros((0, columns.vector.shape[1]), np.float32))
        self._mask: tuple[_Parts, NDArray[np.bool_], NDArray[np.bool_]] | None = None

    @property
    def built(self) -> VectorIndex | None:
        """The index over the older rows, if there is one."""
        return self._parts.index

    @property
    def waiting(self) -> int:
        """Rows not yet in the built index."""
        return self._columns.count - self._parts.start + len(self._parts.loose)

    def needs_rebuild(self) -> bool:
        """More new rows than the exact part may hold, or a fifth of the built ones gone."""
        built = self._parts.built_rows
        if self.waiting > EXACT_LIMIT:
            return True
        return len(built) > EXACT_LIMIT and float((self._columns.alive[built] & (built >= 0)).mean()) < 0.8

    def rebuild(self) -> None:
        """Build over all live rows that have a vector. CPU-bound for minutes at a million rows: run in a thread."""
        count = self._columns.count
        rows = np.flatnonzero(self._columns.alive[:count] & self._columns.has_vector[:count])
        index = self._build(self._columns.vector[rows].astype(np.float32))
        self._parts = _parts(self._columns, index, rows, start=count)
        if self._snapshot is not None and isinstance(index, FaissIvfIndex):
            index_snapshot.save(self._snapshot, index, self._columns, rows)

    def restore(self) -> bool:
        """Serve with the index of the last run, when there is one that fits what the columns hold now. Blocking."""
        kept = index_snapshot.restore(self._snapshot, self._columns) if self._snapshot is not None else None
        if kept is None:
            return False
        self.adopt(*kept)
        return True

    def prepare(self, allowed: NDArray[np.bool_]) -> None:
        """Pack a filter before the first request needs it: 5 ms for a million rows."""
        parts = self._parts
        if parts.index is not None and len(parts.built_rows):
            nothing = np.zeros(self._columns.vector.shape[1], np.float32)
            parts.index.search(nothing, 1, allowed=self._built_mask(parts, allowed))

    def adopt(self, index: VectorIndex, rows: Rows) -> None:
        """Serve with an index that was built before, over these rows of the columns (-1: none)."""
        self._parts = _parts(self._columns, index, rows, start=self._columns.count)

    def search(
        self, query: Matrix, k: int, *, allowed: NDArray[np.bool_], without: Rows | None = None
    ) -> tuple[Rows, Scores]:
        """Up to k rows of the columns with allowed (count,) true, best first. Rows beyond `allowed` are not searched.

        `without`: rows that this search leaves out (what a viewer has seen); `allowed` is one object for many
        searches.
        """
        parts = self._parts
        left_out = without if without is not None else _NO_ROWS
        if parts.index is None or not len(parts.built_rows):
            return self._search_block(query, k, parts, allowed, left_out)
        found, found_scores = parts.index.search(
            query, k, allowed=self._built_mask(parts, allowed), without=parts.outside(left_out)
        )
        if len(allowed) <= parts.start and not len(parts.loose):
            return parts.built_rows[found], found_scores
        rows, scores = self._search_block(query, k, parts, allowed, left_out)
        return best(
            np.concatenate([rows, parts.built_rows[found]]),
            np.concatenate([scores, found_scores]).astype(np.float32),
            k,
        )

    def _search_block(
        self, query: Matrix, k: int, parts: _Parts, allowed: NDArray[np.bool_], left_out: Rows
    ) -> tuple[Rows, Scores]:
        start, end = parts.start, max(len(allowed), parts.start)
        keep = allowed[start:end] & self._columns.has_vector[start:end]
        keep[left_out[(left_out >= start) & (left_out < end)] - start] = False
        rows = at = start + np.flatnonzero(keep)
        at = at - start + len(parts.loose)
        if len(parts.loose) and len(allowed) >= start:
            loose = np.flatnonzero(allowed[parts.loose] & ~np.isin(parts.loose, left_out))
            rows, at = np.concatenate([parts.loose[loose], rows]), np.concatenate([loose, at])
        return best(rows, (self._float_block(parts, end) @ query)[at], k)

    def _float_block(self, parts: _Parts, end: int) -> Matrix:
        """Float32 copy of the block; only new rows are converted. A lost race between two threads repeats work."""
        block, loose = self._block, len(parts.loose)
        size = loose + end - parts.start
        if block.parts is not parts or len(block.buffer) < size:
            block = _Block(parts, np.zeros((max(2 * size, 1024), self._columns.vector.shape[1]), np.float32))
            block.buffer[:loose] = self._columns.vector[parts.loose]
            self._block = block
        filled, wanted = block.filled, end - parts.start
        if filled < wanted:
            block.buffer[loose + filled : size] = self._columns.vector[parts.start + filled : end]
            block.filled = wanted
        return block.buffer[:size]

    def _built_mask(self, parts: _Parts, allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """`allowed` in the order of the built index; the same lists serve many requests, so the last is kept."""
        kept = self._mask
        if kept is not None and kept[0] is parts and kept[1] is allowed:
            return kept[2]
        mask = np.zeros(len(parts.built_rows), bool)
        inside = (parts.built_rows >= 0) & (parts.built_rows < len(allowed))  # lists from before a rebuild are shorter
        mask[inside] = allowed[parts.built_rows[inside]]
        self._mask = (parts, allowed, mask)
        return mask
