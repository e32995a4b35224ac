"""One suite for every index: recall against brute force, filters, bounds, and the same after reload."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from inference.feed.columns import FeedColumns, NewVideo
from inference.feed.row_index import RowIndex
from inference.feed.vector_index import ExactIndex, FaissHnswIndex, FaissIvfIndex, VectorIndex, best

ROWS, K = 6000, 100
Build = Callable[[np.ndarray], VectorIndex]


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Clustered unit vectors: what content looks like."""
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((60, 256))
    made = centres[rng.integers(60, size=ROWS)] + 1.2 * rng.standard_normal((ROWS, 256))
    return (made / np.linalg.norm(made, axis=1)[:, None]).astype(np.float32)


@pytest.fixture(scope="module", params=[ExactIndex, FaissHnswIndex, FaissIvfIndex], ids=["exact", "hnsw", "ivf"])
def index(request: pytest.FixtureRequest, vectors: np.ndarray) -> VectorIndex:
    made: VectorIndex = request.param(vectors)
    return made


def queries(vectors: np.ndarray) -> np.ndarray:
    mixed = vectors[:20] + 0.5 * vectors[20:40]
    return np.asarray(mixed / np.linalg.norm(mixed, axis=1)[:, None], np.float32)


def recall(index: VectorIndex, vectors: np.ndarray, allowed: np.ndarray | None = None) -> float:
    shares = []
    for query in queries(vectors):
        rows = np.arange(ROWS) if allowed is None else np.flatnonzero(allowed)
        truth, _ = best(rows, vectors[rows] @ query, K)
        found, _ = index.search(query, K, allowed=allowed)
        shares.append(len(np.intersect1d(truth, found)) / K)
    return float(np.mean(shares))


def test_recall_is_at_least_95_percent(index: VectorIndex, vectors: np.ndarray) -> None:
    assert recall(index, vectors) >= 0.95


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_recall_holds_with_a_filter_and_nothing_forbidden_appears(
    index: VectorIndex, vectors: np.ndarray, share: float
) -> None:
    allowed = np.random.default_rng(5).random(ROWS) < share
    assert recall(index, vectors, allowed) >= 0.9
    found, _ = index.search(vectors[7], K, allowed=allowed)
    assert allowed[found].all()


