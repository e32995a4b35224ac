"""Stills that need a shaped, full-size picture: the poster."""

from __future__ import annotations

from pathlib import Path

import av
from av.video.reformatter import Interpolation, VideoReformatter

from packager.encoder.gallery import rgb_of
from packager.encoder.shape import Shaper, ShapeSpec
from packager.ladder import even, scaled
from packager.picture.webp import write_webp

POSTER_EDGE = 720
POSTER_QUALITY = 78


def write_poster(out_dir: Path, source: av.VideoFrame, spec: ShapeSpec, upright: tuple[int, int]) -> str:
    """poster.webp, short edge at most 720. Returns its name."""
    width, height = upright
    if min(upright) > POSTER_EDGE:
        width, height = scaled(width, height, POSTER_EDGE)
    width, height = even(width), even(height)
    shaped = Shaper(spec, width, height, interpolation=Interpolation.LANCZOS).shape(source)
    write_webp(out_dir / "poster.webp", rgb_of(shaped, VideoReformatter(), width, height), quality=POSTER_QUALITY)
    return "poster.webp"
