"""Files made of the gallery: the poster at once, the others beside the upper rungs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pdqhash
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from packager.encoder.gallery import PREVIEW_FPS, Gallery
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


def poster_shaper(spec: ShapeSpec, upright: tuple[int, int]) -> Shaper:
    """Makes the poster's picture: short edge at most POSTER_EDGE."""
    width, height = upright
    if min(upright) > POSTER_EDGE:
        width, height = scaled(width, height, POSTER_EDGE)
    return Shaper(spec, even(width), even(height), interpolation=Interpolation.LANCZOS)


def write_poster(out_dir: Path, gallery: Gallery) -> Poster:
    """poster.webp and its placeholder."""
    assert gallery.poster is not None
    assert gallery.placeholder is not None
    write_webp(out_dir / "poster.webp", gallery.poster, quality=POSTER_QUALITY)
    return Poster(name="poster.webp", thumbhash=thumbhash(gallery.placeholder))


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
