"""Nearest neighbours by inner product, behind one small port; vectors are unit length, so this is the cosine."""

from __future__ import annotations

from typing import Any, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

_library: Any = faiss  # its stubs lack the classes SWIG renames
Matrix = NDArray[np.float32]
Rows = NDArray[np.int64]
Scores = NDArray[np.float32]


class VectorIndex(Protocol):
    """An immutable index over rows 0..n-1 of a matrix. Searching is safe from several threads and releases the GIL."""

    def __len__(self) -> int: ...

    def search(self, query: Matrix, k: int, *, allowed: NDArray[np.bool_] | None = None) -> tuple[Rows, Scores]:
        """Up to k rows, best first. query (256,); allowed (n,) leaves rows out before they count."""
        ...


class ExactIndex:
    """A matrix product: recall 1, about 1 ms for 20,000 rows."""

    def __init__(self, vectors: Matrix) -> None:
        self._vectors = np.ascontiguousarray(vectors, np.float32)

    def __len__(self) -> int:
        return len(self._vectors)

    def search(self, query: Matrix, k: int, *, allowed: NDArray[np.bool_] | None = None) -> tuple[Rows, Scores]:
        scores = self._vectors @ query
        rows = np.flatnonzero(allowed) if allowed is not None else np.arange(len(scores))
        return best(rows, scores[rows], k)


class FaissHnswIndex:
    """HNSW over 8-bit quantised vectors (Malkov & Yashunin 2018; faiss). 256 + 8 * m bytes per row.

    m 24-32 and ef_construction 200 are needed for .95 recall above 500,000 rows (see bench/feed.py).
    """

    def __init__(self, vectors: Matrix, *, m: int = 24, ef_construction: int = 120, ef_search: int = 700) -> None:
        kind: Any = faiss.ScalarQuantizer.QT_8bit  # the stubs take this enum for a quantiser
        self._index = faiss.IndexHNSWSQ(vectors.shape[1], kind, m, faiss.METRIC_INNER_PRODUCT)
        self._index.hnsw.efConstruction = ef_construction
        vectors = np.ascontiguousarray(vectors, np.float32)
        self._index.train(vectors[:: max(len(vectors) // 50_000, 1)])
        self._index.add(vectors)
        self._ef_search = ef_search

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(self, query: Matrix, k: int, *, allowed: NDArray[np.bool_] | None = None) -> tuple[Rows, Scores]:
        parameters = _library.SearchParametersHNSW(efSearch=max(self._ef_search, k))
        if allowed is not None:
            bitmap = np.packbits(allowed, bitorder="little")
            parameters.sel = _library.IDSelectorBitmap(bitmap)
        scores, rows = self._index.search(query[None].astype(np.float32), k, params=parameters)
        found = rows[0] >= 0
        return rows[0][found].astype(np.int64), scores[0][found]


def best(rows: Rows, scores: Scores, k: int) -> tuple[Rows, Scores]:
    """The k highest, best first; ties by lower row."""
    if len(rows) > k > 0:
        top = np.argpartition(-scores, k - 1)[:k]
        rows, scores = rows[top], scores[top]
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]
