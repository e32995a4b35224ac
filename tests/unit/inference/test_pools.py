"""The shared lists: what is allowed, popular, rising, new, and owed an audience."""

from __future__ import annotations

import numpy as np
import pytest

from inference.feed.columns import FeedColumns, NewVideo
from inference.feed.model import FeedModel
from inference.feed.outcome import Outcome
from inference.feed.pools import PoolPolicy, make_pools
from inference.feed.recommender import Policy, Recommender
from inference.feed.row_index import RowIndex
from inference.feed.taste import Taste
from inference.feed.viewer import ViewerState

NOW_S = 1_790_000_000.0
GOOD = Outcome(quantile=0.9, liking=1.0, dislike=0.0, finished=True, skipped=False)
POOR = Outcome(quantile=0.05, liking=0.0, dislike=1.0, finished=False, skipped=True)


def columns_of(ages_h: list[float]) -> FeedColumns:
    columns = FeedColumns(space="s", capacity=4)
    for number, age_h in enumerate(ages_h, start=1):
        columns.put(
            NewVideo(video_id=number, creator_id=number, published_s=NOW_S - 3600 * age_h, duration_s=20, public=True)
        )
    return columns


def ids(columns: FeedColumns, rows: np.ndarray) -> list[int]:
    return columns.video_id[rows].tolist()


def test_a_burst_trends_once_old_enough_and_a_steady_favourite_does_not() -> None:
    columns = columns_of([5, 5, 0.5])
    for minute in range(240):
        columns.record(0, GOOD, now_s=NOW_S - 60 * (240 - minute), watched_before=9)  # one a minute for four hours
    for burst in range(30):
        columns.record(1, GOOD, now_s=NOW_S - 6 * (30 - burst), watched_before=9)
        columns.record(2, GOOD, now_s=NOW_S - 6 * (30 - burst), watched_before=9)
    pools = make_pools(columns, now_s=NOW_S, policy=PoolPolicy())
    assert ids(columns, pools.trending) == [2]
    assert ids(columns, pools.popular)[0] == 1


def test_newcomers_are_welcomed_with_what_newcomers_liked() -> None:
    columns = columns_of([5] * 4)
    for watch in range(400):
        columns.record(0, GOOD, now_s=NOW_S, watched_before=100 + watch)
    for _ in range(40):
        columns.record(1, GOOD, now_s=NOW_S, watched_before=0)
    pools = make_pools(columns, now_s=NOW_S, policy=PoolPolicy())
    assert ids(columns, pools.popular)[:2] == [1, 2]
    assert ids(columns, pools.welcome)[:2] == [2, 1]


def test_one_newcomer_changes_little_and_nothing_where_none_came() -> None:
    columns = columns_of([5] * 4)
    for row, times in enumerate([60, 40, 20]):
        for _ in range(times):
            columns.record(row, GOOD, now_s=NOW_S, watched_before=10**9)
    alone = make_pools(columns, now_s=NOW_S, policy=PoolPolicy())
    assert alone.welcoming == pytest.approx(alone.popularity, abs=1e-5)
    columns.record(2, GOOD, now_s=NOW_S, watched_before=0)
    after = make_pools(columns, now_s=NOW_S, policy=PoolPolicy())
    assert ids(columns, after.welcome)[:3] == [1, 2, 3]
    assert after.welcoming[2] - after.popularity[2] > 0 > after.welcoming[0] - after.popularity[0]


def test_being_shown_to_newcomers_is_worth_nothing_by_itself() -> None:
    """Half of a hundred watched it well: the feed chose it for them, so their number says nothing."""
    columns = columns_of([5] * 2)
    for _ in range(100):
        columns.record(0, GOOD, now_s=NOW_S, watched_before=0)
        columns.record(0, POOR, now_s=NOW_S, watched_before=0)
    columns.record(1, GOOD, now_s=NOW_S, watched_before=0)
    assert columns.newcomers[1] > 0 > columns.newcomers[0]


def test_the_exploration_pool_ends_by_quota_age_and_early_drop() -> None:
    columns = columns_of([1, 1, 1, 60])
    columns.granted[1] = 30
    for _ in range(10):
        columns.record(2, POOR, now_s=NOW_S, watched_before=9)
    pools = make_pools(columns, now_s=NOW_S, policy=PoolPolicy())
    assert ids(columns, pools.explore) == [1]


def test_a_large_catalogue_keeps_to_the_last_week_and_a_small_one_widens() -> None:
    small = columns_of([1, 24 * 20, 24 * 100])
    assert make_pools(small, now_s=NOW_S, policy=PoolPolicy()).allowed_count == 3
    large = columns_of([1.0] * 600 + [24 * 20.0] * 50)
    assert make_pools(large, now_s=NOW_S, policy=PoolPolicy()).allowed_count == 600


def test_videos_shown_to_be_poor_and_private_and_removed_ones_are_left_out() -> None:
    columns = columns_of([1, 1, 1, 1])
    for _ in range(60):
        columns.record(0, POOR, now_s=NOW_S, watched_before=9)
    columns.public[1] = False
    columns.remove(3)
    pools = make_pools(columns, now_s=NOW_S, policy=PoolPolicy())
    assert ids(columns, np.flatnonzero(pools.allowed)) == [4]


@pytest.mark.parametrize("known", [0, 3])
def test_a_followed_video_newer_than_the_lists_is_shown(known: int) -> None:
    columns = columns_of([5] * known)
    pools = make_pools(columns, now_s=NOW_S, policy=PoolPolicy())
    columns.put(NewVideo(video_id=9, creator_id=77, published_s=NOW_S, duration_s=20))
    viewer = ViewerState(taste=Taste(space="s"), following=np.array([77]))
    recommender = Recommender(columns, RowIndex(columns), model=FeedModel(name="blend"), policy=Policy())
    ranked = recommender.recommend(pools, viewer, count=5, now_s=NOW_S, rng=np.random.default_rng(1))
    assert ranked.picks[0].video_id == 9
    assert len(ranked.picks) == known + 1


def test_an_empty_catalogue_has_empty_lists() -> None:
    pools = make_pools(FeedColumns(space="s"), now_s=NOW_S, policy=PoolPolicy())
    assert pools.allowed_count == 0
    assert not len(pools.popular)
