"""Nearest neighbours by inner product, behind one small port; vectors are unit length, so this is the cosine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
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

    def search(
        self, query: Matrix, k: int, *, allowed: NDArray[np.bool_] | None = None, without: Rows | None = None
    ) -> tuple[Rows, Scores]:
        """Up to k rows, best first. query (256,); allowed (n,) leaves rows out before they count; `without` (m,) does
        so too, for a few rows of one search, while `allowed` serves many."""
        ...


class ExactIndex:
    """A matrix product: recall 1, about 1 ms for 20,000 rows."""

    def __init__(self, vectors: Matrix) -> None:
        self._vectors = np.ascontiguousarray(vectors, np.float32)

    def __len__(self) -> int:
        return len(self._vectors)

    def search(
        self, query: Matrix, k: int, *, allowed: NDArray[np.bool_] | None = None, without: Rows | None = None
    ) -> tuple[Rows, Scores]:
        scores = self._vectors @ query
        if without is not None and len(without):
            allowed = np.ones(len(scores), bool) if allowed is None else allowed.copy()
            allowed[without] = False
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
        self._filter = _Filter()

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(
        self, query: Matrix, k: int, *, allowed: NDArray[np.bool_] | None = None, without: Rows | None = None
    ) -> tuple[Rows, Scores]:
        parameters = _library.SearchParametersHNSW(efSearch=max(self._ef_search, k))
        kept = self._filter.selector(len(self), allowed, without)
        if kept is not None:
            parameters.sel = kept.selector
        scores, rows = self._index.search(query[None].astype(np.float32), k, params=parameters)
        found = rows[0] >= 0
        return rows[0][found].astype(np.int64), scores[0][found]


class FaissIvfIndex:
    """Inverted lists (Sivic & Zisserman 2003) of 4-bit product codes, re-scored by 8 bits a dimension; faiss.

    336 bytes per row. The codes are scanned in SIMD registers ("fast scan", Andre et al., VLDB 2015), a few times k of
    them survive and are ordered by their 8-bit vectors. For the 500 nearest of many this beats lists of 8-bit vectors
    and HNSW at equal recall (docs/decisions/0301); a filter costs next to nothing and building takes a minute at a
    million rows. How many lists are scanned and how many codes survive is chosen at building time so that sampled
    queries reach `recall`, and is then part of the index.
    """

    def __init__(self, vectors: Matrix, *, recall: float = 0.96, k: int = 500, seed: int = 1) -> None:
        vectors = np.ascontiguousarray(vectors, np.float32)
        rows, dimensions = vectors.shape
        lists = max(int(2 * np.sqrt(rows)), 1)  # more lists cost building (rows x lists) and save little
        sample = vectors[:: max(rows // 100_000, 1)]
        self._coarse = faiss.IndexFlatIP(dimensions)  # the index refers to its parts, so they are kept here
        self._lists: Any = _library.IndexIVFPQFastScan(
            self._coarse, dimensions, lists, dimensions // 2, 4, faiss.METRIC_INNER_PRODUCT
        )
        self._lists.by_residual = False
        self._lists.cp.niter, self._lists.cp.seed = 5, seed
        self._lists.cp.max_points_per_centroid = 39
        faiss.omp_set_num_threads(1)  # of this thread: 128 small trainings on several threads wait for each other
        self._lists.train(sample)
        kind: Any = faiss.ScalarQuantizer.QT_8bit  # the stubs take this enum for a quantiser
        self._precise = faiss.IndexScalarQuantizer(dimensions, kind, faiss.METRIC_INNER_PRODUCT)
        self._precise.train(sample)
        self._index: Any = faiss.IndexRefine(self._lists, self._precise)
        self._index.is_trained = True
        faiss.omp_set_num_threads(max((os.cpu_count() or 2) // 2, 1))  # the other cores serve
        self._index.add(vectors)
        faiss.omp_set_num_threads(1)
        self._filter = _Filter()
        sampled = _Sampled(vectors, seed=seed)
        self.effort = self._enough(sampled, recall=recall, k=min(k, rows))
        """Lists scanned and survivors per row asked for."""
        half = self._least_lists(sampled, recall=recall, k=min(2 * k, rows), factor=self.effort[1])
        self.lists_half = max(half or lists, self.effort[0])
        """Lists needed when a filter leaves half of the rows: its k nearest are among the 2k nearest of all."""

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(
        self, query: Matrix, k: int, *, allowed: NDArray[np.bool_] | None = None, without: Rows | None = None
    ) -> tuple[Rows, Scores]:
        kept = self._filter.selector(len(self), allowed, without)
        return self._search(query, k, self._parameters(kept))

    def save(self, path: Path) -> None:
        """Write the index; `load` reads half a gigabyte in a second."""
        faiss.write_index(self._index, str(path))
        path.with_suffix(".effort").write_text(f"{self.effort[0]} {self.effort[1]} {self.lists_half}")

    @classmethod
    def load(cls, path: Path) -> FaissIvfIndex:
        index = cls.__new__(cls)
        index._index = faiss.read_index(str(path))
        index._lists = faiss.downcast_index(index._index.base_index)
        index._filter = _Filter()
        lists, factor, index.lists_half = map(int, path.with_suffix(".effort").read_text().split())
        index.effort = (lists, factor)
        return index

    def _parameters(self, kept: _Selector | None) -> Any:
        """What faiss is told; one filter serves many searches, so its parameters are kept: 70 us with cold caches."""
        if kept is None:
            return _parameters(self.effort)
        if kept.parameters is None:
            kept.parameters = _parameters((self._lists_for(kept.share), self.effort[1]), kept)
        return kept.parameters

    def _search(self, query: Matrix, k: int, parameters: Any) -> tuple[Rows, Scores]:
        scores, rows = self._index.search(query[None].astype(np.float32), k, params=parameters)
        found = rows[0] >= 0
        return rows[0][found].astype(np.int64), scores[0][found]

    def _lists_for(self, share: float) -> int:
        """More lists the less a filter leaves: by the measured factor for each halving."""
        if share > 0.99:
            return self.effort[0]
        factor = (self.lists_half / self.effort[0]) ** -np.log2(max(share, 1e-3))
        return min(int(self.effort[0] * factor) + 1, int(self._lists.nlist))

    def _enough(self, sampled: _Sampled, *, recall: float, k: int) -> tuple[int, int]:
        """The cheapest effort that finds `recall` of the k nearest; everything, if none does."""
        nlist = int(self._lists.nlist)
        costs: list[tuple[float, tuple[int, int]]] = []
        for factor in _SURVIVORS:
            lists = self._least_lists(sampled, recall=recall, k=k, factor=factor)
            if lists is not None:
                scanned = lists * len(self) / nlist
                costs.append((scanned + _SURVIVOR_COST * k * factor, (lists, factor)))
        return min(costs)[1] if costs else (nlist, _SURVIVORS[-1])

    def _least_lists(self, sampled: _Sampled, *, recall: float, k: int, factor: int) -> int | None:
        """Fewest lists (in steps of a quarter), or None if all of them are too few."""
        truth, nlist, lists = sampled.nearest(k), int(self._lists.nlist), 8
        if self._recall(sampled.queries, truth, (nlist, factor)) < recall:
            return None
        while lists < nlist and self._recall(sampled.queries, truth, (lists, factor)) < recall:
            lists = lists * 5 // 4
        return min(lists, nlist)

    def _recall(self, queries: Matrix, truth: list[Rows], effort: tuple[int, int]) -> float:
        k = len(truth[0])
        found = [self._search(query, k, _parameters(effort))[0] for query in queries]
        return sum(len(np.intersect1d(near, rows)) for near, rows in zip(truth, found, strict=True)) / (k * len(found))


_SURVIVORS = (2, 3, 5, 8)
_SURVIVOR_COST = 20
"""Re-scoring one survivor takes as long as scanning this many codes."""


class _Sampled:
    """48 blends of two random rows, and their true neighbours: what an index is judged by."""

    def __init__(self, vectors: Matrix, *, seed: int) -> None:
        pairs = np.random.default_rng(seed).integers(len(vectors), size=(48, 2))
        queries = vectors[pairs[:, 0]] + 0.5 * vectors[pairs[:, 1]]
        self.queries: Matrix = queries / np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-9)
        self._vectors = vectors
        self._nearest: tuple[int, list[Rows]] = (0, [])

    def nearest(self, k: int) -> list[Rows]:
        if self._nearest[0] != k:
            every = np.arange(len(self._vectors))
            self._nearest = k, [best(every, self._vectors @ query, k)[0] for query in self.queries]
        return self._nearest[1]


@dataclass(slots=True)
class _Selector:
    """What faiss asks for each row; it points into the bitmap."""

    selector: Any
    bitmap: NDArray[np.uint8]
    share: float
    """How much of the rows it leaves, 0..1."""
    parameters: Any = None
    """Of a search with it, once there was one."""


def _selector(bitmap: NDArray[np.uint8], share: float) -> _Selector:
    return _Selector(_library.IDSelectorBitmap(bitmap), bitmap, share)


def _parameters(effort: tuple[int, int], kept: _Selector | None = None) -> Any:
    """Lists to scan and survivors per row asked for, as faiss wants them."""
    lists = _library.SearchParametersIVF(nprobe=effort[0])
    if kept is not None:
        lists.sel = kept.selector
    return _library.IndexRefineSearchParameters(k_factor=effort[1], base_index_params=lists)


class _Filter:
    """Keeps the packed form of the last filter: many searches use one. `allowed` must not be changed after use."""

    def __init__(self) -> None:
        self._kept: tuple[NDArray[np.bool_], _Selector] | None = None

    def selector(self, n: int, allowed: NDArray[np.bool_] | None, without: Rows | None) -> _Selector | None:
        """None when every row may be found. An eighth of a byte a row is copied for `without`: 10 us for a million."""
        shared = self._of(allowed) if allowed is not None else None
        if without is None or not len(without):
            return shared
        bitmap = shared.bitmap.copy() if shared is not None else np.full((n + 7) // 8, 255, np.uint8)
        np.bitwise_and.at(bitmap, without >> 3, ~np.left_shift(1, without & 7).astype(np.uint8))
        return _selector(bitmap, shared.share if shared is not None else 1.0)

    def _of(self, allowed: NDArray[np.bool_]) -> _Selector:
        kept = self._kept
        if kept is None or kept[0] is not allowed:
            made = _selector(np.packbits(allowed, bitorder="little"), float(allowed.mean()) if len(allowed) else 0.0)
            kept = self._kept = (allowed, made)
        return kept[1]


def best(rows: Rows, scores: Scores, k: int) -> tuple[Rows, Scores]:
    """The k highest, best first; ties by lower row."""
    if len(rows) > k > 0:
        top = np.argpartition(-scores, k - 1)[:k]
        rows, scores = rows[top], scores[top]
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]
