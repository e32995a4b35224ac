"""Places for new videos: the chance that is logged is the chance of the draw, so the log can judge other rules."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from inference.feed.columns import FeedColumns, NewVideo
from inference.feed.exploration import choose_trials, places
from inference.feed.model import FeedModel
from inference.feed.pools import PoolPolicy, Pools, make_pools
from inference.feed.recommender import Policy, Recommender
from inference.feed.row_index import RowIndex
from inference.feed.sources import Source
from inference.feed.taste import Taste
from inference.feed.viewer import ViewerState
from inference.off_policy import snips

NOW_S = 1_790_000_000.0
NEW = 12
VIEWER = ViewerState(taste=Taste(space="s"))


@pytest.fixture
def columns() -> FeedColumns:
    """New videos in all directions, of nine creators."""
    columns, rng = FeedColumns(space="s"), np.random.default_rng(4)
    for number in range(NEW):
        vector = rng.standard_normal(256).astype(np.float32)
        vector[0] += 16 * number / NEW
        columns.put(
            NewVideo(
                video_id=number + 1,
                creator_id=max(number, 3),
                published_s=NOW_S - 60,
                duration_s=20,
                vector=vector / np.linalg.norm(vector),
            )
        )
    return columns


@pytest.fixture
def pools(columns: FeedColumns) -> Pools:
    return make_pools(columns, now_s=NOW_S, policy=PoolPolicy())


QUERY = np.eye(1, 256, dtype=np.float32)[0]


def test_videos_are_drawn_as_often_as_their_logged_chance_says(columns: FeedColumns, pools: Pools) -> None:
    rng, draws = np.random.default_rng(1), 4000
    drawn: Counter[int] = Counter()
    chance: dict[int, float] = {}
    for _ in range(draws):
        (trial,) = choose_trials(columns, pools, VIEWER, QUERY, count=1, rng=rng)
        drawn[trial.row] += 1
        assert chance.setdefault(trial.row, trial.propensity) == pytest.approx(trial.propensity)
    assert set(drawn) == set(range(NEW)), "everybody keeps a chance"
    assert sum(chance.values()) == pytest.approx(1.0)
    for row, count in drawn.items():
        deviation = np.sqrt(draws * chance[row] * (1 - chance[row]))
        assert abs(count - draws * chance[row]) < 4 * deviation


def test_the_second_draw_logs_its_own_chance(columns: FeedColumns, pools: Pools) -> None:
    """Given the first: the mean of 1 / chance is the number of videos that were left."""
    rng = np.random.default_rng(2)
    pairs = [choose_trials(columns, pools, VIEWER, None, count=2, rng=rng) for _ in range(3000)]
    assert all(first.row != second.row for first, second in pairs)
    assert np.mean([1 / second.propensity for _, second in pairs]) == pytest.approx(NEW - 1, rel=0.1)


def test_a_log_of_matching_draws_tells_what_uniform_ones_would_have_earned(columns: FeedColumns, pools: Pools) -> None:
    worth = np.linspace(0.1, 0.9, NEW)  # who matches better is also watched longer
    rng = np.random.default_rng(3)
    trials = [choose_trials(columns, pools, VIEWER, QUERY, count=1, rng=rng)[0] for _ in range(4000)]
    reward = np.array([worth[trial.row] for trial in trials])
    found = snips(reward, np.array([trial.propensity for trial in trials]), np.full(len(trials), 1 / NEW), draws=300)
    assert found.low <= worth.mean() <= found.high < reward.mean()


def test_only_places_that_were_drawn_have_a_chance_below_one(columns: FeedColumns, pools: Pools) -> None:
    recommender = Recommender(columns, RowIndex(columns), model=FeedModel(name="blend"), policy=Policy())
    rng = np.random.default_rng(5)
    ranked = recommender.recommend(pools, VIEWER, count=NEW, now_s=NOW_S, rng=rng)
    tried = [pick for pick in ranked.picks if pick.source is Source.EXPLORE]
    assert [0 < pick.propensity < 1 for pick in tried] == [True]
    assert all(pick.propensity == 1 for pick in ranked.picks if pick.source is not Source.EXPLORE)


@pytest.mark.parametrize(("count", "every", "expected"), [(9, 10, 0), (10, 10, 1), (35, 10, 3), (20, 0, 0), (3, 1, 2)])
def test_each_stretch_has_one_place_and_the_first_of_a_list_is_none(count: int, every: int, expected: int) -> None:
    found = places(count, every=every, rng=np.random.default_rng(6))
    stretches = {place // every for place in found}
    assert len(found) == len(stretches) == expected
    assert 0 not in found
    assert all(place < count for place in found)
