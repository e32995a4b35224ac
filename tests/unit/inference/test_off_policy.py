"""Estimates from one policy's log find another policy's value, and say how sure they are."""

from __future__ import annotations

import numpy as np
import pytest

from inference.off_policy import doubly_robust, snips


def logged(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Three arms with rewards .2, .5, .8, shown with chances .6, .3, .1; the new policy wants .1, .3, .6."""
    rng = np.random.default_rng(seed)
    old, new, truth = np.array([0.6, 0.3, 0.1]), np.array([0.1, 0.3, 0.6]), np.array([0.2, 0.5, 0.8])
    arm = rng.choice(3, size=n, p=old)
    reward = (rng.random(n) < truth[arm]).astype(np.float64)
    return reward, old[arm], new[arm], truth[arm]


def test_the_interval_holds_the_truth_and_the_logging_policy_is_told_apart() -> None:
    hits = 0
    for seed in range(30):
        reward, old, new, _ = logged(2000, seed)
        estimate = snips(reward, old, new, seed=seed, draws=300)
        hits += estimate.low <= 0.65 <= estimate.high
        assert estimate.low > reward.mean()
    assert hits >= 26


def test_a_reward_model_narrows_the_interval() -> None:
    reward, old, new, predicted = logged(2000, 3)
    plain = snips(reward, old, new)
    robust = doubly_robust(reward, old, new, predicted, np.full(2000, 0.65))
    assert robust.low <= 0.65 <= robust.high
    assert robust.high - robust.low <= plain.high - plain.low
    assert plain.effective < 2000


def test_chances_that_are_none_are_refused() -> None:
    one = np.ones(3)
    with pytest.raises(ValueError, match="logged chances"):
        snips(one, np.array([0.5, 0.0, 0.5]), one)
    with pytest.raises(ValueError, match="length"):
        snips(one, one, np.ones(2))
