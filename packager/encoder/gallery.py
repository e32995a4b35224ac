"""Collects, during the first wave, every picture that is wanted apart from the rungs themselves."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from packager.picture.poster import Rgb, poster_score

ANALYSIS_FRAMES = 10
ANALYSIS_EDGE = 224
POSTER_CANDIDATES = 24


def evenly(total: int, count: int) -> tuple[int, ...]:
    """At most `count` indices in the middles of equal parts of 0..total-1; pure."""
    return tuple(sorted({int((part + 0.5) * total / count) for part in range(min(count, total))}))


class Gallery:
    """A tap for run_wave: `see` is called for each picture of the grid, on the decoding thread."""

    def __init__(self, *, total: int, rate: Fraction, poster_at: int | None) -> None:
        self._total = total
        self._analysis_at = set(evenly(total, ANALYSIS_FRAMES))
        self._poster_at = poster_at
        self._candidates = set(evenly(total, POSTER_CANDIDATES)) if poster_at is None else {min(poster_at, total - 1)}
        self._square = VideoReformatter()
        self._analysis: list[Rgb] = []
        self._best_score = -1.0
        self.poster_source: av.VideoFrame | None = None
        """The decoded picture chosen so far, full size, not yet upright."""

    def see(self, index: int, picture: av.VideoFrame, shaped: av.VideoFrame) -> None:
        wanted, candidate = index in self._analysis_at, index in self._candidates
        if not (wanted or candidate):
            return
        small = rgb_of(shaped, self._square, ANALYSIS_EDGE, ANALYSIS_EDGE)
        if wanted:
            self._analysis.append(small)
        if candidate:
            score = poster_score(small, position=index / self._total)
            if score > self._best_score:
                self._best_score, self.poster_source = score, picture

    def analysis_frames(self) -> NDArray[np.uint8]:
        """(n, 224, 224, 3) uint8 RGB, evenly spread; the whole picture squeezed to a square, nothing cut off."""
        empty = np.zeros((0, ANALYSIS_EDGE, ANALYSIS_EDGE, 3), np.uint8)
        return np.stack(self._analysis) if self._analysis else empty


def rgb_of(frame: av.VideoFrame, scaler: VideoReformatter, width: int, height: int) -> Rgb:
    """The picture as (height, width, 3) uint8 RGB."""
    made = scaler.reformat(frame, width, height, "rgb24", interpolation=Interpolation.AREA, threads=1)
    return made.to_ndarray().astype(np.uint8, copy=False)
