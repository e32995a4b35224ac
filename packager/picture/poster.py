"""Which picture stands for the clip. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
"""(height, width, 3) uint8."""


def poster_score(picture: Rgb, *, position: float) -> float:
    """How well a picture represents the clip; higher is better. `position` 0..1 is where in the clip it lies.

    Rewards contrast, detail and colour; black, white and flat pictures (fades, blur, covered lenses) score near zero.
    Among equals an early picture wins: it is what the viewer is about to see.
    """
    rgb = picture.astype(np.float32) / 255
    luma = rgb @ np.asarray([0.2126, 0.7152, 0.0722], np.float32)
    contrast = float(luma.std())
    detail = float(np.abs(np.diff(luma, axis=0)).mean() + np.abs(np.diff(luma, axis=1)).mean())
    colour = float((rgb.max(axis=2) - rgb.min(axis=2)).mean())
    mean = float(luma.mean())
    exposure = min(1.0, mean / 0.18, (1 - mean) / 0.15)
    return (
        max(0.0, exposure)
        * (min(contrast, 0.3) / 0.3 + min(detail, 0.08) / 0.08 + 0.5 * min(colour, 0.5) / 0.5)
        * (1 - 0.15 * position)
    )
