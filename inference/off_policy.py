"""What another policy would have earned, from logged impressions: inverse propensity estimates with intervals.

Only places that were drawn at random say anything about other draws: exploration places, whose propensity every
impression logs. Self-normalised (SNIPS, Swaminathan & Joachims 2015): a little bias, far less variance. Doubly robust
adds a model of the reward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_CLIP = 20.0
"""Largest weight: beyond it one lucky impression decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """`effective` is how many unweighted impressions the weights are worth; below about 100 trust nothing."""

    value: float
    low: float
    high: float
    effective: float


def snips(reward: Array, logged: Array, wanted: Array, *, seed: int = 0, draws: int = 1000) -> Estimate:
    """Mean reward under chances `wanted` from rewards logged under chances `logged`, with a 95 % bootstrap interval.

    All (n,), n >= 1; logged in (0, 1], wanted in [0, 1]. Raises ValueError otherwise.
    """
    weight = _weights(reward, logged, wanted)
    return _with_interval(weight, weight * reward, np.zeros_like(reward), seed=seed, draws=draws)


def doubly_robust(
    reward: Array, logged: Array, wanted: Array, predicted: Array, predicted_wanted: Array, *, seed: int = 0
) -> Estimate:
    """As `snips`, around a model: `predicted` (n,) for what was shown, `predicted_wanted` (n,) its mean under the new
    policy."""
    weight = _weights(reward, logged, wanted)
    return _with_interval(weight, weight * (reward - predicted), predicted_wanted, seed=seed, draws=1000)


def _weights(reward: Array, logged: Array, wanted: Array) -> Array:
    if not (len(reward) == len(logged) == len(wanted) > 0):
        raise ValueError("rewards and chances must be of one length above 0")
    if (logged <= 0).any() or (logged > 1).any() or (wanted < 0).any() or (wanted > 1).any():
        raise ValueError("logged chances must be in (0, 1], wanted ones in [0, 1]")
    return np.minimum(wanted / logged, _CLIP)


def _with_interval(weight: Array, weighted: Array, base: Array, *, seed: int, draws: int) -> Estimate:
    rng = np.random.default_rng(seed)
    n = len(weight)
    values = np.empty(draws)
    for draw in range(draws):
        at = rng.integers(n, size=n)
        values[draw] = base[at].mean() + weighted[at].sum() / max(weight[at].sum(), 1e-9)
    low, high = np.quantile(values, [0.025, 0.975])
    return Estimate(
        value=float(base.mean() + weighted.sum() / max(weight.sum(), 1e-9)),
        low=float(low),
        high=float(high),
        effective=float(weight.sum() ** 2 / max((weight**2).sum(), 1e-9)),
    )
