"""Columns in memory that another process maps: the same rows there, whatever happens here."""

from __future__ import annotations

import numpy as np
import pytest

from inference.feed.columns import FeedColumns, NewVideo
from inference.feed.followed_columns import Extent, FollowedColumns
from inference.feed.layout import ARRAYS
from inference.feed.outcome import Outcome

GOOD = Outcome(quantile=0.9, liking=1.0, dislike=0.0, finished=True, skipped=False)


def put(columns: FeedColumns, video_id: int, *, creator: int = 5, seed: int | None = None) -> None:
    vector = np.random.default_rng(video_id if seed is None else seed).standard_normal(256).astype(np.float32)
    columns.put(
        NewVideo(video_id=video_id, creator_id=creator, published_s=1000.0 + video_id, duration_s=9, vector=vector)
    )


def extent(columns: FeedColumns) -> Extent:
    return Extent(columns.count, columns.version, len(columns.records))


@pytest.fixture
def owned() -> FeedColumns:
    columns = FeedColumns(space="s", capacity=4)
    put(columns, 1)
    put(columns, 2, creator=6)
    columns.record(0, GOOD, watched_before=0, now_s=1000.0)
    return columns


def test_what_was_there_before_sharing_and_what_comes_after_is_seen(owned: FeedColumns) -> None:
    before = {name: getattr(owned, name)[:2].copy() for name in ARRAYS}
    followed = FollowedColumns(space="s", files=owned.share())
    followed.follow(extent(owned))
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(followed, name)[:2], before[name])
    for video_id in range(3, 40):  # grows four times
        put(owned, video_id)
    owned.remove(2)
    put(owned, 7, seed=77)  # another vector: another row
    owned.record(owned.row_of[9], GOOD, watched_before=0, now_s=2000.0)
    followed.follow(extent(owned))
    assert (followed.count, followed.version) == (owned.count, owned.version)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(followed, name)[: owned.count], getattr(owned, name)[: owned.count])
    for video_id, row in owned.row_of.items():
        assert followed.row_of[video_id] == row
    for creator, rows in owned.rows_of_creator.items():
        assert set(rows) <= set(followed.rows_of_creator[creator])
    assert not followed.alive[followed.row_of[2]]


def test_nothing_of_later_is_seen_before_it_is_told(owned: FeedColumns) -> None:
    followed = FollowedColumns(space="s", files=owned.share())
    followed.follow(extent(owned))
    for video_id in range(3, 20):
        put(owned, video_id)
    assert followed.count == 2
    assert 3 not in followed.row_of
    np.testing.assert_array_equal(followed.video_id[:2], [1, 2])


def test_a_follower_changes_nothing(owned: FeedColumns) -> None:
    followed = FollowedColumns(space="s", files=owned.share())
    followed.follow(extent(owned))
    with pytest.raises(TypeError, match="process that owns"):
        put(followed, 9)
    with pytest.raises(TypeError, match="process that owns"):
        followed.remove(1)
    with pytest.raises(ValueError, match="read-only"):
        followed.seen_count[0] = 7


def test_sharing_twice_is_sharing_once(owned: FeedColumns) -> None:
    assert owned.share() == owned.share()
