"""The vectors of the columns, searchable: a built index over the older rows and an exact block over the newest.

An index is not safe to add to while it is searched, so new rows go to the block (their matrix product is
exact and cheap), and a rebuild in the background folds the block in and is swapped with one assignment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.feed.columns import FeedColumns
from inference.feed.vector_index import FaissIvfIndex, Matrix, Rows, Scores, VectorIndex, best

EXACT_LIMIT = 20_000
"""Rows that are searched exactly (about 1 ms); more wait for a rebuild."""

Build = Callable[[Matrix], VectorIndex]


@dataclass(frozen=True, slots=True)
class _Parts:
    index: VectorIndex | None
    built_rows: Rows
    """Row of the columns for each row of the index."""
    start: int
    """First row of the columns that is searched exactly."""


@dataclass(slots=True)
class _Block:
    """Rows from `start` on, of which `filled` are converted."""

    start: int
    buffer: Matrix
    filled: int = 0


class RowIndex:
    """Owner of the parts. `search` may run in any thread; `rebuild` in one at a time."""

    def __init__(self, columns: FeedColumns, *, build: Build = FaissIvfIndex) -> None:
        self._columns = columns
        self._build = build
        self._parts = _Parts(None, np.zeros(0, np.int64), 0)
        self._block = _Block(0, np.zeros((0, columns.vector.shape[1]), np.float32))
        self._mask: tuple[_Parts, NDArray[np.bool_], NDArray[np.bool_]] | None = None

    @property
    def built(self) -> VectorIndex | None:
        """The index over the older rows, if there is one."""
        return self._parts.index

    @property
    def waiting(self) -> int:
        """Rows not yet in the built index."""
        return self._columns.count - self._parts.start

    def needs_rebuild(self) -> bool:
        """More new rows than the exact part may hold, or a fifth of the built ones gone."""
        built = self._parts.built_rows
        if self.waiting > EXACT_LIMIT:
            return True
        return len(built) > EXACT_LIMIT and float(self._columns.alive[built].mean()) < 0.8

    def rebuild(self) -> None:
        """Build over all live rows that have a vector. CPU-bound for minutes at a million rows: run in a thread."""
        count = self._columns.count
        rows = np.flatnonzero(self._columns.alive[:count] & self._columns.has_vector[:count])
        index = self._build(self._columns.vector[rows].astype(np.float32))
        self._parts = _Parts(index, rows, count)

    def prepare(self, allowed: NDArray[np.bool_]) -> None:
        """Pack a filter before the first request needs it: 5 ms for a million rows."""
        parts = self._parts
        if parts.index is not None and len(parts.built_rows):
            nothing = np.zeros(self._columns.vector.shape[1], np.float32)
            parts.index.search(nothing, 1, allowed=self._built_mask(parts, allowed))

    def adopt(self, index: VectorIndex, rows: Rows) -> None:
        """Serve with an index that was built before, over these rows (rising) of the columns."""
        self._parts = _Parts(index, rows, int(rows[-1]) + 1 if len(rows) else 0)

    def search(
        self, query: Matrix, k: int, *, allowed: NDArray[np.bool_], without: Rows | None = None
    ) -> tuple[Rows, Scores]:
        """Up to k rows of the columns with allowed (count,) true, best first. Rows beyond `allowed` are not searched.

        `without`: rows that this search leaves out (what a viewer has seen); `allowed` is one object for many
        searches.
        """
        parts = self._parts
        left_out = without if without is not None else np.zeros(0, np.int64)
        rows, scores = self._search_block(query, k, parts.start, allowed, left_out)
        if parts.index is None or not len(parts.built_rows):
            return rows, scores
        at = np.searchsorted(parts.built_rows, left_out)
        at = at[parts.built_rows[np.minimum(at, len(parts.built_rows) - 1)] == left_out]
        found, found_scores = parts.index.search(query, k, allowed=self._built_mask(parts, allowed), without=at)
        if not len(rows):
            return parts.built_rows[found], found_scores
        return best(
            np.concatenate([rows, parts.built_rows[found]]),
            np.concatenate([scores, found_scores]).astype(np.float32),
            k,
        )

    def _search_block(
        self, query: Matrix, k: int, start: int, allowed: NDArray[np.bool_], left_out: Rows
    ) -> tuple[Rows, Scores]:
        end = max(len(allowed), start)
        block = self._float_block(start, end)
        keep = allowed[start:end] & self._columns.has_vector[start:end]
        keep[left_out[(left_out >= start) & (left_out < end)] - start] = False
        rows = start + np.flatnonzero(keep)
        return best(rows, (block @ query)[rows - start], k)

    def _float_block(self, start: int, end: int) -> Matrix:
        """Float32 copy of the block; only new rows are converted. A lost race between two threads repeats work."""
        block = self._block
        if block.start != start or len(block.buffer) < end - start:
            block = _Block(start, np.zeros((max(2 * (end - start), 1024), self._columns.vector.shape[1]), np.float32))
            self._block = block
        filled = block.filled
        if filled < end - start:
            block.buffer[filled : end - start] = self._columns.vector[start + filled : end]
            block.filled = end - start
        return block.buffer[: end - start]

    def _built_mask(self, parts: _Parts, allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """`allowed` in the order of the built index; the same lists serve many requests, so the last is kept."""
        kept = self._mask
        if kept is not None and kept[0] is parts and kept[1] is allowed:
            return kept[2]
        mask = np.zeros(len(parts.built_rows), bool)
        inside = parts.built_rows < len(allowed)  # lists from before a rebuild are shorter
        mask[inside] = allowed[parts.built_rows[inside]]
        self._mask = (parts, allowed, mask)
        return mask
