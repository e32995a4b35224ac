"""The rows of the catalogue: records and the columns beside them say the same, whatever was done to a video."""

from __future__ import annotations

import numpy as np
import pytest

from inference.feed.columns import FeedColumns, NewVideo
from inference.feed.layout import ARRAYS, RECORD, STATISTICS
from inference.feed.outcome import Outcome

GOOD = Outcome(quantile=0.9, liking=1.0, dislike=0.0, finished=True, skipped=False)


def video(video_id: int, *, axis: int | None = 0, public: bool = True, views: float = 7) -> NewVideo:
    return NewVideo(
        video_id=video_id,
        creator_id=video_id % 5,
        sound_id=video_id + 1,
        region=3,
        published_s=1_790_000_000.5 + video_id,
        duration_s=20.5,
        hashtags=(11, 12),
        vector=None if axis is None else np.eye(256, dtype=np.float32)[axis],
        public=public,
        views=views,
        likes=2,
        shares=1,
    )


def changed_columns() -> FeedColumns:
    """Rows that grew, were replaced in place and by another row, removed, counted, and given to the public."""
    columns = FeedColumns(space="s", capacity=2)
    for number in range(1, 40):
        columns.put(video(number, axis=None if number % 7 == 0 else number))
    columns.record(columns.row_of[5], GOOD, now_s=1_790_000_100.0, watched_before=9)
    columns.put(video(4, axis=4, public=False))
    columns.put(video(5, axis=200))
    columns.put(video(7, axis=9))
    columns.remove(6)
    columns.set_counters(8, views=900, likes=80, shares=9)
    return columns


def test_what_is_kept_twice_is_the_same_twice() -> None:
    columns = changed_columns()
    records = columns.take(np.arange(columns.count))
    for name in set(RECORD.names or ()) & set(ARRAYS):
        assert np.array_equal(records[name], getattr(columns, name)[: columns.count]), name
    assert columns.alive.sum() == columns.live == 38
    assert columns.views[columns.row_of[8]] == 900


def test_records_hold_what_was_put_and_survive_growth() -> None:
    columns = changed_columns()
    rows = columns.find([1, 6, 5, 99])
    assert (rows >= 0).tolist() == [True, False, True, False]
    assert columns.rows([1, 6, 5, 99]).tolist() == [rows[0], rows[2]]
    (first,) = columns.take(rows[:1])
    assert first["video_id"] == 1
    assert first["creator_id"] == 1
    assert first["sound_id"] == 2
    assert first["region"] == 3
    assert first["published_s"] == 1_790_000_001.5
    assert first["duration_s"] == 20.5
    assert first["hashtags"].tolist() == [11, 12, 0, 0, 0, 0]
    assert np.array_equal(columns.vectors(rows[:1])[0], np.eye(256)[1])


def test_a_video_of_another_vector_keeps_what_was_counted() -> None:
    columns = changed_columns()
    old, new = 4, columns.row_of[5]
    assert columns.video_id[old] == columns.video_id[new] == 5
    assert not columns.alive[old]
    assert columns.alive[new]
    for name in STATISTICS:
        assert getattr(columns, name)[new] == getattr(columns, name)[old], name
    assert columns.seen_count[new] == 1
    assert columns.popular[new] == 1


@pytest.mark.parametrize("capacity", [1, 7, 1000])
def test_no_record_lies_on_a_third_cache_line(capacity: int) -> None:
    columns = FeedColumns(space="s", capacity=capacity)
    assert RECORD.itemsize == 128
    assert columns.records.ctypes.data % 128 == 0
