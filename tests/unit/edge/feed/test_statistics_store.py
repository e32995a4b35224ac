"""What a PoP counted survives its restart, also into a version that counts more."""

from __future__ import annotations

import io

import numpy as np

from edge.feed.statistics_store import pack, unpack
from inference.feed.columns import FeedColumns, NewVideo
from inference.feed.outcome import Outcome

NOW_S = 1_790_000_000.0
GOOD = Outcome(quantile=0.9, liking=1.0, dislike=0.0, finished=True, skipped=False)


def columns_of(*ids: int) -> FeedColumns:
    columns = FeedColumns(space="s")
    for video_id in ids:
        columns.put(NewVideo(video_id=video_id, creator_id=1, published_s=NOW_S, duration_s=20))
    return columns


def without(blob: bytes, name: str) -> bytes:
    """As a version wrote it that did not count this."""
    file = io.BytesIO()
    with np.load(io.BytesIO(blob)) as arrays:
        np.savez(file, **{other: arrays[other] for other in arrays.files if other != name})
    return file.getvalue()


def test_counts_come_back_to_the_videos_that_are_still_here() -> None:
    before, after = columns_of(1, 2, 3), columns_of(3, 2)
    for video_id in (1, 2, 2):
        before.record(before.row_of[video_id], GOOD, now_s=NOW_S, watched_before=0)
    blob = pack(before)
    assert unpack(blob, after) == 1
    assert (after.seen_count[1], after.newcomers[1]) == (2, before.newcomers[1])
    older = columns_of(3, 2)
    assert unpack(without(blob, "newcomers"), older) == 1
    assert (older.seen_count[1], older.newcomers[1]) == (2, 0)


def test_damage_counts_as_nothing_stored() -> None:
    columns = columns_of(1)
    columns.record(0, GOOD, now_s=NOW_S, watched_before=0)
    blob = pack(columns)
    assert unpack(blob[: len(blob) // 2], columns) == 0
    assert unpack(without(blob, "video_id"), columns) == 0
