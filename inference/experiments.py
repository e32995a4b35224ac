"""Experiments: who is in which arm, whether the arms really got their shares, and what the difference is worth.

Assignment is a hash of viewer and experiment, so it is the same in every PoP and needs no storage. An arm may carry
another model (that is a canary) or other knobs. Comparison is Welch's interval on means per viewer; `guard` is the
sequential version that stops an arm which does harm, with the z-value corrected for looking at every event (Howard et
al. 2021, normal mixture).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import numpy as np
import xxhash
from numpy.typing import NDArray

CONTROL = "control"


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One arm besides control; what is None is as in control."""

    share: float
    """0..1 of all viewers."""
    model: str | None = None
    explore_every: int | None = None
    diversity_theta: float | None = None
    shadow: bool = False
    """Its viewers are served by control; its own list is made beside it and compared, nothing more."""


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """Arms by name; control has the rest of the viewers."""

    name: str
    arms: dict[str, Arm]

    def __post_init__(self) -> None:
        if CONTROL in self.arms or sum(arm.share for arm in self.arms.values()) > 1.0 + 1e-9:
            raise ValueError(f"experiment {self.name}: shares must sum to at most 1, and `control` is the rest")
        if any(arm.share < 0 for arm in self.arms.values()):
            raise ValueError(f"experiment {self.name}: a share is negative")

    def assign(self, viewer_id: str) -> str:
        """The viewer's arm, always the same. Raising the last arm's share keeps everybody in theirs."""
        point = xxhash.xxh3_64_intdigest(f"{self.name}/{viewer_id}".encode()) / 2**64
        start = 0.0
        for name, arm in self.arms.items():
            if start <= point < start + arm.share:
                return name
            start += arm.share
        return CONTROL


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Difference of an arm to control with a 95 % interval."""

    difference: float
    low: float
    high: float
    relative: float
    """Difference over the control's mean, 0 when that is 0."""


def compare(control: NDArray[np.float64], arm: NDArray[np.float64]) -> Effect:
    """Means per viewer of two arms (n,), (m,), each at least 2. Raises ValueError for fewer."""
    if len(control) < 2 or len(arm) < 2:
        raise ValueError("a comparison needs at least two viewers in each arm")
    difference = float(arm.mean() - control.mean())
    error = math.sqrt(float(arm.var(ddof=1)) / len(arm) + float(control.var(ddof=1)) / len(control))
    base = float(control.mean())
    return Effect(
        difference=difference,
        low=difference - 1.96 * error,
        high=difference + 1.96 * error,
        relative=difference / base if base else 0.0,
    )


def sample_ratio_z(counts: dict[str, int], shares: dict[str, float]) -> float:
    """Largest |z| of an arm's viewers against its share; above 4 something loses viewers and no figure counts."""
    total = sum(counts.values())
    if not total:
        return 0.0
    worst = 0.0
    for name, share in shares.items():
        spread = math.sqrt(total * share * (1 - share))
        if spread > 0:
            worst = max(worst, abs(counts.get(name, 0) - total * share) / spread)
    return worst


@dataclass(slots=True)
class RunningMean:
    """Count, mean and sum of squared deviations (Welford)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        change = value - self.mean
        self.mean += change / self.count
        self.squares += change * (value - self.mean)

    @property
    def variance(self) -> float:
        return self.squares / (self.count - 1) if self.count > 1 else 0.0


def joined(parts: Iterable[RunningMean]) -> RunningMean:
    """One mean out of several that saw different events (Chan et al. 1979)."""
    total = RunningMean()
    for part in parts:
        count = total.count + part.count
        if not part.count:
            continue
        change = part.mean - total.mean
        total.squares += part.squares + change * change * total.count * part.count / count
        total.mean += change * part.count / count
        total.count = count
    return total


def running_effect(control: RunningMean, arm: RunningMean, *, alpha: float = 0.05) -> Effect | None:
    """Difference of means with an interval that stays valid however often one looks; None with fewer than two events.

    Events of one viewer depend on each other; the variance is doubled for that.
    """
    if min(control.count, arm.count) < 2:
        return None
    variance = 2 * (control.variance / control.count + arm.variance / arm.count)
    effective = 1 / max(variance, 1e-12)
    mixture = 1000.0
    width = math.sqrt((effective + mixture) / effective**2 * math.log((effective + mixture) / (mixture * alpha**2)))
    difference = arm.mean - control.mean
    return Effect(
        difference=difference,
        low=difference - width,
        high=difference + width,
        relative=difference / control.mean if control.mean else 0.0,
    )


def does_harm(control: RunningMean, arm: RunningMean, *, least: int = 200, alpha: float = 0.001) -> bool:
    """Is the arm's mean below control's by more than an always-valid interval allows? False while there is little
    data."""
    effect = running_effect(control, arm, alpha=alpha) if min(control.count, arm.count) >= least else None
    return effect is not None and effect.high < 0
