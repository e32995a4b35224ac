"""WebP files of RGB pictures."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from packager.picture.poster import Rgb


def write_webp(path: Path, picture: Rgb, *, quality: int) -> None:
    """Write whole or not at all. `quality` 0-100."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        Image.fromarray(picture).save(file, format="WEBP", quality=quality, method=4)
    part.replace(path)
