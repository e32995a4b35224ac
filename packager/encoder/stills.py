"""Files made of the gallery: the poster at once, the others beside the later waves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pdqhash
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from packager.encoder.gallery import PREVIEW_FPS, Gallery, rgb_of
from packager.encoder.shape import Shaper, ShapeSpec
from packager.ladder import even, scaled
from packager.picture.storyboard import sheet, vtt
from packager.picture.thumbhash import thumbhash
from packager.picture.webp import write_animation, write_webp

POSTER_EDGE = 720
POSTER_QUALITY = 78
SHEET_QUALITY = 60
PREVIEW_QUALITY = 45


@dataclass(frozen=True, slots=True, kw_only=True)
class Poster:
    name: str
    thumbhash: str


def write_poster(out_dir: Path, source: av.VideoFrame, spec: ShapeSpec, upright: tuple[int, int]) -> Poster:
    """poster.webp, short edge at most 720, and its placeholder."""
    width, height = upright
    if min(upright) > POSTER_EDGE:
        width, height = scaled(width, height, POSTER_EDGE)
    width, height = even(width), even(height)
    shaped = Shaper(spec, width, height, interpolation=Interpolation.LANCZOS).shape(source)
    write_webp(out_dir / "poster.webp", rgb_of(shaped, VideoReformatter(), width, height), quality=POSTER_QUALITY)
    share = 100 / max(width, height)
    small = rgb_of(shaped, VideoReformatter(), max(1, int(width * share)), max(1, int(height * share)))
    return Poster(name="poster.webp", thumbhash=thumbhash(small))


def write_later_stills(out_dir: Path, gallery: Gallery, *, duration_s: float) -> tuple[str, ...]:
    """preview.webp, storyboard.webp, storyboard.vtt; returns their names. CPU-bound: some 0.2 s."""
    write_animation(out_dir / "preview.webp", gallery.preview, frame_ms=1000 // PREVIEW_FPS, quality=PREVIEW_QUALITY)
    board, columns = sheet(gallery.tiles)
    write_webp(out_dir / "storyboard.webp", board, quality=SHEET_QUALITY)
    height, width, _ = gallery.tiles[0].shape
    cues = vtt(
        count=len(gallery.tiles),
        columns=columns,
        width=width,
        height=height,
        duration_s=duration_s,
        image="storyboard.webp",
    )
    part = out_dir / "storyboard.vtt.part"
    part.write_text(cues)
    part.replace(out_dir / "storyboard.vtt")
    return "preview.webp", "storyboard.webp", "storyboard.vtt"


def frame_hashes(frames: NDArray[np.uint8]) -> tuple[str, ...]:
    """PDQ of each picture, 64 hex digits. A flat picture (quality 0) hashes to noise and is left out."""
    hashes = []
    for frame in frames:
        bits, quality = pdqhash.compute(np.ascontiguousarray(frame))
        if quality > 0:
            hashes.append(np.packbits(bits.astype(np.uint8)).tobytes().hex())
    return tuple(hashes)
