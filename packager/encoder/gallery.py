"""Collects, beside the first rung, every picture that is wanted apart from the rungs themselves."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from packager.encoder.shape import Shaper
from packager.ladder import even
from packager.picture.poster import Rgb, poster_score
from packager.picture.storyboard import TILE_EDGE, tile_count

ANALYSIS_FRAMES = 10
ANALYSIS_EDGE = 224
POSTER_CANDIDATES = 24
PREVIEW_FPS = 8
PREVIEW_EDGE = 320
"""Longest edge of the animated preview."""
PLACEHOLDER_EDGE = 100
"""Longest edge of what the ThumbHash is made of: its own bound."""
_EXCERPTS = (0.12, 0.42, 0.72)
"""Where the preview's three one-second excerpts begin, as parts of the clip."""


def evenly(total: int, count: int) -> tuple[int, ...]:
    """At most `count` indices in the middles of equal parts of 0..total-1; pure."""
    count = min(count, total)
    return tuple(sorted({(2 * part + 1) * total // (2 * count) for part in range(count)}))


def preview_places(total: int, rate: Fraction) -> tuple[int, ...]:
    """Indices of the preview's pictures, at PREVIEW_FPS: three excerpts of a second, all of a clip up to 4 s; pure."""
    step = rate / PREVIEW_FPS
    if total <= 4 * rate:
        return tuple(sorted({int(step * place) for place in range(int(total / step) or 1)}))
    starts = [int(total * part) for part in _EXCERPTS]
    return tuple(sorted({int(start + step * place) for start in starts for place in range(PREVIEW_FPS)}))


class Gallery:
    """A tap for run_wave: `see` is called for each picture of the grid, on the decoding thread."""

    def __init__(self, *, total: int, rate: Fraction, poster_at: int | None, poster_shaper: Shaper) -> None:
        self._total = total
        self._poster_shaper = poster_shaper
        self._analysis_at = set(evenly(total, ANALYSIS_FRAMES))
        self._candidates = set(evenly(total, POSTER_CANDIDATES)) if poster_at is None else {min(poster_at, total - 1)}
        self._tiles_at = set(evenly(total, tile_count(float(total / rate))))
        self._preview_at = set(preview_places(total, rate))
        self._square, self._tile_scaler, self._preview_scaler = (VideoReformatter() for _ in range(3))
        self._poster_scaler, self._placeholder_scaler = VideoReformatter(), VideoReformatter()
        self._analysis: list[Rgb] = []
        self._best_score = -1.0
        self.tiles: list[Rgb] = []
        """Storyboard tiles in time order."""
        self.preview: list[Rgb] = []
        self.poster: Rgb | None = None
        """The picture chosen so far, at the poster's size."""
        self.placeholder: Rgb | None = None
        """The same, long edge PLACEHOLDER_EDGE."""

    def see(self, index: int, picture: av.VideoFrame, shaped: av.VideoFrame) -> None:
        if index in self._tiles_at:
            self.tiles.append(_fitted(shaped, self._tile_scaler, TILE_EDGE))
        if index in self._preview_at:
            self.preview.append(_fitted(shaped, self._preview_scaler, PREVIEW_EDGE))
        wanted, candidate = index in self._analysis_at, index in self._candidates
        if not (wanted or candidate):
            return
        small = rgb_of(shaped, self._square, ANALYSIS_EDGE, ANALYSIS_EDGE)
        if wanted:
            self._analysis.append(small)
        if candidate:
            score = poster_score(small, position=index / self._total)
            if score > self._best_score:
                self._best_score = score
                self._choose(picture)

    def _choose(self, picture: av.VideoFrame) -> None:
        """Made at once: the decoded picture goes on to another thread, which sets its fields."""
        shaped = self._poster_shaper.shape(picture)
        share = PLACEHOLDER_EDGE / max(shaped.width, shaped.height)
        self.poster = rgb_of(shaped, self._poster_scaler, shaped.width, shaped.height)
        width, height = max(1, int(shaped.width * share)), max(1, int(shaped.height * share))
        self.placeholder = rgb_of(shaped, self._placeholder_scaler, width, height)

    def analysis_frames(self) -> NDArray[np.uint8]:
        """(n, 224, 224, 3) uint8 RGB, evenly spread; the whole picture squeezed to a square, nothing cut off."""
        empty = np.zeros((0, ANALYSIS_EDGE, ANALYSIS_EDGE, 3), np.uint8)
        return np.stack(self._analysis) if self._analysis else empty


def _fitted(frame: av.VideoFrame, scaler: VideoReformatter, longest: int) -> Rgb:
    share = min(1.0, longest / max(frame.width, frame.height))
    return rgb_of(frame, scaler, even(frame.width * share), even(frame.height * share))


def rgb_of(frame: av.VideoFrame, scaler: VideoReformatter, width: int, height: int) -> Rgb:
    """The picture as (height, width, 3) uint8 RGB."""
    made = scaler.reformat(frame, width, height, "rgb24", interpolation=Interpolation.AREA, threads=1)
    return made.to_ndarray().astype(np.uint8, copy=False)
