"""Nearest neighbours by inner product, behind one small port; vectors are unit length, so this is the cosine."""

from __future__ import annotations

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
        self._filter = _Filter()

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(self, query: Matrix, k: int, *, allowed: NDArray[np.bool_] | None = None) -> tuple[Rows, Scores]:
        parameters = _library.SearchParametersHNSW(efSearch=max(self._ef_search, k))
        if allowed is not None:
            parameters.sel = self._filter.selector(allowed)
        scores, rows = self._index.search(query[None].astype(np.float32), k, params=parameters)
        found = rows[0] >= 0
        return rows[0][found].astype(np.int64), scores[0][found]


class FaissIvfIndex:
    """Inverted lists over 8-bit quantised vectors (Sivic & Zisserman 2003; faiss): 264 bytes per row.

    For the 500 nearest of many it beats HNSW here at equal recall (see docs/decisions/0301): scanning lists is
    sequential, a filter costs next to nothing, and building takes seconds. The number of lists scanned is chosen at
    building time so that sampled queries reach `recall`, and is then part of the index.
    """

    def __init__(self, vectors: Matrix, *, recall: float = 0.96, k: int = 500, seed: int = 1) -> None:
        vectors = np.ascontiguousarray(vectors, np.float32)
        lists = max(int(2 * np.sqrt(len(vectors))), 1)  # more lists cost building (rows x lists) and save little
        kind: Any = faiss.ScalarQuantizer.QT_8bit  # the stubs take this enum for a quantiser
        self._quantizer = faiss.IndexFlatIP(vectors.shape[1])  # referenced by the index, so kept here
        self._index: Any = faiss.IndexIVFScalarQuantizer(
            self._quantizer, vectors.shape[1], lists, kind, faiss.METRIC_INNER_PRODUCT
        )
        self._index.cp.niter, self._index.cp.seed = 5, seed
        self._index.cp.max_points_per_centroid = 39
        self._filter = _Filter()
        self._index.train(vectors)
        self._index.add(vectors)
        self.probes = self._enough_probes(vectors, recall=recall, k=min(k, len(vectors)), seed=seed)
        self.probes_half = self._enough_probes(vectors, recall=recall, k=min(2 * k, len(vectors)), seed=seed)
        """Lists needed when a filter leaves half of the rows: its k nearest are among the 2k nearest of all."""

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(self, query: Matrix, k: int, *, allowed: NDArray[np.bool_] | None = None) -> tuple[Rows, Scores]:
        return self._search(query, k, probes=self._probes_for(allowed), allowed=allowed)

    def save(self, path: Path) -> None:
        """Write the index; `load` reads a gigabyte in about a second."""
        faiss.write_index(self._index, str(path))
        path.with_suffix(".probes").write_text(f"{self.probes} {self.probes_half}")

    @classmethod
    def load(cls, path: Path) -> FaissIvfIndex:
        index = cls.__new__(cls)
        index._index = faiss.read_index(str(path))
        index._quantizer = index._index.quantizer
        index._filter = _Filter()
        index.probes, index.probes_half = map(int, path.with_suffix(".probes").read_text().split())
        return index

    def _search(self, query: Matrix, k: int, *, probes: int, allowed: NDArray[np.bool_] | None) -> tuple[Rows, Scores]:
        parameters = _library.SearchParametersIVF(nprobe=probes)
        if allowed is not None:
            parameters.sel = self._filter.selector(allowed)
        scores, rows = self._index.search(query[None].astype(np.float32), k, params=parameters)
        found = rows[0] >= 0
        return rows[0][found].astype(np.int64), scores[0][found]

    def _probes_for(self, allowed: NDArray[np.bool_] | None) -> int:
        """More lists the less a filter leaves: by the measured factor for each halving."""
        if allowed is None:
            return self.probes
        halvings = -np.log2(max(self._filter.share(allowed), 1e-3))
        return min(int(self.probes * (self.probes_half / self.probes) ** halvings) + 1, int(self._index.nlist))

    def _enough_probes(self, vectors: Matrix, *, recall: float, k: int, seed: int) -> int:
        """Fewest lists (in steps of a half) with which 48 blends of two random rows find `recall` of their k
        nearest."""
        rng = np.random.default_rng(seed)
        pairs = rng.integers(len(vectors), size=(48, 2))
        queries = vectors[pairs[:, 0]] + 0.5 * vectors[pairs[:, 1]]
        queries /= np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-9)
        truth = [set(best(np.arange(len(vectors)), vectors @ query, k)[0].tolist()) for query in queries]
        probes = 8
        while probes < self._index.nlist:
            found = [self._search(query, k, probes=probes, allowed=None)[0] for query in queries]
            hits = sum(len(near.intersection(rows.tolist())) for near, rows in zip(truth, found, strict=True))
            if hits >= recall * k * len(queries):
                return probes
            probes = probes * 3 // 2
        return int(self._index.nlist)


class _Filter:
    """Keeps the packed form of the last filter: many searches use one. `allowed` must not be changed after use."""

    def __init__(self) -> None:
        self._kept: tuple[NDArray[np.bool_], NDArray[np.uint8], Any, float] | None = None

    def selector(self, allowed: NDArray[np.bool_]) -> Any:
        return self._of(allowed)[2]

    def share(self, allowed: NDArray[np.bool_]) -> float:
        """How much of the rows it leaves, 0..1."""
        return self._of(allowed)[3]

    def _of(self, allowed: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.uint8], Any, float]:
        kept = self._kept
        if kept is None or kept[0] is not allowed:
            bitmap = np.packbits(allowed, bitorder="little")
            kept = self._kept = (allowed, bitmap, _library.IDSelectorBitmap(bitmap), float(allowed.mean()))
        return kept


def best(rows: Rows, scores: Scores, k: int) -> tuple[Rows, Scores]:
    """The k highest, best first; ties by lower row."""
    if len(rows) > k > 0:
        top = np.argpartition(-scores, k - 1)[:k]
        rows, scores = rows[top], scores[top]
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]
