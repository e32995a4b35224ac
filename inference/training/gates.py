"""What a ranker must show before it may be released: order, calibration, equality with its training twin, speed."""

from __future__ import annotations

import math
import time

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference.feed.ranker import HEADS, Ranker
from inference.training.impressions import Impressions
from inference.training.perceptron import Perceptron

_CALIBRATION_LIMIT = 0.02


class GateReport(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one candidate on held-out impressions; `failures` empty means it may ship."""

    xgauc: float
    """Share of pairs of one viewer that are ordered as their watch quantiles."""
    xgauc_before: float | None
    """The same for the model now in use."""
    calibration: dict[str, float]
    """Expected calibration error per head."""
    interest_error: float
    """Mean absolute error of the expected quantile."""
    onnx_difference: float
    ms_per_500: float
    failures: tuple[str, ...]


def check(model: Perceptron, ranker: Ranker, held_out: Impressions, *, before: Ranker | None = None) -> GateReport:
    """Judge a candidate. XGAUC must be above chance and not below the model in use by more than .002."""
    predicted = ranker.predict(held_out.x)
    twin_interest, twin_heads = model.predict(held_out.x)
    difference = max(
        float(np.abs(predicted.interest - twin_interest).max()), float(np.abs(predicted.heads - twin_heads).max())
    )
    xgauc = grouped_auc(predicted.interest, held_out.quantile, held_out.group)
    xgauc_before = None
    if before is not None:
        xgauc_before = grouped_auc(before.predict(held_out.x).interest, held_out.quantile, held_out.group)
    calibration = {
        head: calibration_error(predicted.heads[:, number], held_out.heads[:, number])
        for number, head in enumerate(HEADS)
    }
    started = time.perf_counter()
    for _ in range(20):
        ranker.predict(held_out.x[:500])
    ms_per_500 = (time.perf_counter() - started) * 50
    worst = max(calibration.values())
    limit = _CALIBRATION_LIMIT + 0.5 / math.sqrt(len(held_out))  # what chance alone shows in a small sample
    failures = [
        text
        for failed, text in (
            (xgauc < 0.52, f"XGAUC {xgauc:.4f} is hardly above chance"),
            (xgauc_before is not None and xgauc < xgauc_before - 0.002, f"XGAUC {xgauc:.4f} is below the model in use"),
            (worst > limit, f"calibration error {worst:.4f} is above {limit:.4f}"),
            (difference > 1e-4, f"ONNX differs from the trained model by {difference:.2g}"),
            (ms_per_500 > 10, f"500 rows take {ms_per_500:.1f} ms"),
        )
        if failed
    ]
    return GateReport(
        xgauc=xgauc,
        xgauc_before=xgauc_before,
        calibration=calibration,
        interest_error=float(np.abs(predicted.interest - held_out.quantile).mean()),
        onnx_difference=difference,
        ms_per_500=ms_per_500,
        failures=tuple(failures),
    )


def grouped_auc(
    score: NDArray[np.float32], truth: NDArray[np.float32], group: NDArray[np.int64], *, pairs: int = 200_000
) -> float:
    """Share of within-group pairs in the right order, ties half; 0.5 is chance. Pairs are drawn from a fixed seed."""
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(order)))
    rng = np.random.default_rng(0)
    which = rng.choice(len(starts), size=pairs, p=sizes / sizes.sum())
    first = order[starts[which] + (rng.random(pairs) * sizes[which]).astype(int)]
    second = order[starts[which] + (rng.random(pairs) * sizes[which]).astype(int)]
    differ = truth[first] != truth[second]
    first, second = first[differ], second[differ]
    if not len(first):
        return 0.5
    right = np.sign(score[first] - score[second]) * np.sign(truth[first] - truth[second])
    return float((right + 1).mean() / 2)


def calibration_error(chance: NDArray[np.float32], happened: NDArray[np.float32], *, bins: int = 15) -> float:
    """Expected calibration error over bins of equal size."""
    order = np.argsort(chance, kind="stable")
    bins = min(max(len(order) // 200, 1), bins)  # smaller bins would measure chance
    gaps = [
        abs(float(chance[part].mean()) - float(happened[part].mean()))
        for part in np.array_split(order, bins)
        if len(part)
    ]
    return float(np.mean(gaps))
