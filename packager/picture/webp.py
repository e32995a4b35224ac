"""WebP files of RGB pictures, still and animated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from packager.picture.poster import Rgb


def write_webp(path: Path, picture: Rgb, *, quality: int) -> None:
    """Write whole or not at all. `quality` 0-100."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        Image.fromarray(picture).save(file, format="WEBP", quality=quality, method=4)
    part.replace(path)


def write_animation(path: Path, pictures: Sequence[Rgb], *, frame_ms: int, quality: int) -> None:
    """An endless animation of at least one picture, `frame_ms` each."""
    first, *others = [Image.fromarray(picture) for picture in pictures]
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        first.save(
            file,
            format="WEBP",
            save_all=True,
            append_images=others,
            duration=frame_ms,
            loop=0,
            quality=quality,
            method=2,
        )
    part.replace(path)
