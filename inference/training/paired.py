"""The mean of paired differences with an interval that knows events of one viewer depend on each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Mean difference and 95 % bootstrap interval over `groups` viewers; zeros when there are none."""

    mean: float
    low: float
    high: float
    groups: int


def paired_over_groups(difference: NDArray[np.float64], group: NDArray[np.int64], *, draws: int = 2000) -> Paired:
    """Every group counts alike: mean over groups of the mean difference within, groups drawn anew (seeded)."""
    means = _group_means(difference, group)
    if not len(means):
        return Paired(mean=0.0, low=0.0, high=0.0, groups=0)
    rng = np.random.default_rng(0)
    drawn = means[rng.integers(len(means), size=(draws, len(means)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Paired(mean=float(means.mean()), low=float(low), high=float(high), groups=len(means))


def paired_over_events(difference: NDArray[np.float64], group: NDArray[np.int64], *, draws: int = 2000) -> Paired:
    """Every event counts alike; still whole groups are drawn (a cluster bootstrap)."""
    if not len(difference):
        return Paired(mean=0.0, low=0.0, high=0.0, groups=0)
    _, at = np.unique(group, return_inverse=True)
    sums, counts = np.bincount(at, weights=difference), np.bincount(at)
    rng = np.random.default_rng(0)
    chosen = rng.integers(len(sums), size=(draws, len(sums)))
    drawn = sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Paired(mean=float(difference.mean()), low=float(low), high=float(high), groups=len(sums))


def _group_means(values: NDArray[np.float64], group: NDArray[np.int64]) -> NDArray[np.float64]:
    if not len(values):
        return np.zeros(0)
    _, at = np.unique(group, return_inverse=True)
    means: NDArray[np.float64] = np.bincount(at, weights=values) / np.bincount(at)
    return means
