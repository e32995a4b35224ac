"""A watch is judged among watches of videos of its length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.feed.outcome import judge
from inference.feed.watch_quantile import default_quantiles, fit

TABLE = default_quantiles()


@given(st.floats(0.1, 600), st.floats(0, 1200), st.floats(0, 600))
def test_quantiles_are_bounded_and_rise_with_watching(duration_s: float, watched_s: float, more_s: float) -> None:
    low = TABLE.quantile(duration_s=duration_s, watched_s=watched_s)
    high = TABLE.quantile(duration_s=duration_s, watched_s=watched_s + more_s)
    assert 0 <= low <= high <= 1


@given(st.floats(5, 300), st.floats(0.02, 0.98))
def test_seconds_invert_the_quantile(duration_s: float, quantile: float) -> None:
    seconds = TABLE.seconds(duration_s=duration_s, quantile=quantile)
    assert TABLE.quantile(duration_s=duration_s, watched_s=seconds) == pytest.approx(quantile, abs=0.03)


def test_twelve_seconds_are_much_for_a_short_clip_and_little_for_a_long_one() -> None:
    short = TABLE.quantile(duration_s=12, watched_s=12)
    long = TABLE.quantile(duration_s=170, watched_s=12)
    assert short > 0.75 > 0.45 > long


def test_fitting_moves_a_bucket_with_data_and_leaves_the_others() -> None:
    watched = np.random.default_rng(1).uniform(0, 4, 5000)
    fitted = fit(np.full(5000, 25.0), watched)
    assert fitted.quantile(duration_s=25, watched_s=3.9) > 0.75
    assert fitted.quantile(duration_s=100, watched_s=50) == TABLE.quantile(duration_s=100, watched_s=50)


def test_actions_outweigh_seconds_and_not_interested_outweighs_everything() -> None:
    skip = judge(TABLE, duration_s=30, watched_s=0.5)
    liked = judge(TABLE, duration_s=30, watched_s=0.5, liked=True)
    shared = judge(TABLE, duration_s=30, watched_s=30, shared=True)
    refused = judge(TABLE, duration_s=30, watched_s=30, liked=True, not_interested=True)
    assert skip.dislike > 0
    assert skip.skipped
    assert liked.liking > 0
    assert liked.dislike == 0
    assert shared.liking > judge(TABLE, duration_s=30, watched_s=30).liking
    assert refused.liking == 0
    assert refused.dislike == 2
