"""The catalogue grows, changes and shrinks while ranking threads read it: no torn row, no error, no removed video."""

from __future__ import annotations

import threading

import numpy as np

from inference.feed.columns import FeedColumns, NewVideo
from inference.feed.model import FIRST_MODEL, load
from inference.feed.outcome import judge
from inference.feed.pools import PoolPolicy, make_pools
from inference.feed.recommender import Policy, Recommender
from inference.feed.row_index import RowIndex
from inference.feed.taste import Taste, updated
from inference.feed.viewer import ViewerState

NOW_S = 1_790_000_000.0


def test_recommending_while_rows_are_added_replaced_and_removed() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((4000, 256)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    columns = FeedColumns(space="s", capacity=64)  # grows many times under the readers

    def put(video_id: int, vector: np.ndarray) -> None:
        columns.put(
            NewVideo(video_id=video_id, creator_id=video_id % 97, published_s=NOW_S, duration_s=20, vector=vector)
        )

    for video_id in range(1, 301):
        put(video_id, vectors[video_id])
    index = RowIndex(columns)
    index.rebuild()
    model = load(FIRST_MODEL)
    recommender = Recommender(columns, index, model=model, policy=Policy())
    taste = Taste(space="s")
    for number in range(10):
        outcome = judge(model.quantiles, duration_s=20, watched_s=19)
        taste = updated(taste, vector=vectors[number], outcome=outcome, video_id=number + 1, creator_id=1, now_s=NOW_S)
    state, stop, failures = ViewerState(taste=taste), threading.Event(), list[BaseException]()
    pages = 0

    def read(seed: int) -> None:
        nonlocal pages
        own = np.random.default_rng(seed)
        try:
            while not stop.is_set():
                gone = frozenset(removed)
                pools = make_pools(columns, now_s=NOW_S, policy=PoolPolicy())
                picks = recommender.recommend(pools, state, count=40, now_s=NOW_S, rng=own).picks
                ids = [pick.video_id for pick in picks]
                assert len(ids) == len(set(ids))
                assert not gone & set(ids)
                assert all(np.isfinite(pick.score) for pick in picks)
                pages += 1
        except BaseException as err:  # handed to the test's thread
            failures.append(err)

    removed: set[int] = set()
    readers = [threading.Thread(target=read, args=(seed,)) for seed in range(2)]
    for reader in readers:
        reader.start()
    for video_id in range(301, 1801):
        put(video_id, vectors[video_id])
        if video_id % 3 == 0:
            put(video_id - 100, vectors[video_id - 150])
        if video_id % 5 == 0:
            columns.remove(video_id - 250)
            removed = removed | {video_id - 250}
        if video_id % 600 == 0:
            index.rebuild()
    while pages < 20 and not failures and all(reader.is_alive() for reader in readers):
        stop.wait(0.01)
    stop.set()
    for reader in readers:
        reader.join(timeout=30)
    assert not failures, failures[0]
    assert columns.live == 1800 - len(removed)