def test_rows_left_out_of_one_search_are_replaced_by_the_next_nearest(index: VectorIndex, vectors: np.ndarray) -> None:
    allowed = np.random.default_rng(6).random(ROWS) < 0.7
    for filter_ in (None, allowed):
        before, _ = index.search(vectors[7], K, allowed=filter_)
        without = np.sort(before[: K // 2])
        after, _ = index.search(vectors[7], K, allowed=filter_, without=without)
        assert len(after) == K
        assert not np.intersect1d(after, without).size
        assert len(np.intersect1d(after, before[K // 2 :])) >= 0.9 * (K // 2)
        assert filter_ is None or filter_[after].all()
        again, _ = index.search(vectors[7], K, allowed=filter_)
        assert np.array_equal(again, before)  # the shared filter is as it was


def test_scores_fall_and_rows_are_distinct(index: VectorIndex, vectors: np.ndarray) -> None:
    rows, scores = index.search(vectors[3], 50)
    assert rows[0] == 3
    assert (np.diff(scores) <= 1e-6).all()
    assert len(set(rows.tolist())) == 50


def test_asking_for_more_than_is_allowed_gives_what_there_is(index: VectorIndex, vectors: np.ndarray) -> None:
    allowed = np.zeros(ROWS, bool)
    allowed[[5, 9, 700]] = True
    rows, _ = index.search(vectors[5], 50, allowed=allowed)
    assert set(rows.tolist()) <= {5, 9, 700}
    assert 5 in rows


def test_a_saved_index_answers_the_same(vectors: np.ndarray, tmp_path: Path) -> None:
    made = FaissIvfIndex(vectors)
    made.save(tmp_path / "index.faiss")
    again = FaissIvfIndex.load(tmp_path / "index.faiss")
    assert recall(again, vectors) == recall(made, vectors)
    assert len(again) == ROWS


def test_a_restarted_row_index_serves_what_is_here_now(vectors: np.ndarray, tmp_path: Path) -> None:
    def columns_of(order: list[int]) -> FeedColumns:
        columns = FeedColumns(space="s")
        for row in order:
            columns.put(NewVideo(video_id=row + 1, creator_id=1, published_s=0, duration_s=9, vector=vectors[row]))
        return columns

    RowIndex(columns_of(list(range(3000))), snapshot=tmp_path / "kept").rebuild()
    assert not RowIndex(columns_of([0]), snapshot=tmp_path / "elsewhere").restore()

    columns = columns_of([*range(3200, 3100, -1), *range(2999, 9, -1)])  # other rows, ten videos gone, a hundred new
    columns.put(
        NewVideo(video_id=500, creator_id=1, published_s=0, duration_s=9, vector=vectors[4000])
    )  # another vector
    index = RowIndex(columns, snapshot=tmp_path / "kept")
    assert index.restore()
    assert index.waiting == 101
    columns.put(NewVideo(video_id=7777, creator_id=1, published_s=0, duration_s=9, vector=vectors[5000]))
    allowed = columns.alive[: columns.count].copy()
    for video_id, vector in ((11, vectors[10]), (3151, vectors[3150]), (500, vectors[4000]), (7777, vectors[5000])):
        rows, _ = index.search(vector, 5, allowed=allowed)
        assert columns.video_id[rows[0]] == video_id
        without, _ = index.search(vector, 5, allowed=allowed, without=rows[:1])
        assert rows[0] not in without
    everything, _ = index.search(vectors[499], 3101, allowed=allowed)
    found = columns.video_id[everything].tolist()
    assert len(found) == len(set(found))
    assert not set(range(1, 11)) & set(found)
    columns.remove(3151)
    again, _ = index.search(vectors[3150], 5, allowed=columns.alive[: columns.count].copy())
    assert 3151 not in columns.video_id[again]


@pytest.mark.parametrize("damage", ["rows.npz", "index", "index.effort"])
def test_a_damaged_snapshot_is_built_anew(vectors: np.ndarray, tmp_path: Path, damage: str) -> None:
    columns = FeedColumns(space="s")
    for row in range(700):
        columns.put(NewVideo(video_id=row + 1, creator_id=1, published_s=0, duration_s=9, vector=vectors[row]))
    RowIndex(columns, snapshot=tmp_path / "kept").rebuild()
    broken = tmp_path / "kept" / damage
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    if damage == "index.effort":
        broken.write_text("8 x")
    index = RowIndex(columns, snapshot=tmp_path / "kept")
    assert not index.restore()
    index.rebuild()
    assert index.restore()


@pytest.mark.parametrize("build", [ExactIndex, FaissIvfIndex])
def test_the_row_index_finds_old_and_new_rows_and_drops_removed_ones(vectors: np.ndarray, build: Build) -> None:
    columns = FeedColumns(space="s")
    for row in range(3000):
        columns.put(NewVideo(video_id=row + 1, creator_id=1, published_s=0, duration_s=9, vector=vectors[row]))
    index = RowIndex(columns, build=build)
    index.rebuild()
    assert index.waiting == 0
    for row in range(3000, 3500):
        columns.put(NewVideo(video_id=row + 1, creator_id=1, published_s=0, duration_s=9, vector=vectors[row]))
    columns.remove(3)
    columns.put(NewVideo(video_id=5, creator_id=1, published_s=0, duration_s=9, vector=vectors[4000]))
    allowed = columns.alive[: columns.count].copy()
    for wanted, vector in ((3401, vectors[3400]), (11, vectors[10]), (5, vectors[4000])):
        rows, _ = index.search(vector, 10, allowed=allowed)
        assert columns.video_id[rows[0]] == wanted
    rows, _ = index.search(vectors[2], 50, allowed=allowed)
    assert 3 not in columns.video_id[rows]
    without = columns.rows([3401, 11])  # one in the block, one in the index
    for vector in (vectors[3400], vectors[10]):
        rows, _ = index.search(vector, 10, allowed=allowed, without=without)
        assert len(rows) == 10
        assert not np.intersect1d(rows, without).size
    rows, _ = index.search(vectors[4], 3400, allowed=allowed)
    assert (columns.video_id[rows] == 5).sum() == 1  # only with its new vector
